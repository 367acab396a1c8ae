"""Finding and creating audiences: one for each marker, whatever happens on the way."""

from typing import Any

import pytest
from cdp_bridge.sdk import AudienceRef, ConfigError, TransientError
from cdp_bridge.testing import numbered
from msgspec.structs import replace
from sandbox.trial import Clock

from .conftest import Account


def test_creates_an_audience_with_the_marker_in_its_description(account: Account) -> None:
    with account.open(retention_days=30) as writer:
        ref = writer.ensure(account.audience("a1"))
    held = account.held(ref.id)
    assert (held["name"], held["description"]) == ("VIP", "From the CDP [cdp-bridge:a1]")
    assert ref.account == f"act_{account.number}"
    assert (ref.lower_bound, ref.upper_bound, ref.matched) == (None, None, None)
    assert ref.status == "410 No file has been uploaded yet; 300 Audience too small to be used."
    fields = account.call("GET", f"{ref.id}?fields=retention_days,customer_file_source,subtype")
    assert fields | {"id": ""} == {
        "id": "",
        "retention_days": 30,
        "customer_file_source": "USER_PROVIDED_ONLY",
        "subtype": "CUSTOM",
    }


def test_finds_it_again_by_ref_and_by_marker(account: Account) -> None:
    with account.open() as writer:
        ref = writer.ensure(account.audience("a"))
        other = writer.ensure(account.audience("ab"))
        assert writer.ensure(account.audience("a")).id == ref.id
        assert writer.ensure(account.audience("a", ref=ref)).id == ref.id
        assert writer.ensure(account.audience("ab")).id == other.id
    assert len(account.audiences()) == 2


def test_finds_the_oldest_on_a_later_page_behind_an_empty_one(account: Account) -> None:
    with account.open() as writer:
        ref = writer.ensure(account.audience("first"))
    for number in range(130):
        fields = {"name": str(number), "subtype": "CUSTOM", "customer_file_source": "USER_PROVIDED_ONLY"}
        account.call("POST", f"act_{account.number}/customaudiences", **fields)
    again = {"name": "copy", "subtype": "CUSTOM", "customer_file_source": "USER_PROVIDED_ONLY"}
    account.call("POST", f"act_{account.number}/customaudiences", description="x [cdp-bridge:first]", **again)
    account.configure(empty_first_page=True)
    with account.open() as writer:
        assert writer.ensure(account.audience("first")).id == ref.id


def test_smaller_pages_when_meta_asks_for_less_data(account: Account) -> None:
    with account.open() as writer:
        refs = [writer.ensure(account.audience(str(number))) for number in range(30)]
        account.configure(max_page=10)
        assert writer.ensure(account.audience("0")).id == refs[0].id


def test_a_list_that_never_fits_is_a_clear_error(account: Account) -> None:
    account.configure(max_page=0)
    with account.open() as writer, pytest.raises(ConfigError, match="too large"):
        writer.ensure(account.audience())


def test_a_next_page_without_a_cursor_creates_nothing(account: Account) -> None:
    account.fault("status", "customaudiences", status=200, times=None, body={"data": [], "paging": {"next": "x"}})
    with account.open() as writer, pytest.raises(TransientError, match="no way to it"):
        writer.ensure(account.audience())
    assert account.audiences() == []


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("accepted_then_reset", {}),
        ("reset", {}),
        ("broken_json", {}),
        ("status", {"status": 500}),
        ("accepted_then_error", {"status": 400, "body": {"error": {"code": 2, "is_transient": True}}}),
        ("accepted_then_error", {"status": 200, "body": {"success": False}}),
        ("accepted_then_error", {"status": 200, "body": ["unexpected"]}),
        ("accepted_then_error", {"status": 400, "body": {"error": {"code": 80003}}}),
    ],
)
def test_a_create_that_fails_without_a_word_makes_one_audience(
    account: Account, clock: Clock, kind: Any, more: Any
) -> None:
    account.fault(kind, "customaudiences", "POST", **more)
    with account.open() as writer:
        ref = writer.ensure(account.audience())
    assert [held["id"] for held in account.audiences()] == [ref.id]
    assert len(clock.slept) == 1


def test_gives_up_creating_after_some_tries(account: Account, clock: Clock) -> None:
    account.fault("reset", "customaudiences", "POST", times=None)
    with account.open() as writer, pytest.raises(TransientError):
        writer.ensure(account.audience())
    assert len(clock.slept) == 3
    assert account.audiences() == []


