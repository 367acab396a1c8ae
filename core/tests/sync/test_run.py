"""What one run does with what the CDP says: create, change, remove, and nothing where nothing changed."""

from typing import Any

import pytest
from cdp_bridge.entities import CDPSegment
from cdp_bridge.model import Audience, AudienceRef, Limits
from cdp_bridge.sync.progress import Progress
from msgspec.structs import replace

from ..conftest import SyncHarness


def test_all_is_added_once_and_unchanged_costs_one_read(each_harness: SyncHarness) -> None:
    harness = each_harness
    first = harness.sync()
    harness.assert_equal()
    assert (first.status, first.adds, first.records_processed, first.membership_calls) == ("succeeded", 5, 5, 1)
    assert [audience.ref for audience in harness.platform.ensured] == [None]
    second = harness.sync()
    assert (second.status, second.adds, second.changes, second.removes) == ("succeeded", 0, 0, 0)
    assert (second.membership_calls, harness.platform.calls, len(harness.platform.ensured)) == (0, 0, 1)
    harness.assert_equal()


def test_old_identifiers_go_before_new_ones_come(each_harness: SyncHarness) -> None:
    harness = each_harness
    harness.sync()
    harness.cdp.put("u1", email="moved@example.com", phone="+14155550101")
    log = harness.sync()
    assert (log.adds, log.changes, log.removes) == (0, 1, 0)
    assert harness.platform.operations == [("remove", 1), ("add", 1)]
    harness.assert_equal()


def test_who_leaves_is_removed_and_may_come_back(each_harness: SyncHarness) -> None:
    harness = each_harness
    harness.sync()
    harness.cdp.drop("u2")
    assert harness.sync().removes == 1
    harness.assert_equal()
    assert "u2" not in harness.ledger()
    harness.cdp.put("u2", email="u2@example.com", phone="+14155550102")
    assert harness.sync().adds == 1
    harness.assert_equal()


def test_the_same_hashes_go_out_on_removal_as_on_addition(harness: SyncHarness) -> None:
    harness.sync()
    (added,) = harness.platform.batches
    sent = {key: added.identifiers["email"][place] for place, key in enumerate(added.keys)}
    harness.cdp.drop("u0")
    harness.sync()
    (removed,) = harness.platform.batches
    assert {key: removed.identifiers["email"][place] for place, key in enumerate(removed.keys)}.items() <= sent.items()
    assert len(removed.keys) == 1


def test_several_values_are_one_member(harness: SyncHarness) -> None:
    harness.cdp.put("u0", email=["a@example.com", "b@example.com"], phone=["+14155550100", "+14155550109"])
    harness.sync()
    harness.assert_equal()
    assert len(harness.ledger()["u0"]) == 4


def test_order_and_repetition_of_values_are_no_change(harness: SyncHarness) -> None:
    harness.cdp.put("u0", email=["A@example.com ", "a@example.com"])
    harness.sync()
    harness.cdp.put("u0", email="a@example.com")
    assert harness.sync().changes == 0


def test_of_duplicates_in_an_extract_one_is_sent_whatever_their_order(harness: SyncHarness) -> None:
    twice = [
        {"id": "u0", "ok": "yes", "email": "one@example.com"},
        {"id": "u0", "ok": "yes", "email": "two@example.com"},
    ]
    harness.cdp.drop("u0")
    harness.cdp.extra = twice
    first = harness.sync()
    assert first.funnel.dropped == {"duplicate": 1}
    assert len(harness.platform.held) == 5
    harness.cdp.extra = twice[::-1]
    assert harness.sync().membership_calls == 0


def test_of_duplicates_one_that_forbids_sending_counts(harness: SyncHarness) -> None:
    harness.cdp.extra = [{"id": "u0", "ok": "no", "email": "u0@example.com"}]
    log = harness.sync()
    assert log.funnel.dropped == {"duplicate": 1, "no_consent:ads": 1}
    assert "u0" not in harness.ledger()


