"""Finding and creating user lists: one for each marker, whatever happens on the way; their state and size."""

from typing import Any

import pytest
from cdp_bridge.sdk import AudienceRef, ConfigError, TransientError
from sandbox.trial import Clock

from .conftest import Account

LISTS = "/userLists"


def test_creates_a_list_for_contacts_with_the_marker_as_integration_code(account: Account) -> None:
    with account.open(membership_days=30) as writer:
        ref = writer.ensure(account.audience("a1", description="From the CDP"))
    shown = account.call("GET", f"/{ref.id}")
    assert (shown["integrationCode"], shown["description"]) == ("cdp-bridge:a1", "From the CDP")
    assert shown["displayName"].startswith("VIP [")
    assert shown["membershipDuration"] == f"{30 * 86_400}s"
    info = shown["ingestedUserListInfo"]
    assert info["uploadKeyTypes"] == ["CONTACT_ID"]
    assert info["contactIdInfo"]["dataSourceType"] == "DATA_SOURCE_TYPE_FIRST_PARTY"
    assert ref == AudienceRef(
        id=shown["id"],
        account=account.number,
        name=shown["displayName"],
        status="OPEN; no size yet: Google wants 100 active people",
    )


def test_finds_it_again_by_ref_and_by_marker(account: Account) -> None:
    with account.open() as writer:
        ref = writer.ensure(account.audience("a"))
        other = writer.ensure(account.audience("ab"))
        assert writer.ensure(account.audience("a")).id == ref.id
        assert writer.ensure(account.audience("a", name="Renamed", ref=ref)).id == ref.id
        assert writer.ensure(account.audience("ab")).id == other.id
    assert len(account.audiences()) == 2


@pytest.mark.parametrize("marker", ['a"b', "a\\", 'a" OR integration_code = "x', "ä b"])
def test_no_marker_breaks_the_filter(account: Account, marker: str) -> None:
    with account.open() as writer:
        writer.ensure(account.audience("x"))
        ref = writer.ensure(account.audience(marker))
        assert writer.ensure(account.audience(marker)).id == ref.id
    assert len(account.audiences()) == 2


def test_a_filter_that_takes_too_much_finds_no_other_list(account: Account) -> None:
    page = {"userLists": [{"id": "1", "integrationCode": "cdp-bridge:VIP"}, {"id": "2"}]}
    account.fault("status", LISTS, "GET", status=200, body=page)
    with account.open() as writer:
        assert writer.ensure(account.audience("vip")).id not in ("1", "2")


def test_finds_the_oldest_on_a_later_page(account: Account) -> None:
    entry = {"integrationCode": "cdp-bridge:vip", "membershipDuration": "46656000s"}
    first = {"userLists": [{"id": "77"} | entry, {"id": "100"} | entry], "nextPageToken": "more"}
    account.fault("status", LISTS, "GET", status=200, body=first)
    account.fault("status", LISTS, "GET", status=200, body={"userLists": [{"id": "8"} | entry]})
    with account.open() as writer:
        assert writer.ensure(account.audience()).id == "8"


def test_names_that_differ_in_the_marker_only_do_not_collide_and_long_ones_fit(account: Account) -> None:
    with account.open() as writer:
        refs = [writer.ensure(account.audience(marker, name="x" * 300)) for marker in "ab"]
    names = {account.held(ref.id)["name"] for ref in refs}
    assert [len(name) for name in names] == [255, 255]


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("accepted_then_reset", {}),
        ("reset", {}),
        ("broken_json", {}),
        ("status", {"status": 502}),
        ("accepted_then_error", {"status": 503}),
        ("accepted_then_error", {"status": 200, "body": {"name": "x"}}),
        ("accepted_then_error", {"status": 429, "body": {"error": {"status": "RESOURCE_EXHAUSTED"}}}),
    ],
)
def test_a_create_that_fails_without_a_word_makes_one_list(
    account: Account, clock: Clock, kind: Any, more: Any
) -> None:
    account.fault(kind, LISTS, "POST", **more)
    with account.open() as writer:
        ref = writer.ensure(account.audience())
    assert [held["id"] for held in account.audiences()] == [ref.id]
    assert len(clock.slept) == 1


