"""Somebody leaves whose e-mail or phone another member has too: the platform drops both, so the other is sent again."""

import pytest
from cdp_bridge.model import Outcome

from ..conftest import SyncHarness


class Killed(BaseException):
    """Stands for the end of the process at a failpoint."""


@pytest.fixture
def household(harness: SyncHarness) -> SyncHarness:
    """u0 and u1 share a phone, u1 and u2 an e-mail address."""
    harness.cdp.put("u0", email="u0@example.com", phone="+14155550190")
    harness.cdp.put("u1", email=["u1@example.com", "both@example.com"], phone="+14155550190")
    harness.cdp.put("u2", email=["u2@example.com", "both@example.com"], phone="+14155550102")
    harness.sync()
    harness.assert_equal()
    return harness


def test_who_stays_is_sent_again_after_the_removal(household: SyncHarness) -> None:
    household.cdp.drop("u0")
    log = household.sync()
    assert (log.status, log.removes, log.adds, log.changes) == ("succeeded", 1, 0, 0)
    assert household.platform.operations == [("remove", 1), ("add", 1)]
    assert [batch.total for batch in household.platform.batches] == [1, 1]
    household.assert_equal()
    assert household.sync().membership_calls == 0


def test_both_neighbours_are_sent_again(household: SyncHarness) -> None:
    household.cdp.drop("u1")
    household.sync()
    assert household.platform.operations == [("remove", 1), ("add", 2)]
    household.assert_equal()


def test_a_changed_identifier_is_a_removal_too(household: SyncHarness) -> None:
    household.cdp.put("u0", email="u0@example.com", phone="+14155550199")
    household.sync()
    assert household.platform.operations == [("remove", 1), ("add", 2)]
    household.assert_equal()


def test_a_newcomer_who_takes_over_an_identifier_comes_after(household: SyncHarness) -> None:
    household.cdp.drop("u0")
    household.cdp.put("u9", email="u0@example.com")
    household.sync()
    assert household.platform.operations == [("remove", 1), ("add", 2)]
    household.assert_equal()


def test_it_is_so_in_a_read_of_changes_too(household: SyncHarness) -> None:
    household.configure(incremental=True)
    household.sync()
    household.cdp.drop("u0")
    household.sync()
    assert household.cdp.requests[-1].checkpoint is not None
    household.assert_equal()


@pytest.mark.parametrize("incremental", [False, True])
@pytest.mark.parametrize(
    ("point", "passes"),
    [
        ("diffed", 1),
        ("delivery_opened", 1),
        ("written", 1),
        ("delivery_closed", 1),
        ("delivery_opened", 2),
        ("written", 2),
        ("delivery_closed", 3),
    ],
)
def test_a_death_on_the_way_loses_nobody(
    household: SyncHarness, monkeypatch: pytest.MonkeyPatch, point: str, passes: int, incremental: bool
) -> None:
    household.configure(incremental=incremental)
    household.sync()
    household.cdp.drop("u0")
    left = [passes]

    def die(name: str) -> None:
        left[0] -= name == point
        if name == point and left[0] == 0:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("cdp_bridge.delivery.transfer.failpoint", die)
        patch.setattr("cdp_bridge.sync.audience.failpoint", die)
        with pytest.raises(Killed):
            household.sync()
    assert household.store.runs("vip")[0].status == "running"
    household.sync()
    household.assert_equal()
    assert "running" not in {run.status for run in household.store.runs("vip")}


def test_who_was_refused_is_not_sent_again_for_sharing(household: SyncHarness) -> None:
    household.platform.hated = {value: "bad" for _, value in household.ledger()["u4"]}
    household.cdp.put("u9", email="u9@example.com", phone="+14155550104")
    assert household.sync().rejected == 1
    household.cdp.drop("u4")
    household.platform.hated.clear()
    household.sync()
    assert household.platform.operations == [("remove", 1)]


@pytest.mark.parametrize("incremental", [False, True])
def test_nobody_who_shares_is_sent_while_the_removal_is_under_way(household: SyncHarness, incremental: bool) -> None:
    household.configure(incremental=incremental)
    household.sync()
    household.cdp.drop("u0")
    household.cdp.put("u9", email="u9@example.com", phone="+14155550190")
    household.cdp.put("u8", email="u8@example.com")
    household.platform.answers = [lambda batch: Outcome(pending="job 7")]
    log = household.sync()
    assert (log.status, household.platform.operations) == ("partial", [("remove", 1), ("add", 1)])
    (removal,) = [batch for batch in household.platform.batches if batch.operation == "remove"]
    household.platform.settlements = [Outcome(pending="job 7")]
    assert household.sync().membership_calls == 0
    household.platform.apply(removal)
    household.platform.settlements = [Outcome()]
    household.sync()
    assert household.platform.operations == [("add", 2)]
    household.assert_equal()
