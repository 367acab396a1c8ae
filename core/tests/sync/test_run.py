"""What one run does with what the CDP says: create, change, remove, and nothing where nothing changed."""

from datetime import timedelta
from typing import Any

import pytest
from cdp_bridge.entities import CDPSegment
from cdp_bridge.model import Limits
from cdp_bridge.sync.audience import ESTIMATE_LASTS
from cdp_bridge.sync.progress import Progress
from msgspec.structs import replace


def test_all_is_added_once_and_unchanged_costs_no_call(each_bed: Any) -> None:
    bed = each_bed
    first = bed.sync()
    bed.assert_equal()
    assert (first.status, first.adds, first.records_processed, first.membership_calls) == ("succeeded", 5, 5, 1)
    assert [audience.ref for audience in bed.platform.ensured] == [None]
    second = bed.sync()
    assert (second.status, second.adds, second.changes, second.removes) == ("succeeded", 0, 0, 0)
    assert (second.membership_calls, bed.platform.calls, bed.platform.ensured) == (0, 0, [])
    bed.assert_equal()


def test_old_identifiers_go_before_new_ones_come(each_bed: Any) -> None:
    bed = each_bed
    bed.sync()
    bed.cdp.put("u1", email="moved@example.com", phone="+14155550101")
    log = bed.sync()
    assert (log.adds, log.changes, log.removes) == (0, 1, 0)
    assert bed.platform.operations == [("remove", 1), ("add", 1)]
    bed.assert_equal()


def test_who_leaves_is_removed_and_may_come_back(each_bed: Any) -> None:
    bed = each_bed
    bed.sync()
    bed.cdp.drop("u2")
    assert bed.sync().removes == 1
    bed.assert_equal()
    assert "u2" not in bed.ledger()
    bed.cdp.put("u2", email="u2@example.com", phone="+14155550102")
    assert bed.sync().adds == 1
    bed.assert_equal()


def test_the_same_hashes_go_out_on_removal_as_on_addition(bed: Any) -> None:
    bed.sync()
    (added,) = bed.platform.batches
    sent = {key: added.identifiers["email"][place] for place, key in enumerate(added.keys)}
    bed.cdp.drop("u0")
    bed.sync()
    (removed,) = bed.platform.batches
    assert {key: removed.identifiers["email"][place] for place, key in enumerate(removed.keys)}.items() <= sent.items()
    assert len(removed.keys) == 1


def test_several_values_are_one_member(bed: Any) -> None:
    bed.cdp.put("u0", email=["a@example.com", "b@example.com"], phone=["+14155550100", "+14155550109"])
    bed.sync()
    bed.assert_equal()
    assert len(bed.ledger()["u0"]) == 4


def test_order_and_repetition_of_values_are_no_change(bed: Any) -> None:
    bed.cdp.put("u0", email=["A@example.com ", "a@example.com"])
    bed.sync()
    bed.cdp.put("u0", email="a@example.com")
    assert bed.sync().changes == 0


def test_of_duplicates_in_an_extract_one_is_sent_whatever_their_order(bed: Any) -> None:
    twice = [
        {"id": "u0", "ok": "yes", "email": "one@example.com"},
        {"id": "u0", "ok": "yes", "email": "two@example.com"},
    ]
    bed.cdp.drop("u0")
    bed.cdp.extra = twice
    first = bed.sync()
    assert first.funnel.dropped == {"duplicate": 1}
    assert len(bed.platform.held) == 5
    bed.cdp.extra = twice[::-1]
    assert bed.sync().membership_calls == 0


def test_of_duplicates_one_that_forbids_sending_counts(bed: Any) -> None:
    bed.cdp.extra = [{"id": "u0", "ok": "no", "email": "u0@example.com"}]
    log = bed.sync()
    assert log.funnel.dropped == {"duplicate": 1, "no_consent:ads": 1}
    assert "u0" not in bed.ledger()


