"""What the platform says of each member, and what the ledger, the dead letters and the next run make of it."""

import pytest
from cdp_bridge.delivery.sender import MAX_SPLITS
from cdp_bridge.errors import ConfigError, RejectedError, TransientError
from cdp_bridge.model import Batch, Limits, Outcome

from ..conftest import SyncHarness, digest


def hate(harness: SyncHarness, user_id: str, reason: str = "bad") -> None:
    """The platform refuses what this member is sent as."""
    harness.platform.hated = {hashed_email(harness, user_id): reason}


def hashed_email(harness: SyncHarness, user_id: str) -> str:
    return digest(harness.cdp.people[user_id]["email"])


def test_a_rejected_member_becomes_a_dead_letter_and_is_not_tried_again(harness: SyncHarness) -> None:
    hate(harness, "u3", "meta:invalid_entry")
    log = harness.sync()
    assert (log.status, log.rejected, log.errors, log.records_processed) == ("partial", 1, 1, 5)
    (letter,) = harness.store.dead_letters.listed("vip")
    assert (letter.operation, letter.reason, letter.run_id) == ("add", "meta:invalid_entry", log.run_id)
    assert set(harness.ledger()) == {"u0", "u1", "u2", "u4"}
    assert log.match_rate == pytest.approx(0.8)
    log = harness.sync()
    assert (log.status, log.membership_calls) == ("succeeded", 0)


def test_a_rejected_member_is_tried_again_once_anything_of_it_changes(harness: SyncHarness) -> None:
    hate(harness, "u3")
    harness.sync()
    harness.cdp.put("u3", email="u3@example.com", phone="+14155550133")
    assert harness.sync().rejected == 1
    assert harness.sync().membership_calls == 0
    harness.cdp.put("u3", email="better@example.com")
    assert harness.sync().rejected == 0
    assert harness.store.dead_letters.listed("vip") == []
    harness.assert_equal()


def test_a_change_that_is_rejected_leaves_nothing_of_the_old(harness: SyncHarness) -> None:
    harness.sync()
    harness.cdp.put("u3", email="worse@example.com")
    hate(harness, "u3")
    harness.sync()
    assert "u3" not in harness.ledger()
    assert len(harness.platform.held) == 4
    harness.cdp.put("u3", email="u3@example.com", phone="+14155550103")
    harness.sync()
    harness.assert_equal()
    assert harness.store.dead_letters.listed("vip") == []


def test_a_removal_that_is_rejected_is_tried_again(harness: SyncHarness) -> None:
    harness.sync()
    hate(harness, "u3")
    harness.cdp.drop("u3")
    log = harness.sync()
    assert (log.status, log.rejected) == ("partial", 1)
    assert "u3" in harness.ledger()
    assert [letter.operation for letter in harness.store.dead_letters.listed("vip")] == ["remove"]
    harness.platform.hated.clear()
    harness.sync()
    harness.assert_equal()
    assert harness.store.dead_letters.listed("vip") == []


def test_a_refused_removal_does_not_keep_a_member_from_being_sent_again(harness: SyncHarness) -> None:
    harness.sync()
    hate(harness, "u3")
    harness.cdp.drop("u3")
    harness.sync()
    harness.platform.hated.clear()
    harness.platform.lose()
    harness.cdp.put("u3", email="u3@example.com", phone="+14155550103")
    harness.cdp.put("u9", email="u9@example.com")
    harness.sync()
    harness.assert_equal()


@pytest.mark.parametrize("how", ["rejected", "unknown", "deferred", "pending"])
def test_new_identifiers_wait_until_the_old_ones_are_gone_for_sure(harness: SyncHarness, how: str) -> None:
    """Otherwise the ledger would forget what is still at the platform."""
    harness.sync()
    old = harness.ledger()["u3"]
    harness.cdp.put("u3", email="new@example.com")

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
        harness.cdp.put("u2", email="new2@example.com")
        harness.platform.answers = [answer] * (2 * MAX_SPLITS + 1)
        import cdp_bridge.delivery.sender as deliver

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(deliver, "MAX_SPLITS", 0)
            log = harness.sync()
        harness.platform.answers = []
    else:
        harness.platform.answers = [answer]
        log = harness.sync()
    assert log.status == "partial"
    assert harness.ledger()["u3"] == old
    assert old in harness.platform.held
    if how == "pending":
        harness.platform.settlements = [Outcome(unknown=frozenset())]
        harness.platform.apply(harness.platform.batches[0])
    harness.sync()
    if how == "pending":
        harness.sync()
    harness.assert_equal()


def test_an_unknown_member_is_sent_again(harness: SyncHarness) -> None:
    def partly(batch: Batch) -> Outcome:
        harness.platform.apply(batch)
        harness.platform.audiences[batch.audience.id].pop()
        return Outcome(unknown=frozenset(batch.keys[:3]) | {b"nobody of ours"})

    harness.platform.answers = [partly]
    log = harness.sync()
    assert (log.status, log.unknown, log.funnel.accepted) == ("partial", 3, 2)
    assert harness.doubts() == 3
    harness.platform.answers = []
    log = harness.sync()
    assert (log.status, harness.platform.operations) == ("succeeded", [("add", 3)])


