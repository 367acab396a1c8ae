"""What the platform says of each member, and what the ledger, the dead letters and the next run make of it."""

from typing import Any

import pytest
from cdp_bridge.delivery.sender import MOST_SPLITS
from cdp_bridge.errors import ConfigError, RejectedError, TransientError
from cdp_bridge.model import Batch, Limits, Outcome


def hate(bed: Any, user_id: str, reason: str = "bad") -> None:
    """The platform refuses what this member is sent as."""
    bed.platform.hated = {value: reason for _, value in bed.expected_of(user_id)}


@pytest.fixture(autouse=True)
def expected_of(bed: Any, hashed: Any) -> None:
    def of(user_id: str) -> list[tuple[str, str]]:
        return [("email", hashed(bed.cdp.people[user_id]["email"]))]

    bed.expected_of = of


def test_a_rejected_member_becomes_a_dead_letter_and_is_not_tried_again(bed: Any) -> None:
    hate(bed, "u3", "meta:invalid_entry")
    log = bed.sync()
    assert (log.status, log.rejected, log.errors, log.records_processed) == ("partial", 1, 1, 5)
    (letter,) = bed.store.dead_letters.newest("vip")
    assert (letter.operation, letter.reason, letter.run_id) == ("add", "meta:invalid_entry", log.run_id)
    assert set(bed.ledger()) == {"u0", "u1", "u2", "u4"}
    assert log.match_rate == pytest.approx(0.8)
    log = bed.sync()
    assert (log.status, log.membership_calls) == ("succeeded", 0)


def test_a_rejected_member_is_tried_again_once_anything_of_it_changes(bed: Any) -> None:
    hate(bed, "u3")
    bed.sync()
    bed.cdp.put("u3", email="u3@example.com", phone="+14155550133")
    assert bed.sync().rejected == 1
    assert bed.sync().membership_calls == 0
    bed.cdp.put("u3", email="better@example.com")
    assert bed.sync().rejected == 0
    assert bed.store.dead_letters.newest("vip") == []
    bed.assert_equal()


def test_a_change_that_is_rejected_leaves_nothing_of_the_old(bed: Any) -> None:
    bed.sync()
    bed.cdp.put("u3", email="worse@example.com")
    hate(bed, "u3")
    bed.sync()
    assert "u3" not in bed.ledger()
    assert len(bed.platform.held) == 4
    bed.cdp.put("u3", email="u3@example.com", phone="+14155550103")
    bed.sync()
    bed.assert_equal()
    assert bed.store.dead_letters.newest("vip") == []


def test_a_removal_that_is_rejected_is_tried_again(bed: Any) -> None:
    bed.sync()
    hate(bed, "u3")
    bed.cdp.drop("u3")
    log = bed.sync()
    assert (log.status, log.rejected) == ("partial", 1)
    assert "u3" in bed.ledger()
    assert [letter.operation for letter in bed.store.dead_letters.newest("vip")] == ["remove"]
    bed.platform.hated.clear()
    bed.sync()
    bed.assert_equal()
    assert bed.store.dead_letters.newest("vip") == []


def test_a_refused_removal_does_not_keep_a_member_from_being_sent_again(bed: Any) -> None:
    bed.sync()
    hate(bed, "u3")
    bed.cdp.drop("u3")
    bed.sync()
    bed.platform.hated.clear()
    bed.platform.lose()
    bed.cdp.put("u3", email="u3@example.com", phone="+14155550103")
    bed.cdp.put("u9", email="u9@example.com")
    bed.sync()
    bed.assert_equal()


@pytest.mark.parametrize("how", ["rejected", "unknown", "deferred", "pending"])
def test_new_identifiers_wait_until_the_old_ones_are_gone_for_sure(bed: Any, how: str) -> None:
    """Otherwise the ledger would forget what is still at the platform."""
    bed.sync()
    old = bed.ledger()["u3"]
    bed.cdp.put("u3", email="new@example.com")

    def answer(batch: Batch) -> Outcome:
        assert batch.operation == "remove"
        if how == "deferred":
            raise RejectedError("too many", reason="x")
        return {
            "rejected": Outcome(rejected={batch.keys[0]: "bad"}),
            "unknown": Outcome(unknown=frozenset(batch.keys)),
            "pending": Outcome(pending="job 1"),
        }[how]

    if how == "deferred":
        bed.cdp.put("u2", email="new2@example.com")
        bed.platform.answers = [answer] * (2 * MOST_SPLITS + 1)
        import cdp_bridge.delivery.sender as deliver

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(deliver, "MOST_SPLITS", 0)
            log = bed.sync()
        bed.platform.answers = []
    else:
        bed.platform.answers = [answer]
        log = bed.sync()
    assert log.status == "partial"
    assert bed.ledger()["u3"] == old
    assert old in bed.platform.held
    if how == "pending":
        bed.platform.settlements = [Outcome(unknown=frozenset())]
        bed.platform.apply(bed.platform.batches[0])
    bed.sync()
    if how == "pending":
        bed.sync()
    bed.assert_equal()