def test_a_user_id_that_is_an_address_is_not_kept(bed: Any) -> None:
    bed.cdp.put("someone@example.com", email="someone@example.com")
    bed.cdp.put("+14155550177", email="other@example.com")
    bed.sync()
    assert {"None", "u0"} <= bed.ledger().keys()
    assert not [name for name in bed.ledger() if "@" in name or name.startswith("+")]
    assert len(bed.platform.held) == 7


def test_batches_keep_to_rows_and_bytes(bed: Any) -> None:
    for number in range(10, 40):
        bed.cdp.put(f"u{number}", email=f"u{number}@example.com")
    bed.limits = Limits(rows=10)
    bed.sync()
    assert bed.platform.operations == [("add", 10), ("add", 10), ("add", 10), ("add", 5)]
    numbers = [(batch.number, batch.last, batch.total) for batch in bed.platform.batches]
    assert numbers == [(1, False, 35), (2, False, 35), (3, False, 35), (4, True, 35)]
    bed.cdp.people.clear()
    bed.cdp.put("last", email="last@example.com")
    bed.limits = Limits(rows=100, bytes=2_000)
    bed.sync(approve_removals=True)
    assert all(len(batch.keys) < 35 for batch in bed.platform.batches)
    bed.assert_equal()


def test_removing_everybody_keeps_to_bytes_too(bed: Any) -> None:
    for number in range(10, 60):
        bed.cdp.put(f"u{number}", email=f"u{number}@example.com", phone=f"+141555501{number}")
    bed.sync()
    bed.cdp.people.clear()
    bed.limits = Limits(rows=100, bytes=5_000)
    bed.sync(approve_removals=True)
    assert bed.platform.held == set()
    sizes = [sum(len(value) for _, value in rows) for rows in map(flat, bed.platform.batches)]
    assert max(sizes) <= 5_000


def flat(batch: Any) -> list[tuple[str, str]]:
    return [(column, value) for column, lists in batch.identifiers.items() for values in lists for value in values]


def test_last_is_said_also_when_members_fall_out_on_the_way(bed: Any) -> None:
    bed.limits = Limits(rows=1)
    bed.sync()
    bed.cdp.put("u0", email="new0@example.com")
    bed.cdp.put("u1", email="new1@example.com")
    bed.platform.hated = {value: "bad" for _, value in bed.ledger()["u0"]}
    bed.sync()
    adds = [batch for batch in bed.platform.batches if batch.operation == "add"]
    assert [batch.last for batch in adds] == [True]


def test_the_fields_of_the_mapping_are_what_the_source_is_asked_for(bed: Any) -> None:
    bed.sync()
    (request,) = bed.cdp.requests
    assert (request.stream, request.segment, request.checkpoint) == ("people", "vip", None)
    assert set(request.fields) == {"id", "email", "phone", "ok"}


def test_what_there_is_to_know_is_recorded(each_bed: Any) -> None:
    bed = each_bed
    log = bed.sync()
    (recorded,) = bed.store.runs(bed.bridge.audiences[0].name)
    assert recorded == log
    assert (log.match_rate, log.funnel.matched_lower, log.funnel.matched_upper) == (1.0, 7, 9)
    assert log.latency > 0
    (segment,) = bed.store.segments()
    assert segment == CDPSegment(
        connection="cdp",
        segment_id="vip",
        segment_name="vip",
        member_count=5,
        last_sync=log.sync_timestamp,
        sync_status="synced",
    )
    assert bed.store.audience_ref("vip").id == "a1"


def test_plugins_hear_of_start_and_end(bed: Any) -> None:
    log = bed.sync()
    assert [(event.name, event.subject) for event in bed.events] == [("run.started", "vip"), ("run.finished", "vip")]
    assert bed.events[1].details == {"status": "succeeded", "records_processed": 5, "latency": log.latency}


def test_progress_is_told_phase_by_phase(bed: Any) -> None:
    bed.limits = Limits(rows=3)
    told: list[Progress] = []
    bed.run(progress=told.append).sync()
    assert told == [
        Progress("read", 3),
        Progress("read", 5),
        Progress("add", 3, 5),
        Progress("add", 5, 5),
    ]