def test_an_unknown_member_who_changes_is_removed_first(harness: SyncHarness) -> None:
    harness.platform.answers = [
        lambda batch: (harness.platform.apply(batch), Outcome(unknown=frozenset(batch.keys)))[1]
    ]
    harness.sync()
    harness.cdp.put("u0", email="new@example.com")
    harness.sync()
    assert harness.platform.operations == [("remove", 1), ("add", 5)]
    harness.assert_equal()


def pending(batch: Batch) -> Outcome:
    return Outcome(pending="job 7")


def test_what_is_pending_is_settled_by_the_next_run(each_harness: SyncHarness) -> None:
    harness = each_harness
    harness.platform.answers = [pending]
    log = harness.sync()
    assert (log.status, log.unknown, log.funnel.accepted) == ("partial", 5, 0)
    (delivery,) = harness.store.deliveries("vip")
    assert (delivery.status, delivery.pending) == ("pending", "job 7")
    harness.platform.settlements = [Outcome(pending="job 7")]
    assert harness.sync().membership_calls == 0
    assert len(harness.store.deliveries("vip")) == 1
    harness.platform.apply(replayed(harness))
    harness.platform.settlements = [Outcome()]
    log = harness.sync()
    assert (log.status, log.membership_calls, log.funnel.accepted) == ("succeeded", 0, 5)
    assert harness.platform.settled == ["job 7"] * 2
    harness.assert_equal()


def replayed(harness: SyncHarness) -> Batch:
    """The batch of the pending delivery, carried out at last."""
    from cdp_bridge.staging.packing import batch_columns

    (delivery,) = harness.store.deliveries("vip")
    return Batch(
        audience=harness.ref(),
        operation=delivery.operation,
        keys=[key for key, *_ in delivery.members],
        identifiers=batch_columns([packed for *_, packed in delivery.members], ("email", "phone")),
    )


def test_who_is_rejected_when_settled_is_not_accepted(harness: SyncHarness) -> None:
    harness.platform.answers = [pending]
    harness.sync()
    bad = harness.store.deliveries("vip")[0].members[0][0]
    harness.platform.settlements = [Outcome(rejected={bad: "late"})]
    log = harness.sync()
    assert (log.rejected, log.funnel.accepted, log.membership_calls) == (1, 4, 0)
    assert [letter.reason for letter in harness.store.dead_letters.listed("vip")] == ["late"]
    assert harness.sync().membership_calls == 0


@pytest.mark.parametrize("how", ["at once", "when settled"])
def test_whom_the_platform_only_counts_nobody_is_accepted_for_and_all_are_sent_again(
    harness: SyncHarness, how: str
) -> None:
    counted = Outcome(counts={"google:NO_CONSENT": 2, "google:x@y.zz": 1})
    harness.platform.answers = [lambda batch: counted]
    if how == "when settled":
        harness.platform.answers, harness.platform.settlements = [pending, lambda batch: counted], [counted]
        assert harness.sync().funnel.platform_reasons == {}
    log = harness.sync()
    assert (log.status, log.rejected, log.funnel.accepted) == ("partial", 0, 0)
    times = 2 if how == "when settled" else 1
    assert log.funnel.platform_reasons["google:NO_CONSENT"] == 2 * times
    assert "x@y.zz" not in str(log.funnel.platform_reasons)
    assert harness.doubts() == 5
    log = harness.sync()
    assert (log.status, log.funnel.platform_reasons, harness.platform.operations) == ("succeeded", {}, [("add", 5)])
    harness.assert_equal()


def test_who_is_rejected_at_once_is_not_accepted_when_the_others_are_settled(harness: SyncHarness) -> None:
    harness.platform.answers = [lambda batch: Outcome(rejected={batch.keys[0]: "bad"}, pending="job 7")]
    log = harness.sync()
    assert (log.rejected, log.unknown, len(harness.store.deliveries("vip")[0].members)) == (1, 4, 4)
    harness.platform.settlements = [Outcome()]
    log = harness.sync()
    assert (log.status, log.funnel.accepted, log.membership_calls) == ("succeeded", 4, 0)
    assert len(harness.store.dead_letters.listed("vip")) == 1


def test_a_pending_job_that_the_platform_has_forgotten_is_sent_again(harness: SyncHarness) -> None:
    harness.platform.answers = [pending]
    harness.sync()
    harness.platform.settlements = [RejectedError("no such job", reason="x:404")]
    harness.sync()
    assert harness.platform.operations == [("add", 5)]
    harness.assert_equal()