def test_a_new_audience_that_cannot_be_read_yet(account: Account, clock: Clock) -> None:
    account.configure(create_lag=2)
    with account.open() as writer:
        ref = writer.ensure(account.audience())
    assert clock.slept == [0.5, 1.0, 2.0]
    assert [held["id"] for held in account.audiences()] == [ref.id]


def test_a_new_audience_that_never_can_be_read(account: Account, clock: Clock) -> None:
    account.configure(create_lag=3_600)
    with account.open() as writer, pytest.raises(ConfigError, match="does not exist"):
        writer.ensure(account.audience())
    assert len(account.audiences()) == 1


def test_a_deleted_audience_is_replaced_by_the_one_with_its_marker_or_a_new_one(account: Account) -> None:
    with account.open() as writer:
        ref = writer.ensure(account.audience("a"))
        account.call("DELETE", ref.id)
        new = writer.ensure(account.audience("a", ref=ref))
        assert new.id != ref.id
        assert writer.ensure(account.audience("a", ref=ref)).id == new.id
    assert len(account.audiences()) == 1


def test_a_ref_of_another_account_is_not_followed(account: Account) -> None:
    foreign = AudienceRef(id="12", account="act_1")
    with account.open() as writer:
        ref = writer.ensure(account.audience(ref=foreign))
    assert account.held(ref.id)["account_id"] == str(account.number)


def test_size_bounds_and_statuses_after_an_upload(account: Account, batch: numbered.MakeBatch) -> None:
    with account.open() as writer:
        ref = writer.ensure(account.audience())
        writer.write(batch(ref, range(3)))
        ref = writer.ensure(account.audience(ref=ref))
    assert (ref.lower_bound, ref.upper_bound, ref.matched) == (0, 100, (0, 100))
    assert ref.status.startswith("200 Normal; 300 ")


def test_a_flagged_audience_needs_a_person(account: Account) -> None:
    with account.open() as writer:
        ref = writer.ensure(account.audience())
        account.control("POST", f"audiences/{ref.id}", {"operation_status": 471})
        with pytest.raises(ConfigError, match=r"integrity.*neutral name"):
            writer.ensure(account.audience(ref=ref))


def test_a_refused_create_names_what_to_check(account: Account) -> None:
    account.fails(100, path_regex="customaudiences", after=1)
    with account.open() as writer, pytest.raises(ConfigError, match=r"act_\d+: Meta refuses .*100.*Check the audience"):
        writer.ensure(account.audience())


def test_row_07_terms_not_accepted(account: Account) -> None:
    account.configure_account(terms_accepted=False)
    with account.open() as writer, pytest.raises(ConfigError, match=r"terms.*2663.*customaudiences/tos"):
        writer.ensure(account.audience())
    account.configure_account(terms_accepted=True, user_terms_accepted=False)
    with account.open() as writer, pytest.raises(ConfigError, match=r"terms.*200/1870090"):
        writer.ensure(account.audience())


def test_row_10_no_room_for_another_audience(account: Account) -> None:
    account.fails(2654, path_regex="customaudiences", after=1)
    with account.open() as writer, pytest.raises(ConfigError, match="at most 500"):
        writer.ensure(account.audience())


def test_a_new_name_keeps_the_marker_and_another_is_left_alone(account: Account) -> None:
    with account.open() as writer:
        ref = writer.ensure(account.audience())
        assert ref.name == "VIP"
        renamed = writer.ensure(replace(account.audience(ref=ref, rename=True), name="Best customers"))
        assert (renamed.id, renamed.name) == (ref.id, "Best customers")
        assert writer.ensure(replace(account.audience(ref=ref), name="Other")).name == "Best customers"
        assert writer.ensure(replace(account.audience(), name="Other")).id == ref.id
    held = account.held(ref.id)
    assert (held["name"], held["description"]) == ("Best customers", "From the CDP [cdp-bridge:vip]")


def test_a_name_that_it_has_already_is_not_set_again(account: Account) -> None:
    with account.open() as writer:
        ref = writer.ensure(account.audience())
        account.fails(100, None, f"/{ref.id}$", method="POST", times=None)
        assert writer.ensure(account.audience(ref=ref, rename=True)).name == "VIP"
        with pytest.raises(ConfigError, match="Meta refuses the request"):
            writer.ensure(replace(account.audience(ref=ref, rename=True), name="Best customers"))