def test_a_user_id_that_is_an_address_is_not_kept(harness: SyncHarness) -> None:
    harness.cdp.put("someone@example.com", email="someone@example.com")
    harness.cdp.put("+14155550177", email="other@example.com")
    harness.sync()
    assert {"None", "u0"} <= harness.ledger().keys()
    assert not [name for name in harness.ledger() if "@" in name or name.startswith("+")]
    assert len(harness.platform.held) == 7


def test_batches_keep_to_rows_and_bytes(harness: SyncHarness) -> None:
    for number in range(10, 40):
        harness.cdp.put(f"u{number}", email=f"u{number}@example.com")
    harness.limits = Limits(rows=10)
    harness.sync()
    assert harness.platform.operations == [("add", 10), ("add", 10), ("add", 10), ("add", 5)]
    numbers = [(batch.number, batch.last, batch.total) for batch in harness.platform.batches]
    assert numbers == [(1, False, 35), (2, False, 35), (3, False, 35), (4, True, 35)]
    harness.cdp.people.clear()
    harness.cdp.put("last", email="last@example.com")
    harness.limits = Limits(rows=100, bytes=2_000)
    harness.sync(approve_removals=True)
    assert all(len(batch.keys) < 35 for batch in harness.platform.batches)
    harness.assert_equal()


def test_removing_everybody_keeps_to_bytes_too(harness: SyncHarness) -> None:
    for number in range(10, 60):
        harness.cdp.put(f"u{number}", email=f"u{number}@example.com", phone=f"+141555501{number}")
    harness.sync()
    harness.cdp.people.clear()
    harness.limits = Limits(rows=100, bytes=5_000)
    harness.sync(approve_removals=True)
    assert harness.platform.held == set()
    sizes = [sum(len(value) for _, value in rows) for rows in map(flat, harness.platform.batches)]
    assert max(sizes) <= 5_000


def flat(batch: Any) -> list[tuple[str, str]]:
    return [(column, value) for column, lists in batch.identifiers.items() for values in lists for value in values]


def test_last_is_said_also_when_members_fall_out_on_the_way(harness: SyncHarness) -> None:
    harness.limits = Limits(rows=1)
    harness.sync()
    harness.cdp.put("u0", email="new0@example.com")
    harness.cdp.put("u1", email="new1@example.com")
    harness.platform.hated = {value: "bad" for _, value in harness.ledger()["u0"]}
    harness.sync()
    adds = [batch for batch in harness.platform.batches if batch.operation == "add"]
    assert [batch.last for batch in adds] == [True]


def test_the_fields_of_the_mapping_are_what_the_source_is_asked_for(harness: SyncHarness) -> None:
    harness.sync()
    (request,) = harness.cdp.requests
    assert (request.stream, request.segment, request.checkpoint) == ("people", "vip", None)
    assert set(request.fields) == {"id", "email", "phone", "ok"}


def test_what_there_is_to_know_is_recorded(each_harness: SyncHarness) -> None:
    harness = each_harness
    log = harness.sync()
    (recorded,) = harness.store.runs(harness.bridge.audiences[0].name)
    assert recorded == log
    assert (log.match_rate, log.funnel.matched_lower, log.funnel.matched_upper) == (1.0, 7, 9)
    assert log.latency is not None
    assert log.latency > 0
    (segment,) = harness.store.segments()
    assert segment == CDPSegment(
        connection="cdp",
        segment_id="vip",
        segment_name="vip",
        member_count=5,
        last_sync=log.sync_timestamp,
        sync_status="synced",
    )
    assert harness.ref().id == "a1"


def test_plugins_hear_of_start_and_end(harness: SyncHarness) -> None:
    log = harness.sync()
    assert [(event.name, event.subject) for event in harness.events] == [
        ("run.started", "vip"),
        ("run.finished", "vip"),
    ]
    assert harness.events[1].details == {"status": "succeeded", "records_processed": 5, "latency": log.latency}