def test_a_poison_batch_is_cut_and_the_others_arrive(harness: SyncHarness) -> None:
    poison = hashed_email(harness, "u2")

    def whole_or_nothing(batch: Batch) -> Outcome:
        if any(poison in values for values in batch.identifiers["email"]):
            raise RejectedError("bad row", reason="meta:100")
        return harness.platform.apply(batch)

    harness.platform.answers = [whole_or_nothing] * 20
    log = harness.sync()
    assert (log.status, log.rejected) == ("partial", 1)
    assert [letter.reason for letter in harness.store.dead_letters.listed("vip")] == ["meta:100"]
    assert len(harness.platform.held) == 4


def test_what_is_deferred_is_sent_by_the_next_run(harness: SyncHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cdp_bridge.delivery.sender.MAX_SPLITS", 0)
    harness.platform.answers = [RejectedError("too large", reason="http:413")]
    log = harness.sync()
    assert (log.status, log.errors, log.funnel.sent) == ("partial", 5, 0)
    assert harness.store.dead_letters.listed("vip") == []
    harness.sync()
    harness.assert_equal()


def test_a_transient_failure_is_waited_out(harness: SyncHarness) -> None:
    harness.platform.answers = [TransientError("busy", retry_after=40), TransientError("busy")]
    log = harness.sync()
    assert (log.status, log.membership_calls) == ("succeeded", 3)
    assert harness.slept[0] == 40
    harness.assert_equal()


def test_a_platform_that_stays_away_is_a_failed_run_and_nothing_is_lost(harness: SyncHarness) -> None:
    harness.limits = Limits(rows=2)
    harness.platform.answers = [harness.platform.apply, *[TransientError("the platform is down")] * 8]
    log = harness.sync()
    assert (log.status, log.error, log.membership_calls) == ("failed", "the platform is down", 9)
    assert len(harness.ledger()) == 2
    harness.sync()
    harness.assert_equal()


@pytest.mark.parametrize("applied", [True, False])
def test_a_token_that_is_revoked_on_the_way_stops_the_run(harness: SyncHarness, applied: bool) -> None:
    def revoked(batch: Batch) -> Outcome:
        if applied:
            harness.platform.apply(batch)
        raise ConfigError("the access token is not valid any more", place="ads", remedy="Make a new one")

    harness.limits = Limits(rows=2)
    harness.platform.answers = [harness.platform.apply, revoked]
    log = harness.sync()
    assert (log.status, log.membership_calls) == ("failed", 2)
    assert log.error == "ads: the access token is not valid any more. Make a new one"
    harness.cdp.put("u0", email="new@example.com")
    harness.cdp.drop("u1")
    harness.sync()
    harness.assert_equal()


def test_a_member_who_is_refused_while_sent_again_can_still_be_removed(harness: SyncHarness) -> None:
    harness.sync()
    harness.cdp.put("u9", email="u9@example.com", phone="+14155550103")
    harness.sync()
    hate(harness, "u3")
    harness.cdp.drop("u9")
    log = harness.sync()
    assert (log.rejected, harness.doubts(), log.funnel.accepted) == (1, 1, 4)
    assert harness.sync().membership_calls == 0
    harness.platform.hated.clear()
    harness.cdp.drop("u3")
    harness.sync()
    harness.assert_equal()


def test_a_late_answer_does_not_bring_back_old_identifiers(harness: SyncHarness) -> None:
    """Otherwise the ledger would forget the new ones, which then stay at the platform for good."""
    harness.sync()
    harness.cdp.put("u9", email="nine@example.com")
    harness.platform.answers = [lambda batch: (harness.platform.apply(batch), Outcome(pending="job 1"))[1]]
    harness.sync()
    harness.cdp.put("u9", email="ten@example.com")
    harness.platform.settlements = [Outcome(pending="job 1")]
    log = harness.sync()
    assert (log.status, log.membership_calls) == ("partial", 0)
    harness.platform.settlements = [Outcome()]
    harness.sync()
    harness.assert_equal()
    harness.cdp.drop("u9")
    harness.sync()
    harness.assert_equal()


def test_members_in_doubt_are_not_counted_as_accepted(harness: SyncHarness) -> None:
    harness.sync()
    harness.cdp.drop("u3")
    harness.platform.answers = [lambda batch: Outcome(unknown=frozenset(batch.keys))]
    log = harness.sync()
    assert (log.funnel.identifiable, log.funnel.accepted) == (4, 4)


def test_what_was_answered_counts_when_a_later_part_of_the_batch_breaks(harness: SyncHarness) -> None:
    halves: list[int] = []

    def answer(batch: Batch) -> Outcome:
        halves.append(len(batch.keys))
        if len(halves) == 1:
            raise RejectedError("one of them is malformed", reason="x")
        if len(halves) == 3:
            raise ConfigError("the token has expired")
        return harness.platform.apply(batch) or Outcome()

    harness.platform.answers = [answer] * 3
    log = harness.sync()
    assert (log.status, halves) == ("failed", [5, 2, 3])
    assert len(harness.ledger()) == 2
    (left,) = harness.store.deliveries("vip")
    assert len(left.members) == 3
    harness.sync()
    harness.assert_equal()
