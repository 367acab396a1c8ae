"""Platforms forget members who were not sent again: all are, at half of that time, and nobody for another reason."""

from datetime import UTC, datetime, timedelta

import pytest

from ..conftest import SyncHarness

DAY = 86_400


def age(harness: SyncHarness, days: int, *user_ids: str) -> None:
    """Let what the ledger has of some members be so old."""
    members = [one for chunk in harness.store.ledger.members("vip") for one in chunk if one.user_id in user_ids]
    rows = [(one.member_key, one.fingerprint, one.user_id, one.identifiers) for one in members]
    with harness.store.lease("vip") as lease, harness.store.transaction(lease) as transaction:
        transaction.put_members("vip", rows, "accepted", datetime.now(UTC) - timedelta(days=days))


@pytest.mark.parametrize("incremental", [False, True])
def test_who_was_sent_long_ago_is_sent_again(each_harness: SyncHarness, incremental: bool) -> None:
    harness = each_harness
    harness.platform.expires = 10 * DAY
    harness.configure(incremental=incremental)
    harness.sync()
    age(harness, 6, "u0", "u3")
    age(harness, 4, "u1")
    log = harness.sync()
    assert (log.status, log.adds, log.changes, log.removes) == ("succeeded", 0, 0, 0)
    assert harness.platform.operations == [("add", 2)]
    harness.assert_equal()
    assert harness.sync().membership_calls == 0


def test_who_has_changed_or_left_meanwhile_is_treated_so(harness: SyncHarness) -> None:
    harness.platform.expires = 10 * DAY
    harness.sync()
    age(harness, 6, "u0", "u1", "u2")
    harness.cdp.drop("u0")
    harness.cdp.put("u1", email="new@example.com")
    log = harness.sync()
    assert (log.changes, log.removes, harness.platform.operations) == (1, 1, [("remove", 2), ("add", 2)])
    harness.assert_equal()


def test_a_platform_that_does_not_forget_is_left_alone(harness: SyncHarness) -> None:
    harness.sync()
    age(harness, 5_000, "u0", "u1")
    assert harness.sync().membership_calls == 0
