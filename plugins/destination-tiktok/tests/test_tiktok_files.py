"""Customer files: what is in one, which action it gets, and what becomes of it while TikTok works it in."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cdp_bridge.model import Writer
from cdp_bridge.sdk import AudienceRef, ConfigError, RejectedError, TransientError
from cdp_bridge.testing import numbered
from cdp_bridge.testing.numbered import pending_of
from destination_tiktok import destination, files

from .conftest import Account

LINE = "f1904cf1a9d73a55fa5de0ac823c4403ded71afd4c3248d00bdcd0866552bb79\n"
WAYS = ("streaming", "file")


@pytest.fixture
def account(account: Account) -> Account:
    """One whose audiences may be small, of an app that may not stream."""
    account.configure(floor=0, app={"allow_list": False})
    return account


@pytest.fixture
def writer(account: Account) -> Iterator[Writer]:
    with account.open(upload="file") as writer:
        yield writer


@pytest.fixture
def ref(account: Account, writer: Writer) -> AudienceRef:
    return writer.ensure(account.audience())


@pytest.fixture
def full(account: Account, writer: Writer, ref: AudienceRef, batch: numbered.MakeBatch) -> AudienceRef:
    """An audience of ten that is computed."""
    writer.write(batch(ref, range(10)))
    account.advance(3_600)
    return writer.ensure(account.audience())


def held(account: Any) -> Any:
    (audience,) = account.audiences()
    return audience


def members(account: Any) -> set[str]:
    return {row["EMAIL_SHA256"] for row in account.rows(held(account)["id"])}


def test_the_signature_is_that_of_the_contract() -> None:
    assert files.File(LINE.encode(), []).fields["file_signature"] == "9789bc9b0dfb37ff9a2c66e6727443e3"


def test_a_file_has_a_row_a_member_and_blank_cells(
    account: Account, batch: numbered.MakeBatch, digest: Callable[[object], str]
) -> None:
    wanted = batch(
        AudienceRef(id="12", account="7"),
        [1, 2],
        "remove",
        email={1: [digest(n) for n in range(4)]},
        phone={2: [digest("p")]},
        mobile_ad_id={1: [digest("m")]},
        city={1: ["x"]},
    )
    sent = destination.preview(account.settings(upload="file"), wanted)
    assert sent["file"] == [
        "email_SHA256,email_SHA256,email_SHA256,phone_SHA256,MAID",
        f"{digest(0)},{digest(1)},{digest(2)},,{digest('m')}",
        f"{digest(3)},,,,",
        f"{digest('2@example.com')},,,{digest('p')},",
    ]
    assert (sent["url"], sent["headers"]) == (
        f"{account.url}/open_api/v1.3/dmp/custom_audience/file/upload/",
        {"Access-Token": "***"},
    )
    assert sent["then"]["json"] == {
        "advertiser_id": account.number,
        "custom_audience_id": "12",
        "file_paths": ["(path of the file)"],
        "action": "REMOVE",
    }


def test_the_first_file_makes_the_audience(
    account: Account, writer: Writer, ref: AudienceRef, batch: numbered.MakeBatch
) -> None:
    assert (ref.id, ref.account, ref.status) == ("", account.number, "to be made from the first file")
    assert ref.name.startswith("VIP [cdp-bridge:")
    assert account.audiences() == []
    outcome = writer.write(batch(ref, range(3), mobile_ad_id={1: [numbered.digest("m")]}))
    assert outcome.pending == held(account)["id"]
    assert (held(account)["streaming"], " [cdp-bridge:" in held(account)["name"]) == (False, True)
    again = writer.ensure(account.audience())
    assert (again.id, again.status) == (outcome.pending, "not computed yet")
    assert writer.settle(again, pending_of(outcome)).pending == outcome.pending
    account.advance(3_600)
    assert writer.settle(again, pending_of(outcome)).pending is None
    assert {row.get("MAID") for row in account.rows(again.id)} == {None, numbered.digest("m")}


def test_a_file_is_appended_or_removed_and_never_replaces(
    account: Account, writer: Writer, full: AudienceRef, batch: numbered.MakeBatch
) -> None:
    writer.write(batch(full, range(20, 22)))
    account.advance(3_600)
    writer.write(batch(full, range(5), "remove"))
    account.advance(3_600)
    assert members(account) == {numbered.digest(f"{n}@example.com") for n in (*range(5, 10), 20, 21)}
    counts = held(account)
    assert [counts[f"requests_{name}"] for name in ("add", "remove", "replace")] == [2, 1, 0]


def test_a_file_waits_while_another_is_worked_in_and_a_third_is_left_to_the_next_run(
    account: Account, writer: Writer, full: AudienceRef, batch: numbered.MakeBatch
) -> None:
    first = pending_of(writer.write(batch(full, range(2), "remove")))
    adds = writer.write(batch(full, range(20, 22)))
    assert first == full.id
    assert pending_of(adds).startswith(f"{full.id} add ")
    third = batch(full, range(30, 33))
    assert (writer.write(third).unknown, writer.write(third).pending) == (frozenset(third.keys), None)
    with account.open(upload="file") as later:
        assert later.settle(full, first).pending == first
        assert later.settle(full, pending_of(adds)).pending == adds.pending
        assert later.write(third).unknown == frozenset(third.keys)
        account.advance(3_600)
        assert later.settle(full, first).pending is None
        assert later.settle(full, pending_of(adds)).pending == full.id
        account.advance(3_600)
        assert later.settle(full, full.id).pending is None
    assert len(members(account)) == 10


def test_one_writer_makes_two_audiences_and_mixes_nobody_up(
    account: Account, writer: Writer, batch: numbered.MakeBatch
) -> None:
    refs = [writer.ensure(account.audience(marker)) for marker in ("one", "two")]
    pending = [pending_of(writer.write(batch(ref, [number]))) for number, ref in enumerate(refs)]
    waiting = [pending_of(writer.write(batch(ref, [10 + number]))) for number, ref in enumerate(refs)]
    assert [one.split()[0] for one in waiting] == pending
    account.advance(3_600)
    for ref, one in zip(refs, waiting, strict=True):
        writer.settle(ref, one)
    account.advance(3_600)
    for number, audience in enumerate(pending):
        digests = {numbered.digest(f"{n}@example.com") for n in (number, 10 + number)}
        assert {row["EMAIL_SHA256"] for row in account.rows(audience)} == digests


def test_nobody_is_removed_from_an_audience_that_is_not_there(
    account: Account, writer: Writer, ref: AudienceRef, batch: numbered.MakeBatch
) -> None:
    outcome = writer.write(batch(ref, range(3), "remove"))
    assert (outcome.pending, outcome.unknown, outcome.rejected) == (None, frozenset(), {})
    assert account.audiences() == []


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("accepted_then_reset", {}),
        ("reset", {}),
        ("broken_json", {}),
        ("status", {"status": 502}),
        ("accepted_then_error", {"status": 200, "body": {"code": 51010}}),
        ("accepted_then_error", {"status": 200, "body": {"code": 0, "message": "OK"}}),
        ("accepted_then_error", {"status": 200, "body": {"code": 40100}}),
    ],
)
@pytest.mark.parametrize("path", ["file/upload/", "create/"])
def test_a_try_without_an_answer_makes_one_audience(
    account: Account, writer: Writer, ref: AudienceRef, batch: numbered.MakeBatch, path: Any, kind: Any, more: Any
) -> None:
    account.fault(kind, f"custom_audience/{path}", "POST", **more)
    wanted = batch(ref, range(3))
    with pytest.raises(TransientError):
        writer.write(wanted)
    pending = pending_of(writer.write(wanted))
    account.advance(3_600)
    assert writer.settle(ref, pending).pending in (None, held(account)["id"])
    assert len(members(account)) == 3


@pytest.mark.parametrize("kind", ["accepted_then_reset", "reset"])
def test_a_change_without_an_answer_is_repeated_and_changes_nothing(
    account: Account, writer: Writer, full: AudienceRef, batch: numbered.MakeBatch, kind: Any
) -> None:
    account.fault(kind, "custom_audience/update/", "POST")
    wanted = batch(full, range(2), "remove")
    with pytest.raises(TransientError):
        writer.write(wanted)
    pending: str | None = pending_of(writer.write(wanted))
    for _ in range(2):
        account.advance(3_600)
        pending = writer.settle(full, pending).pending if pending else None
    assert (pending, len(members(account))) == (None, 8)


def test_row_27_too_few_people_are_matched(
    account: Account, writer: Writer, ref: AudienceRef, batch: numbered.MakeBatch
) -> None:
    account.configure(floor=1)
    pending = pending_of(writer.write(batch(ref, range(3))))
    account.advance(3_600)
    begun_anew(account, writer, pending)


def test_row_27_too_few_people_would_be_left(
    account: Account, writer: Writer, full: AudienceRef, batch: numbered.MakeBatch
) -> None:
    pending = pending_of(writer.write(batch(full, range(5), "remove")))
    account.configure(floor=1)
    account.advance(3_600)
    assert len(members(account)) == 10
    begun_anew(account, writer, pending)


def begun_anew(account: Any, writer: Any, pending: Any) -> None:
    """The audience is deleted, so that nobody stays in who left; the core sends the others to a new one."""
    with pytest.raises(RejectedError, match="has not changed the audience"):
        writer.settle(AudienceRef(id=pending, account=account.number), pending)
    assert writer.ensure(account.audience()).id == ""
    assert account.audiences() == []


def test_an_audience_that_is_gone(
    account: Account, writer: Writer, full: AudienceRef, batch: numbered.MakeBatch
) -> None:
    pending = pending_of(writer.write(batch(full, [1], "remove")))
    account.call("dmp/custom_audience/delete/", advertiser_id=account.number, custom_audience_ids=[full.id])
    with pytest.raises(ConfigError, match="does not exist"):
        writer.write(batch(full, [2]))
    with pytest.raises(RejectedError):
        writer.settle(full, pending)


@pytest.mark.parametrize("made", WAYS)
def test_an_audience_of_the_other_way_is_not_touched(account: Account, batch: numbered.MakeBatch, made: Any) -> None:
    account.configure(app={"allow_list": True})
    other = "file" if made == "streaming" else "streaming"
    with account.open(upload=made) as writer:
        writer.write(batch(writer.ensure(account.audience()), [1]))
        account.advance(3_600)
        ref = writer.ensure(account.audience())
    with account.open(upload=other) as writer:
        for known in (None, ref):
            with pytest.raises(ConfigError, match=r"takes no upload of the kind .*Set upload as it was"):
                writer.ensure(account.audience(ref=known))
    assert len(account.audiences()) == 1


def test_a_file_that_expired_while_it_waited(
    account: Account, writer: Writer, full: AudienceRef, batch: numbered.MakeBatch
) -> None:
    account.configure(file_life=3_600)
    writer.write(batch(full, range(2), "remove"))
    pending = pending_of(writer.write(batch(full, [20])))
    account.advance(3_600)
    with pytest.raises(RejectedError) as refusal:
        writer.settle(full, pending)
    assert refusal.value.reason == "tiktok:file_lost"


def test_a_limit_while_a_file_waits_leaves_it_waiting(
    account: Account, writer: Writer, full: AudienceRef, batch: numbered.MakeBatch
) -> None:
    writer.write(batch(full, range(2), "remove"))
    pending = pending_of(writer.write(batch(full, [20])))
    account.advance(3_600)
    account.fails(40100, "/update/")
    assert writer.settle(full, pending).pending == pending
    assert writer.settle(full, pending).pending == full.id


@pytest.mark.parametrize("code", [40061, 40062, 40907])
def test_a_file_that_tiktok_refuses_is_tried_in_halves(
    account: Account, writer: Writer, ref: AudienceRef, batch: numbered.MakeBatch, code: Any
) -> None:
    account.fails(code, "/upload/")
    with pytest.raises(RejectedError) as refusal:
        writer.write(batch(ref, range(3)))
    assert refusal.value.reason == f"tiktok:{code}"
    assert account.audiences() == []


@pytest.mark.parametrize("code", [40900, 40906, 40908, 40909])
def test_row_21_a_file_that_is_not_understood_stops_the_run(
    account: Account, writer: Writer, ref: AudienceRef, batch: numbered.MakeBatch, code: Any
) -> None:
    account.fails(code, "/upload/")
    with pytest.raises(ConfigError, match=rf"{code}.*Run again"):
        writer.write(batch(ref, range(3)))


@pytest.mark.parametrize("code", [40905, 40910])
@pytest.mark.parametrize("path", ["create/", "update/"])
def test_row_22_a_file_that_is_lost_is_uploaded_again(
    account: Account, writer: Writer, ref: AudienceRef, batch: numbered.MakeBatch, path: Any, code: Any
) -> None:
    if path == "update/":
        writer.write(batch(ref, [7]))
        account.advance(3_600)
    account.fails(code, path)
    with pytest.raises(TransientError):
        writer.write(batch(ref, range(3)))
    writer.write(batch(ref, range(3)))
    account.advance(3_600)
    assert len(members(account)) == (4 if path == "update/" else 3)


@pytest.mark.parametrize("path", ["create/", "update/"])
def test_rows_23_and_24_a_refusal_that_is_not_for_the_file_ends_the_run(
    account: Account, writer: Writer, ref: AudienceRef, batch: numbered.MakeBatch, path: Any
) -> None:
    if path == "update/":
        writer.write(batch(ref, range(3)))
        account.advance(3_600)
    account.fails(40002, path)
    with pytest.raises(ConfigError, match=r"40002.*fewer than 400"):
        writer.write(batch(ref, range(5)))


def test_a_file_over_50_mb_is_refused_before_it_is_sent(
    account: Account, writer: Writer, ref: AudienceRef, batch: numbered.MakeBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MAX_BYTES", 100)
    with pytest.raises(RejectedError) as refusal:
        writer.write(batch(ref, range(3)))
    assert refusal.value.reason == "tiktok:bytes"


def test_the_largest_batch_fits_into_a_file() -> None:
    cells = 65 * len(files.COLUMNS) * files.LIMITS.rows
    assert min(cells, files.LIMITS.bytes * 1.2) < files.MAX_BYTES


def test_members_without_an_identifier_are_named_and_the_others_sent(
    account: Account, writer: Writer, ref: AudienceRef, batch: numbered.MakeBatch
) -> None:
    outcome = writer.write(batch(ref, [1], email={1: []}))
    assert (outcome.rejected, outcome.pending) == (dict.fromkeys(numbered.keys(1), "tiktok:no_identifier"), None)
    outcome = writer.write(batch(ref, range(3), email={1: []}))
    assert outcome.rejected == dict.fromkeys(numbered.keys(1), "tiktok:no_identifier")
    account.advance(3_600)
    assert len(members(account)) == 2


def test_discover_says_that_a_file_takes_many(account: Account) -> None:
    limits = [destination.discover(account.settings(upload=way)).streams[0].limits for way in WAYS]
    assert limits == [None, files.LIMITS]
