"""Finding and creating audiences: one for each marker, whatever happens on the way; their state and size."""

import hashlib
from typing import Any

import pytest
from cdp_bridge.sdk import AudienceRef, ConfigError, TransientError
from cdp_bridge.testing import numbered
from sandbox.trial import Clock

from .conftest import Account


def test_the_marker_is_in_a_name_that_tiktok_does_not_cut(account: Account) -> None:
    with account.open() as writer:
        refs = [writer.ensure(account.audience(marker, name="x" * 90)) for marker in ("a", "a" * 90)]
    names = [account.held(ref.id)["name"] for ref in refs]
    assert all(len(name) == 70 and name.endswith("]") and " [cdp-bridge:" in name for name in names)
    assert len(set(names)) == 2
    assert {ref.account for ref in refs} == {account.number}


def test_finds_the_oldest_again_by_ref_and_by_marker_on_a_later_page(account: Account) -> None:
    with account.open() as writer:
        ref = writer.ensure(account.audience("first"))
        name = account.held(ref.id)["name"]
        for other in (name, *map(str, range(105))):
            account.call("segment/audience/", advertiser_id=account.number, custom_audience_name=other)
        assert writer.ensure(account.audience("first")).id == ref.id
        assert writer.ensure(account.audience("first", ref=ref)).id == ref.id


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
def test_a_create_that_fails_without_a_word_makes_one_audience(
    account: Account, clock: Clock, kind: Any, more: Any
) -> None:
    account.fault(kind, "segment/audience/", "POST", **more)
    with account.open() as writer:
        ref = writer.ensure(account.audience())
    assert [held["id"] for held in account.audiences()] == [ref.id]
    assert len(clock.slept) == 1


def test_gives_up_creating_after_some_tries(account: Account, clock: Clock) -> None:
    account.fault("reset", "segment/audience/", "POST", times=None)
    with account.open() as writer, pytest.raises(TransientError):
        writer.ensure(account.audience())
    assert len(clock.slept) == 3
    assert account.audiences() == []


def test_a_deleted_audience_is_made_anew_and_a_ref_of_another_account_not_followed(account: Account) -> None:
    with account.open() as writer:
        ref = writer.ensure(account.audience())
        account.call("segment/audience/", advertiser_id=account.number, action="delete", delete_audience_id=ref.id)
        new = writer.ensure(account.audience(ref=ref))
        assert new.id != ref.id
        foreign = AudienceRef(id="12", account="7")
        assert writer.ensure(account.audience(ref=foreign)).id == new.id


def test_size_and_state(account: Account, batch: numbered.MakeBatch, clock: Clock) -> None:
    with account.open() as writer:
        ref = writer.ensure(account.audience())
        writer.write(batch(ref, range(3)))
        ref = writer.ensure(account.audience(ref=ref))
        assert (ref.status, ref.lower_bound, ref.upper_bound) == ("not computed yet", None, None)
        clock.advance(3_601)
        ref = writer.ensure(account.audience(ref=ref))
        assert ref.status == "below TikTok's minimum of 1,000 matched people"
        assert (ref.lower_bound, ref.upper_bound, ref.matched) == (0, 999, None)


@pytest.mark.parametrize("upload", ["streaming", "file"])
@pytest.mark.parametrize(
    ("told", "status", "size"),
    [
        ({"cover_num": 1_840, "is_valid": True}, "ready", 1_840),
        ({"cover_num": 1_840, "is_valid": True, "is_expiring": True}, "ready, expires within 60 days", 1_840),
        ({"cover_num": 1_840, "is_valid": False}, "not computed yet", None),
        ({"cover_num": 0, "is_valid": False, "expired_time": "2020-01-01 00:00:00"}, "expired", None),
        ({"cover_num": 1_840, "is_valid": True, "expired_time": "2199-01-01 00:00:00"}, "ready", 1_840),
    ],
)
def test_what_tiktok_tells_of_size_and_state(account: Account, upload: Any, told: Any, status: Any, size: Any) -> None:
    page = {"list": [{"audience_id": "12", "name": "x", **told}], "page_info": {"total_number": 1, "total_page": 1}}
    account.fault("status", "/list/", status=200, body={"code": 0, "data": page})
    known = AudienceRef(id="12", account=account.number)
    with account.open(upload=upload) as writer:
        ref = writer.ensure(account.audience(ref=known))
    assert (ref.id, ref.status, ref.lower_bound, ref.upper_bound) == ("12", status, size, size)
    assert ref.matched == (None if size is None else (size, size))