def test_a_list_that_the_search_does_not_show_yet_is_waited_for(account: Account, clock: Clock) -> None:
    with account.open() as writer:
        ref = writer.ensure(account.audience())
        account.fault("status", LISTS, "GET", status=200, body={})
        assert writer.ensure(account.audience()).id == ref.id
    assert len(account.audiences()) == 1
    assert clock.slept == [1.0]


def test_gives_up_creating_after_some_tries(account: Account, clock: Clock) -> None:
    account.fault("reset", LISTS, "POST", times=None)
    with account.open() as writer, pytest.raises(TransientError):
        writer.ensure(account.audience())
    assert len(clock.slept) == 3
    assert account.audiences() == []


def test_a_deleted_list_is_made_anew_and_a_ref_of_another_account_not_followed(account: Account) -> None:
    with account.open() as writer:
        ref = writer.ensure(account.audience())
        account.call("DELETE", f"/{ref.id}")
        new = writer.ensure(account.audience(ref=ref))
        assert new.id != ref.id
        foreign = AudienceRef(id=ref.id, account="7")
        assert writer.ensure(account.audience(ref=foreign)).id == new.id


def test_the_membership_follows_the_settings(account: Account) -> None:
    with account.open() as writer:
        ref = writer.ensure(account.audience())
    with account.open(membership_days=7) as writer:
        assert writer.ensure(account.audience(ref=ref)).id == ref.id
    assert account.call("GET", f"/{ref.id}")["membershipDuration"] == f"{7 * 86_400}s"


@pytest.mark.parametrize(
    ("state", "why"),
    [
        ({"readOnly": True}, "only be read"),
        ({"membershipStatus": "CLOSED"}, "it is closed"),
        ({"membershipStatus": "CLOSED", "closingReason": "UNUSED"}, "was not used"),
        ({"accountAccessStatus": "DISABLED"}, "access to it is disabled"),
    ],
)
def test_a_list_that_takes_no_members_is_refused_with_a_remedy(account: Account, state: Any, why: str) -> None:
    with account.open() as writer:
        ref = writer.ensure(account.audience())
        shown = {"id": ref.id, "membershipDuration": "46656000s"} | state
        account.fault("status", f"{LISTS}/{ref.id}", "GET", status=200, body=shown)
        with pytest.raises(ConfigError, match=rf"user list {ref.id}.*{why}.*Open the list in Google Ads"):
            writer.ensure(account.audience(ref=ref))


def test_row_14_a_list_that_somebody_closed(account: Account) -> None:
    with account.open() as writer:
        ref = writer.ensure(account.audience())
        account.call("PATCH", f"/{ref.id}?updateMask=membershipStatus", membershipStatus="CLOSED")
        with pytest.raises(ConfigError, match="closed"):
            writer.ensure(account.audience(ref=ref))
        with pytest.raises(ConfigError, match="closed"):
            writer.ensure(account.audience())
    assert len(account.audiences()) == 1


@pytest.mark.parametrize(
    ("size", "status", "bound"),
    [
        ({"displayNetworkMembersCount": "1800", "searchNetworkMembersCount": "900"}, "OPEN; ready", 1_800),
        ({"youtubeMembersCount": "40"}, "OPEN; below Google's minimum of 100 active people", 40),
        ({"gmailMembersCount": "0"}, "OPEN; no size yet: Google wants 100 active people", None),
    ],
)
def test_size_and_state(account: Account, size: Any, status: str, bound: Any) -> None:
    with account.open() as writer:
        ref = writer.ensure(account.audience())
        shown = {"id": ref.id, "membershipDuration": "46656000s", "sizeInfo": size}
        account.fault("status", f"{LISTS}/{ref.id}", "GET", status=200, body=shown)
        ref = writer.ensure(account.audience(ref=ref))
    assert (ref.status, ref.lower_bound, ref.upper_bound) == (status, bound, bound)
    # The size counts active people: it says nothing of whom Google knows.
    assert (ref.matched, ref.match_rate) == (None, None)


