"""Platforms forget members who were not sent again: all are, at half of that time, and nobody for another reason."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

DAY = 86_400


def age(bed: Any, days: int, *user_ids: str) -> None:
    """Let what the ledger has of some members be so old."""
    members = [one for chunk in bed.store.ledger.members("vip") for one in chunk if one.user_id in user_ids]
    rows = [(one.member_key, one.fingerprint, one.user_id, one.identifiers) for one in members]
    with bed.store.lease("vip") as lease, bed.store.transaction(lease) as transaction:
        transaction.put_members("vip", rows, "accepted", datetime.now(UTC) - timedelta(days=days))


@pytest.mark.parametrize("incremental", [False, True])
def test_who_was_sent_long_ago_is_sent_again(each_bed: Any, incremental: bool) -> None:
    bed = each_bed
    bed.platform.expires = 10 * DAY
    bed.configure(incremental=incremental)
    bed.sync()
    age(bed, 6, "u0", "u3")
    age(bed, 4, "u1")
    log = bed.sync()
    assert (log.status, log.adds, log.changes, log.removes) == ("succeeded", 0, 0, 0)
    assert bed.platform.operations == [("add", 2)]
    bed.assert_equal()
    assert bed.sync().membership_calls == 0


def test_who_has_changed_or_left_meanwhile_is_treated_so(bed: Any) -> None:
    bed.platform.expires = 10 * DAY
    bed.sync()
    age(bed, 6, "u0", "u1", "u2")
    bed.cdp.drop("u0")
    bed.cdp.put("u1", email="new@example.com")
    log = bed.sync()
    assert (log.changes, log.removes, bed.platform.operations) == (1, 1, [("remove", 2), ("add", 2)])
    bed.assert_equal()


def test_a_platform_that_does_not_forget_is_left_alone(bed: Any) -> None:
    bed.sync()
    age(bed, 5_000, "u0", "u1")
    assert bed.sync().membership_calls == 0