def test_a_streamed_audience_that_failed(account: Account) -> None:
    page = {"list": [{"audience_id": "12", "error_msg": "jane@example.com"}], "page_info": {"total_page": 1}}
    account.fault("status", "/list/", status=200, body={"code": 0, "data": page})
    with account.open() as writer:
        assert writer.ensure(account.audience(ref=AudienceRef(id="12", account=account.number))).status == "failed"


def test_row_24_no_room_and_row_35_no_allow_list(account: Account) -> None:
    with account.open() as writer:
        account.fails(40002, "segment/audience/")
        with pytest.raises(ConfigError, match=r"40002.*fewer than 400"):
            writer.ensure(account.audience())
        account.configure(app={"allow_list": False})
        with pytest.raises(ConfigError, match=r"allow-list.*40118.*representative"):
            writer.ensure(account.audience())


@pytest.mark.parametrize("upload", ["streaming", "file"])
def test_a_new_name_keeps_the_marker_and_another_is_left_alone(account: Account, upload: Any) -> None:
    made = made_audience(account, upload)
    with account.open(upload=upload) as writer:
        ref = writer.ensure(account.audience(ref=made))
        renamed = writer.ensure(account.audience(name="Best customers", ref=ref, rename=True))
        assert (renamed.id, account.held(ref.id)["name"]) == (made.id, renamed.name)
        assert renamed.name == ref.name.replace("VIP", "Best customers")
        assert writer.ensure(account.audience(name="Other", ref=renamed)).name == renamed.name
        # Found again without a ref: the marker is still there.
        assert writer.ensure(account.audience(name="Other")).id == made.id
    assert account.held(ref.id)["name"] == renamed.name


@pytest.mark.parametrize("code", [40001, 40002, 40400])
def test_where_tiktok_does_not_rename_the_audience_keeps_its_name(account: Account, code: int) -> None:
    made = made_audience(account, "streaming")
    account.fails(code, "/update/")
    with account.open() as writer:
        ref = writer.ensure(account.audience(name="Best customers", ref=made, rename=True))
    assert ref.name == account.held(made.id)["name"]
    assert ref.name.startswith("VIP [")


def test_an_audience_that_is_there_costs_one_read(account: Account) -> None:
    made = made_audience(account, "streaming")
    before = account.control("GET", "requests")["total"]
    with account.open() as writer:
        writer.ensure(account.audience(ref=made))
    assert account.control("GET", "requests")["total"] == before + 1


def made_audience(account: Account, upload: str) -> AudienceRef:
    """An audience that was made in this way, with the marker `vip`."""
    with account.open() as writer:
        ref = writer.ensure(account.audience())
    if upload == "streaming":
        return ref
    account.call("segment/audience/", advertiser_id=account.number, action="delete", delete_audience_id=ref.id)
    upload_file = f"{account.url}/open_api/v1.3/dmp/custom_audience/file/upload/"
    content = b"0" * 63 + b"1\n"
    fields = {
        "advertiser_id": account.number,
        "calculate_type": "EMAIL_SHA256",
        "file_signature": hashlib.md5(content, usedforsecurity=False).hexdigest(),
    }
    files = {"file": ("members.csv", content, "text/csv")}
    headers = {"Access-Token": account.token}
    path = account.http.post(upload_file, data=fields, files=files, headers=headers).json()["data"]["file_path"]
    body = {"custom_audience_name": ref.name, "file_paths": [path], "calculate_type": "EMAIL_SHA256"}
    account.call("dmp/custom_audience/create/", advertiser_id=account.number, **body)
    (found,) = account.audiences()
    return AudienceRef(id=found["id"], account=account.number, name=ref.name)