def test_the_match_rate_is_read_apart_from_the_size(account: Account) -> None:
    with account.open() as writer:
        ref = writer.ensure(account.audience())
        info = {"ingestedUserListInfo": {"contactIdInfo": {"matchRatePercentage": 63}}}
        shown = {"id": ref.id, "membershipDuration": "46656000s", **info}
        account.fault("status", f"{LISTS}/{ref.id}", "GET", status=200, body=shown)
        ref = writer.ensure(account.audience(ref=ref))
    assert (ref.matched, ref.match_rate) == (None, (0.63, 0.63))


def test_row_33_without_the_declaration_on_political_ads(account: Account) -> None:
    account.configure_account(eu_declaration=False)
    with account.open() as writer, pytest.raises(ConfigError, match=r"political ads.*Make the declaration"):
        writer.ensure(account.audience())


def test_a_list_is_reached_through_a_manager(account: Account) -> None:
    other = f"{account.number}9"
    manager = {"name": "Manager", "users": [account.user], "is_manager": True}
    account.configure(accounts={other: manager, account.number: {"users": [], "manager": other}})
    with account.open() as writer, pytest.raises(ConfigError, match=r"does not reach.*login account"):
        writer.ensure(account.audience())
    with account.open(login_account={"account_id": other}) as writer:
        assert writer.ensure(account.audience()).id


def test_what_google_does_not_take_of_a_list_is_a_matter_of_settings(account: Account) -> None:
    account.fails("INVALID_ARGUMENT", LISTS, field="user_list.display_name", method="POST")
    with account.open() as writer, pytest.raises(ConfigError, match=r"INVALID_ARGUMENT.*Check the audience's name"):
        writer.ensure(account.audience())


def test_a_new_name_keeps_the_marker_and_another_is_left_alone(account: Account) -> None:
    with account.open() as writer:
        ref = writer.ensure(account.audience())
        renamed = writer.ensure(account.audience(name="Best customers", ref=ref, rename=True))
        assert (renamed.id, renamed.name) == (ref.id, ref.name.replace("VIP", "Best customers"))
        assert writer.ensure(account.audience(name="Other", ref=renamed)).name == renamed.name
        assert writer.ensure(account.audience(name="Other")).id == ref.id
    shown = account.call("GET", f"/{ref.id}")
    assert (shown["displayName"], shown["integrationCode"]) == (renamed.name, "cdp-bridge:vip")


def test_new_name_and_membership_are_one_change(account: Account) -> None:
    with account.open() as writer:
        ref = writer.ensure(account.audience())
    account.fault("status", LISTS, "PATCH", after=1)
    with account.open(membership_days=30) as writer:
        renamed = writer.ensure(account.audience(name="Best customers", ref=ref, rename=True))
    shown = account.call("GET", f"/{ref.id}")
    assert (shown["displayName"], shown["membershipDuration"]) == (renamed.name, f"{30 * 86_400}s")


def test_a_size_that_google_told_and_tells_no_more_is_below_the_minimum(account: Account) -> None:
    with account.open() as writer:
        ref = writer.ensure(account.audience())
        assert (ref.lower_bound, ref.upper_bound) == (None, None)
        assert writer.ensure(account.audience(ref=ref)).upper_bound is None
        account.fault("status", LISTS, "GET", status=200, body=shown_list(ref.id, 1_200))
        told = writer.ensure(account.audience(ref=ref))
        assert (told.lower_bound, told.upper_bound) == (1_200, 1_200)
        for _ in range(2):
            told = writer.ensure(account.audience(ref=told))
            assert (told.lower_bound, told.upper_bound) == (0, 99)


def shown_list(number: str, size: int) -> dict[str, Any]:
    """What Google tells of a list of this size."""
    size_info = {"searchNetworkMembersCount": str(size)}
    return {"id": number, "displayName": "x", "membershipDuration": "46656000s", "sizeInfo": size_info}
