"""What the platform says late of earlier deliveries is heard after the read, and counts for what was read before."""

from collections.abc import Callable
from typing import Any

import pytest
from cdp_bridge.errors import RejectedError
from cdp_bridge.model import Batch, Outcome

from ..conftest import SyncHarness


@pytest.fixture
def heard(harness: SyncHarness, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Batch], None]:
    """Function: how the next settling ends; the platform has done by then what it says, and asserts who was read."""

    def will_be(how: str, batch: Batch) -> None:
        answers: dict[str, Any] = {
            "accepted": Outcome(),
            "rejected": Outcome(rejected=dict.fromkeys(batch.keys, "late")),
            "unknown": Outcome(unknown=frozenset(batch.keys)),
            "unknown, done": Outcome(unknown=frozenset(batch.keys)),
            "forgotten": RejectedError("no such job", reason="x:404"),
            "forgotten, done": RejectedError("no such job", reason="x:404"),
            "still pending": Outcome(pending="job"),
        }
        reads = len(harness.cdp.requests)

        def settle(*_: Any) -> Outcome:
            assert len(harness.cdp.requests) == reads + 1
            monkeypatch.undo()
            if how in ("accepted", "unknown, done", "forgotten, done"):
                harness.platform.apply(batch)
            harness.platform.settlements = [answers[how]]
            outcome: Outcome = harness.platform.settle(*_)
            return outcome

        monkeypatch.setattr(harness.platform, "settle", settle)

    return will_be


def pending(batch: Batch) -> Outcome:
    return Outcome(pending="job")


@pytest.mark.parametrize(
    "how", ["accepted", "unknown", "unknown, done", "forgotten", "forgotten, done", "rejected", "still pending"]
)
@pytest.mark.parametrize("operation", ["add", "remove", "change"])
def test_all_sides_are_equal_whatever_became_of_it(
    harness: SyncHarness, heard: Callable[[str, Batch], None], operation: str, how: str
) -> None:
    """The delivery is of three people: of whom one is the same ever since, one has changed, one has left."""
    people = {name: dict(harness.cdp.people[name]) for name in ("u0", "u1", "u2")}
    if operation == "add":
        harness.cdp.drop(*people)
    harness.sync()
    for name, person in people.items():
        if operation == "remove":
            harness.cdp.drop(name)
        else:
            harness.cdp.put(name, **person if operation == "add" else {"email": f"new{name}@example.com"})
    harness.platform.answers = [pending]
    harness.sync(approve_removals=True)
    (sent,) = harness.platform.batches
    assert (sent.operation == "add", len(sent.keys)) == (operation == "add", 3)

    harness.cdp.put("u1", email="newer@example.com")
    harness.cdp.people.pop("u2", None)
    heard(how, sent)
    log = harness.sync(approve_removals=True)
    assert log.status in ("succeeded", "partial"), log.error
    if how == "still pending":
        assert log.membership_calls == 0
        heard("accepted", sent)
        harness.sync(approve_removals=True)
    # Whoever was held back comes with the next run; whose addition was refused, once there is something new of it.
    harness.sync(approve_removals=True)
    if (operation, how) == ("add", "rejected"):
        assert [letter.reason for letter in harness.store.dead_letters.listed("vip")] == ["late"]
        harness.cdp.put("u0", email="better@example.com")
        harness.sync()
    harness.assert_equal()
    assert harness.sync().membership_calls == 0


def test_a_big_delivery_that_settles_is_no_difference(
    harness: SyncHarness, heard: Callable[[str, Batch], None]
) -> None:
    harness.platform.answers = [pending]
    harness.sync()
    heard("accepted", harness.platform.batches[0])
    log = harness.sync()
    assert (log.status, log.adds, log.changes, log.removes, log.membership_calls) == ("succeeded", 0, 0, 0, 0)
    harness.assert_equal()


def test_a_preview_knows_of_what_is_not_settled(harness: SyncHarness) -> None:
    harness.platform.answers = [pending]
    harness.sync()
    preview = harness.preview()
    assert (preview.adds, preview.changes, preview.removes) == (0, 0, 0)
    harness.cdp.drop("u0")
    assert harness.preview().removes == 1


def test_who_shares_with_a_removal_is_sent_again_though_an_addition_was_under_way(harness: SyncHarness) -> None:
    harness.cdp.put("u0", email="u0@example.com", phone="+14155550190")
    harness.sync()
    harness.cdp.put("new", email="new@example.com", phone="+14155550190")
    harness.platform.answers = [lambda batch: Outcome(pending="addition")]
    harness.sync()
    (addition,) = harness.platform.batches
    harness.cdp.drop("u0")
    harness.platform.settlements = [Outcome(pending="addition")]
    harness.platform.answers = [lambda batch: Outcome(pending="removal")]
    harness.sync()
    (removal,) = harness.platform.batches
    harness.platform.apply(addition)
    harness.platform.apply(removal)
    harness.platform.settlements = [Outcome(), Outcome()]
    harness.sync()
    harness.sync()
    harness.assert_equal()


def test_who_is_on_the_way_is_not_sent_a_second_time_for_sharing(harness: SyncHarness) -> None:
    harness.cdp.put("u0", email="u0@example.com", phone="+14155550190")
    harness.sync()
    harness.cdp.put("new", email="new@example.com", phone="+14155550190")
    harness.platform.answers = [pending]
    harness.sync()
    (addition,) = harness.platform.batches
    harness.cdp.drop("u0")
    harness.platform.settlements = [Outcome(pending="job")]
    log = harness.sync()
    assert (log.status, harness.platform.operations) == ("partial", [("remove", 1)])
    harness.platform.apply(addition)
    harness.platform.settlements = [Outcome()]
    harness.sync()
    assert harness.platform.operations == [("add", 1)]
    harness.assert_equal()