def test_an_unknown_member_is_sent_again(bed: Any) -> None:
    def partly(batch: Batch) -> Outcome:
        bed.platform.apply(batch)
        bed.platform.audiences[batch.audience.id].pop()
        return Outcome(unknown=frozenset(batch.keys[:3]) | {b"nobody of ours"})

    bed.platform.answers = [partly]
    log = bed.sync()
    assert (log.status, log.unknown, log.funnel.accepted) == ("partial", 3, 2)
    assert bed.doubts() == 3
    bed.platform.answers = []
    log = bed.sync()
    assert (log.status, bed.platform.operations) == ("succeeded", [("add", 3)])


def test_an_unknown_member_who_changes_is_removed_first(bed: Any) -> None:
    bed.platform.answers = [lambda batch: (bed.platform.apply(batch), Outcome(unknown=frozenset(batch.keys)))[1]]
    bed.sync()
    bed.cdp.put("u0", email="new@example.com")
    bed.sync()
    assert bed.platform.operations == [("remove", 1), ("add", 5)]
    bed.assert_equal()


def pending(batch: Batch) -> Outcome:
    return Outcome(pending="job 7")


def test_what_is_pending_is_settled_by_the_next_run(each_bed: Any) -> None:
    bed = each_bed
    bed.platform.answers = [pending]
    log = bed.sync()
    assert (log.status, log.unknown, log.funnel.accepted) == ("partial", 5, 0)
    (delivery,) = bed.store.deliveries("vip")
    assert (delivery.status, delivery.pending) == ("pending", "job 7")
    bed.platform.settlements = [Outcome(pending="job 7")]
    assert bed.sync().membership_calls == 0
    assert len(bed.store.deliveries("vip")) == 1
    bed.platform.apply(replayed(bed))
    bed.platform.settlements = [Outcome()]
    log = bed.sync()
    assert (log.status, log.membership_calls, log.funnel.accepted) == ("succeeded", 0, 5)
    assert bed.platform.settled == ["job 7"] * 2
    bed.assert_equal()


def replayed(bed: Any) -> Batch:
    """The batch of the pending delivery, carried out at last."""
    from cdp_bridge.staging.packing import batch_columns

    (delivery,) = bed.store.deliveries("vip")
    return Batch(
        audience=bed.store.audience_ref("vip"),
        operation=delivery.operation,
        keys=[key for key, *_ in delivery.members],
        identifiers=batch_columns([packed for *_, packed in delivery.members], ("email", "phone")),
    )


def test_who_is_rejected_when_settled_is_not_accepted(bed: Any) -> None:
    bed.platform.answers = [pending]
    bed.sync()
    bad = bed.store.deliveries("vip")[0].members[0][0]
    bed.platform.settlements = [Outcome(rejected={bad: "late"})]
    log = bed.sync()
    assert (log.rejected, log.funnel.accepted, log.membership_calls) == (1, 4, 0)
    assert [letter.reason for letter in bed.store.dead_letters.newest("vip")] == ["late"]
    assert bed.sync().membership_calls == 0


@pytest.mark.parametrize("how", ["at once", "when settled"])
def test_whom_the_platform_only_counts_nobody_is_accepted_for_and_all_are_sent_again(bed: Any, how: str) -> None:
    counted = Outcome(counts={"google:NO_CONSENT": 2, "google:x@y.zz": 1})
    bed.platform.answers = [lambda batch: counted]
    if how == "when settled":
        bed.platform.answers, bed.platform.settlements = [pending, lambda batch: counted], [counted]
        assert bed.sync().funnel.platform_reasons == {}
    log = bed.sync()
    assert (log.status, log.rejected, log.funnel.accepted) == ("partial", 0, 0)
    times = 2 if how == "when settled" else 1
    assert log.funnel.platform_reasons["google:NO_CONSENT"] == 2 * times
    assert "x@y.zz" not in str(log.funnel.platform_reasons)
    assert bed.doubts() == 5
    log = bed.sync()
    assert (log.status, log.funnel.platform_reasons, bed.platform.operations) == ("succeeded", {}, [("add", 5)])
    bed.assert_equal()


def test_who_is_rejected_at_once_is_not_accepted_when_the_others_are_settled(bed: Any) -> None:
    bed.platform.answers = [lambda batch: Outcome(rejected={batch.keys[0]: "bad"}, pending="job 7")]
    log = bed.sync()
    assert (log.rejected, log.unknown, len(bed.store.deliveries("vip")[0].members)) == (1, 4, 4)
    bed.platform.settlements = [Outcome()]
    log = bed.sync()
    assert (log.status, log.funnel.accepted, log.membership_calls) == ("succeeded", 4, 0)
    assert len(bed.store.dead_letters.newest("vip")) == 1


def test_a_pending_job_that_the_platform_has_forgotten_is_sent_again(bed: Any) -> None:
    bed.platform.answers = [pending]
    bed.sync()
    bed.platform.settlements = [RejectedError("no such job", reason="x:404")]
    bed.sync()
    assert bed.platform.operations == [("add", 5)]
    bed.assert_equal()


