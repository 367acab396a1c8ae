"""Removals that look like a broken extract wait for a person; those of suppressed people never do."""

from pathlib import Path

import pytest

from ..conftest import SyncHarness


@pytest.fixture
def ten(harness: SyncHarness) -> SyncHarness:
    for number in range(5, 10):
        harness.cdp.put(f"u{number}", email=f"u{number}@example.com")
    harness.sync()
    return harness


def test_an_empty_extract_removes_nobody(ten: SyncHarness) -> None:
    ten.cdp.people.clear()
    log = ten.sync()
    assert (log.status, log.removes, ten.platform.calls) == ("waiting", 0, 0)
    why = "10 removals wait for approval, since the extract is empty"
    assert log.error == f"{why}. Check the segment, then sync with --approve-removals"
    assert len(ten.platform.held) == 10


def test_an_empty_extract_removes_nobody_whatever_the_limit(ten: SyncHarness) -> None:
    ten.configure(removal_limit=1.0)
    ten.cdp.people.clear()
    assert ten.sync().status == "waiting"
    assert len(ten.platform.held) == 10


@pytest.mark.parametrize(("gone", "status"), [(3, "succeeded"), (4, "waiting")])
def test_removals_above_the_limit_wait_and_additions_go_on(ten: SyncHarness, gone: int, status: str) -> None:
    ten.cdp.drop(*(f"u{number}" for number in range(gone)))
    ten.cdp.put("new", email="new@example.com")
    ten.cdp.put("u9", email="changed@example.com")
    log = ten.sync()
    assert (log.status, log.adds, log.changes) == (status, 1, 1)
    assert log.removes == (0 if status == "waiting" else gone)
    assert ten.eligible() <= ten.platform.held
    assert len(ten.platform.held) == (11 if status == "waiting" else 11 - gone)


def test_approval_carries_them_out(ten: SyncHarness) -> None:
    ten.cdp.drop(*(f"u{number}" for number in range(6)))
    assert ten.sync().status == "waiting"
    log = ten.sync(approve_removals=True)
    assert (log.status, log.removes, log.error) == ("succeeded", 6, "")
    ten.assert_equal()


def test_an_emptied_segment_can_be_approved(ten: SyncHarness) -> None:
    ten.cdp.people.clear()
    assert ten.sync(approve_removals=True).status == "succeeded"
    ten.assert_equal()
    assert ten.sync().status == "succeeded"


def test_nobody_shared_is_sent_again_for_a_removal_that_waits(ten: SyncHarness) -> None:
    ten.cdp.put("u9", email="u0@example.com")
    ten.sync()
    ten.cdp.drop(*(f"u{number}" for number in range(6)))
    ten.sync()
    assert ten.platform.calls == 0
    assert not ten.doubts()


def test_suppressed_people_do_not_wait(ten: SyncHarness, tmp_path: Path) -> None:
    ten.suppress(tmp_path / "list", *(f"u{number}@example.com" for number in range(6)))
    log = ten.sync()
    assert (log.status, log.removes) == ("succeeded", 6)
    assert len(ten.platform.held) == 4


@pytest.mark.parametrize("how", ["absent", "without consent", "empty extract"])
def test_suppressed_people_do_not_wait_whatever_else_the_extract_says_of_them(
    ten: SyncHarness, tmp_path: Path, how: str
) -> None:
    ten.suppress(tmp_path / "list", "u0@example.com", "+14155550101")
    for number in range(6):
        if how == "without consent":
            ten.cdp.put(f"u{number}", email=f"u{number}@example.com", phone=f"+1415555010{number}", ok="no")
        else:
            ten.cdp.drop(f"u{number}")
    if how == "empty extract":
        ten.cdp.people.clear()
    log = ten.sync()
    assert (log.status, log.removes) == ("waiting", 2)
    assert "u0" not in ten.ledger()
    assert "u1" not in ten.ledger()
    assert len(ten.platform.held) == 8


def test_a_source_that_breaks_off_sends_nothing(ten: SyncHarness) -> None:
    ten.cdp.put("new", email="new@example.com")
    ten.cdp.drop("u0")
    ten.cdp.breaks = RuntimeError("u0@example.com")
    log = ten.sync()
    assert (log.status, log.error) == (
        "failed",
        "source-test failed with RuntimeError; this is a fault in the connector",
    )
    assert (ten.platform.calls, len(ten.platform.held)) == (0, 10)
    ten.cdp.breaks = None
    ten.sync()
    ten.assert_equal()