def test_a_preview_sends_and_changes_nothing(bed: Any) -> None:
    preview = bed.preview()
    assert (preview.adds, preview.changes, preview.removes) == (5, 0, 0)
    assert preview.funnel.identifiable == 5
    assert preview.sample["operation"] == "add"
    assert len(preview.sample["identifiers"]["email"]) == 2
    assert (bed.platform.calls, bed.platform.ensured) == (0, [])
    assert (bed.store.runs(), bed.store.audience_ref("vip")) == ([], None)
    bed.sync()
    bed.cdp.drop("u0")
    preview = bed.preview()
    assert (preview.adds, preview.removes, preview.sample["operation"]) == (0, 1, "remove")
    assert bed.platform.calls == 1


def test_a_preview_uses_the_destinations_own_request(bed: Any) -> None:
    bed.platform.preview = lambda settings, batch: {"rows": len(batch.keys)}
    assert bed.preview().sample == {"rows": 2}


@pytest.mark.parametrize("lost", ["whole", "incremental"])
def test_an_audience_lost_at_the_platform_is_filled_anew(bed: Any, lost: str) -> None:
    bed.configure(incremental=lost == "incremental")
    bed.sync()
    bed.platform.lose()
    bed.cdp.put("u9", email="u9@example.com")
    log = bed.sync()
    assert (log.status, log.adds) == ("succeeded", 6)
    bed.assert_equal()
    assert bed.store.audience_ref("vip").id == "a2"


def test_an_audience_that_is_lost_again_and_again_is_a_failed_run(bed: Any) -> None:
    bed.sync()
    bed.cdp.put("u9", email="u9@example.com")
    ensure = bed.platform.ensure

    def ensure_and_lose(audience: Any) -> Any:
        bed.platform.lose()
        return ensure(audience)

    bed.platform.ensure = ensure_and_lose
    log = bed.sync()
    assert (log.status, log.error) == ("failed", "the platform has lost the audience twice while it was being filled")
    bed.platform.ensure = ensure
    bed.sync()
    bed.assert_equal()


def test_another_account_is_filled_although_nobody_changed(bed: Any) -> None:
    bed.sync()
    bed.configure(account="2")
    log = bed.sync()
    assert (log.status, log.adds) == ("succeeded", 5)
    assert bed.store.audience_ref("vip").account == "act_2"
    assert [len(rows) for rows in bed.platform.audiences.values()] == [5, 5]
    assert bed.sync().membership_calls == 0
    assert not bed.platform.ensured


def test_two_activations_do_not_touch_each_other(bed: Any) -> None:
    bed.sync()
    first = bed.bridge.audiences[0]
    bed.save(replace(bed.bridge, audiences=(replace(first, name="other"), first)))
    bed.sync()
    assert [len(rows) for rows in bed.platform.audiences.values()] == [5, 5]
    assert len({audience.marker for audience in bed.platform.ensured}) == 1
    assert len(bed.platform.markers) == 2


def test_the_platforms_estimate_is_dated_and_asked_for_anew_once_it_is_old(bed: Any) -> None:
    first = bed.sync()
    assert (first.funnel.matched_lower, bed.store.audience_ref("vip").asked_at) == (7, first.sync_timestamp)
    again = bed.sync()
    assert (len(bed.platform.ensured), again.funnel.matched_lower) == (0, None)
    ref = bed.store.audience_ref("vip")
    assert (ref.lower_bound, ref.asked_at) == (7, first.sync_timestamp)
    with bed.store.transaction() as change:
        change.save_audience("vip", replace(ref, asked_at=ref.asked_at - ESTIMATE_LASTS - timedelta(seconds=1)))
    later = bed.sync()
    assert (len(bed.platform.ensured), later.funnel.matched_lower, later.membership_calls) == (1, 7, 0)
    assert bed.store.audience_ref("vip").asked_at == later.sync_timestamp