def test_progress_is_told_phase_by_phase(harness: SyncHarness) -> None:
    harness.limits = Limits(rows=3)
    told: list[Progress] = []
    with harness.open(progress=told.append) as run:
        run.sync()
    assert told == [
        Progress("read", 3),
        Progress("read", 5),
        Progress("add", 3, 5),
        Progress("add", 5, 5),
    ]


def test_a_preview_sends_and_changes_nothing(harness: SyncHarness) -> None:
    preview = harness.preview()
    assert (preview.adds, preview.changes, preview.removes) == (5, 0, 0)
    assert preview.funnel.identifiable == 5
    assert preview.sample
    assert preview.sample["operation"] == "add"
    assert len(preview.sample["identifiers"]["email"]) == 2
    assert (harness.platform.calls, harness.platform.ensured) == (0, [])
    assert (harness.store.runs(), harness.store.audience_ref("vip")) == ([], None)
    harness.sync()
    harness.cdp.drop("u0")
    preview = harness.preview()
    assert preview.sample
    assert (preview.adds, preview.removes, preview.sample["operation"]) == (0, 1, "remove")
    assert harness.platform.calls == 1


def test_a_preview_uses_the_destinations_own_request(harness: SyncHarness) -> None:
    harness.platform.preview = lambda settings, batch: {"rows": len(batch.keys)}
    assert harness.preview().sample == {"rows": 2}


@pytest.mark.parametrize("lost", ["whole", "incremental"])
def test_an_audience_lost_at_the_platform_is_filled_anew(
    harness: SyncHarness, lost: str, caplog: pytest.LogCaptureFixture
) -> None:
    harness.configure(incremental=lost == "incremental")
    harness.sync()
    harness.platform.lose()
    harness.cdp.put("u9", email="u9@example.com")
    log = harness.sync()
    assert (log.status, log.adds, log.error) == ("succeeded", 6, "")
    assert caplog.messages == ["the platform has lost the audience, so everybody in the segment is sent again"]
    harness.assert_equal()
    assert harness.ref().id == "a2"


def test_an_audience_that_is_lost_again_and_again_is_a_failed_run(
    harness: SyncHarness, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    harness.sync()
    harness.cdp.put("u9", email="u9@example.com")
    ensure = harness.platform.ensure

    def ensure_and_lose(audience: Audience) -> AudienceRef:
        harness.platform.lose()
        return ensure(audience)

    with monkeypatch.context() as patch:
        patch.setattr(harness.platform, "ensure", ensure_and_lose)
        log = harness.sync()
    assert (log.status, log.error) == ("failed", "the platform has lost the audience twice while it was being filled")
    assert "twice" not in caplog.text
    harness.sync()
    harness.assert_equal()


def test_another_account_is_filled_although_nobody_changed(
    harness: SyncHarness, caplog: pytest.LogCaptureFixture
) -> None:
    harness.sync()
    harness.configure(account="2")
    log = harness.sync()
    assert (log.status, log.adds) == ("succeeded", 5)
    why = "the destination's settings lead to another audience"
    assert caplog.messages == [f"{why}, so everybody in the segment is sent again"]
    assert harness.ref().account == "act_2"
    assert [len(rows) for rows in harness.platform.audiences.values()] == [5, 5]
    assert harness.sync().membership_calls == 0


def test_two_activations_do_not_touch_each_other(harness: SyncHarness) -> None:
    harness.sync()
    first = harness.bridge.audiences[0]
    harness.save(replace(harness.bridge, audiences=(replace(first, name="other"), first)))
    harness.sync()
    assert [len(rows) for rows in harness.platform.audiences.values()] == [5, 5]
    assert len({audience.marker for audience in harness.platform.ensured}) == 1
    assert len(harness.platform.markers) == 2


def test_each_run_has_the_platforms_estimate(harness: SyncHarness) -> None:
    assert harness.sync().funnel.matched_lower == 7
    harness.platform.shown = (8, 9)
    later = harness.sync()
    assert (later.funnel.matched_lower, later.membership_calls, harness.ref().lower_bound) == (8, 0, 8)
