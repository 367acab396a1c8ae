"""What the platform says late of earlier deliveries is heard after the read, and counts for what was read before."""

from typing import Any

import pytest
from cdp_bridge.errors import RejectedError
from cdp_bridge.model import Batch, Outcome


@pytest.fixture
def heard(bed: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
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
        reads = len(bed.cdp.requests)

        def settle(*_: Any) -> Outcome:
            assert len(bed.cdp.requests) == reads + 1
            monkeypatch.undo()
            if how in ("accepted", "unknown, done", "forgotten, done"):
                bed.platform.apply(batch)
            bed.platform.settlements = [answers[how]]
            outcome: Outcome = bed.platform.settle(*_)
            return outcome

        monkeypatch.setattr(bed.platform, "settle", settle)

    return will_be


def pending(batch: Batch) -> Outcome:
    return Outcome(pending="job")


@pytest.mark.parametrize(
    "how", ["accepted", "unknown", "unknown, done", "forgotten", "forgotten, done", "rejected", "still pending"]
)
@pytest.mark.parametrize("operation", ["add", "remove", "change"])
def test_all_sides_are_equal_whatever_became_of_it(bed: Any, heard: Any, operation: str, how: str) -> None:
    """The delivery is of three people: of whom one is the same ever since, one has changed, one has left."""
    people = {name: dict(bed.cdp.people[name]) for name in ("u0", "u1", "u2")}
    if operation == "add":
        bed.cdp.drop(*people)
    bed.sync()
    for name, person in people.items():
        if operation == "remove":
            bed.cdp.drop(name)
        else:
            bed.cdp.put(name, **person if operation == "add" else {"email": f"new{name}@example.com"})
    bed.platform.answers = [pending]
    bed.sync(approve_removals=True)
    (sent,) = bed.platform.batches
    assert (sent.operation == "add", len(sent.keys)) == (operation == "add", 3)

    bed.cdp.put("u1", email="newer@example.com")
    bed.cdp.people.pop("u2", None)
    heard(how, sent)
    log = bed.sync(approve_removals=True)
    assert log.status in ("succeeded", "partial"), log.error
    if how == "still pending":
        assert log.membership_calls == 0
        heard("accepted", sent)
        bed.sync(approve_removals=True)
    # Whoever was held back comes with the next run; whose addition was refused, once there is something new of it.
    bed.sync(approve_removals=True)
    if (operation, how) == ("add", "rejected"):
        assert [letter.reason for letter in bed.store.dead_letters.newest("vip")] == ["late"]
        bed.cdp.put("u0", email="better@example.com")
        bed.sync()
    bed.assert_equal()
    assert bed.sync().membership_calls == 0


def test_a_big_delivery_that_settles_is_no_difference(bed: Any, heard: Any) -> None:
    bed.platform.answers = [pending]
    bed.sync()
    heard("accepted", bed.platform.batches[0])
    log = bed.sync()
    assert (log.status, log.adds, log.changes, log.removes, log.membership_calls) == ("succeeded", 0, 0, 0, 0)
    bed.assert_equal()


def test_a_preview_knows_of_what_is_not_settled(bed: Any) -> None:
    bed.platform.answers = [pending]
    bed.sync()
    preview = bed.preview()
    assert (preview.adds, preview.changes, preview.removes) == (0, 0, 0)
    bed.cdp.drop("u0")
    assert bed.preview().removes == 1


def test_who_shares_with_a_removal_is_sent_again_though_an_addition_was_under_way(bed: Any) -> None:
    bed.cdp.put("u0", email="u0@example.com", phone="+14155550190")
    bed.sync()
    bed.cdp.put("new", email="new@example.com", phone="+14155550190")
    bed.platform.answers = [lambda batch: Outcome(pending="addition")]
    bed.sync()
    (addition,) = bed.platform.batches
    bed.cdp.drop("u0")
    bed.platform.settlements = [Outcome(pending="addition")]
    bed.platform.answers = [lambda batch: Outcome(pending="removal")]
    bed.sync()
    (removal,) = bed.platform.batches
    bed.platform.apply(addition)
    bed.platform.apply(removal)
    bed.platform.settlements = [Outcome(), Outcome()]
    bed.sync()
    bed.sync()
    bed.assert_equal()


def test_who_is_on_the_way_is_not_sent_a_second_time_for_sharing(bed: Any) -> None:
    bed.cdp.put("u0", email="u0@example.com", phone="+14155550190")
    bed.sync()
    bed.cdp.put("new", email="new@example.com", phone="+14155550190")
    bed.platform.answers = [pending]
    bed.sync()
    (addition,) = bed.platform.batches
    bed.cdp.drop("u0")
    bed.platform.settlements = [Outcome(pending="job")]
    log = bed.sync()
    assert (log.status, bed.platform.operations) == ("partial", [("remove", 1)])
    bed.platform.apply(addition)
    bed.platform.settlements = [Outcome()]
    bed.sync()
    assert bed.platform.operations == [("add", 1)]
    bed.assert_equal()