def test_a_poison_batch_is_cut_and_the_others_arrive(bed: Any) -> None:
    poison = bed.expected_of("u2")[0][1]

    def whole_or_nothing(batch: Batch) -> Any:
        if any(poison in values for values in batch.identifiers["email"]):
            raise RejectedError("bad row", reason="meta:100")
        return bed.platform.apply(batch)

    bed.platform.answers = [whole_or_nothing] * 20
    log = bed.sync()
    assert (log.status, log.rejected) == ("partial", 1)
    assert [letter.reason for letter in bed.store.dead_letters.newest("vip")] == ["meta:100"]
    assert len(bed.platform.held) == 4


def test_what_is_deferred_is_sent_by_the_next_run(bed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cdp_bridge.delivery.sender.MOST_SPLITS", 0)
    bed.platform.answers = [RejectedError("too large", reason="http:413")]
    log = bed.sync()
    assert (log.status, log.errors, log.funnel.sent) == ("partial", 5, 0)
    assert bed.store.dead_letters.newest("vip") == []
    bed.sync()
    bed.assert_equal()


def test_a_transient_failure_is_waited_out(bed: Any) -> None:
    bed.platform.answers = [TransientError("busy", retry_after=40), TransientError("busy")]
    log = bed.sync()
    assert (log.status, log.membership_calls) == ("succeeded", 3)
    assert bed.slept[0] == 40
    bed.assert_equal()


def test_a_platform_that_stays_away_is_a_failed_run_and_nothing_is_lost(bed: Any) -> None:
    bed.limits = Limits(rows=2)
    bed.platform.answers = [bed.platform.apply, *[TransientError("the platform is down")] * 8]
    log = bed.sync()
    assert (log.status, log.error, log.membership_calls) == ("failed", "the platform is down", 9)
    assert len(bed.ledger()) == 2
    bed.sync()
    bed.assert_equal()


@pytest.mark.parametrize("applied", [True, False])
def test_a_token_that_is_revoked_on_the_way_stops_the_run(bed: Any, applied: bool) -> None:
    def revoked(batch: Batch) -> Outcome:
        if applied:
            bed.platform.apply(batch)
        raise ConfigError("the access token is not valid any more", place="ads", remedy="Make a new one")

    bed.limits = Limits(rows=2)
    bed.platform.answers = [bed.platform.apply, revoked]
    log = bed.sync()
    assert (log.status, log.membership_calls) == ("failed", 2)
    assert log.error == "ads: the access token is not valid any more. Make a new one"
    bed.cdp.put("u0", email="new@example.com")
    bed.cdp.drop("u1")
    bed.sync()
    bed.assert_equal()


def test_a_member_who_is_refused_while_sent_again_can_still_be_removed(bed: Any) -> None:
    bed.sync()
    bed.cdp.put("u9", email="u9@example.com", phone="+14155550103")
    bed.sync()
    hate(bed, "u3")
    bed.cdp.drop("u9")
    log = bed.sync()
    assert (log.rejected, bed.doubts(), log.funnel.accepted) == (1, 1, 4)
    assert bed.sync().membership_calls == 0
    bed.platform.hated.clear()
    bed.cdp.drop("u3")
    bed.sync()
    bed.assert_equal()


def test_a_late_answer_does_not_bring_back_old_identifiers(bed: Any) -> None:
    """Otherwise the ledger would forget the new ones, which then stay at the platform for good."""
    bed.sync()
    bed.cdp.put("u9", email="nine@example.com")
    bed.platform.answers = [lambda batch: (bed.platform.apply(batch), Outcome(pending="job 1"))[1]]
    bed.sync()
    bed.cdp.put("u9", email="ten@example.com")
    bed.platform.settlements = [Outcome(pending="job 1")]
    log = bed.sync()
    assert (log.status, log.membership_calls) == ("partial", 0)
    bed.platform.settlements = [Outcome()]
    bed.sync()
    bed.assert_equal()
    bed.cdp.drop("u9")
    bed.sync()
    bed.assert_equal()


def test_members_in_doubt_are_not_counted_as_accepted(bed: Any) -> None:
    bed.sync()
    bed.cdp.drop("u3")
    bed.platform.answers = [lambda batch: Outcome(unknown=frozenset(batch.keys))]
    log = bed.sync()
    assert (log.funnel.identifiable, log.funnel.accepted) == (4, 4)


def test_what_was_answered_counts_when_a_later_part_of_the_batch_breaks(bed: Any) -> None:
    halves: list[int] = []

    def answer(batch: Batch) -> Outcome:
        halves.append(len(batch.keys))
        if len(halves) == 1:
            raise RejectedError("one of them is malformed", reason="x")
        if len(halves) == 3:
            raise ConfigError("the token has expired")
        return bed.platform.apply(batch) or Outcome()

    bed.platform.answers = [answer] * 3
    log = bed.sync()
    assert (log.status, halves) == ("failed", [5, 2, 3])
    assert len(bed.ledger()) == 2
    (left,) = bed.store.deliveries("vip")
    assert len(left.members) == 3
    bed.sync()
    bed.assert_equal()
