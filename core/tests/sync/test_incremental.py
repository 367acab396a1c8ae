"""Reads of what changed: the ledger with the changes applied, and a cursor that moves only when all is recorded."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cdp_bridge.entities import Consent, DataMapping
from cdp_bridge.errors import TransientError
from cdp_bridge.model import Checkpoint, Outcome, Page, ReadRequest
from msgspec.structs import replace

from ..conftest import Settings, SyncHarness


@pytest.fixture
def moving(each_harness: SyncHarness) -> SyncHarness:
    each_harness.configure(incremental=True)
    each_harness.sync()
    return each_harness


@pytest.fixture
def moving_here(harness: SyncHarness) -> SyncHarness:
    harness.configure(incremental=True)
    harness.sync()
    return harness


def was_whole(harness: SyncHarness) -> bool:
    return harness.cdp.requests[-1].checkpoint is None


def test_joins_leaves_and_changes_are_enough(moving: SyncHarness) -> None:
    harness = moving
    harness.cdp.put("u5", email="u5@example.com")
    harness.cdp.put("u1", email="moved@example.com")
    harness.cdp.drop("u2", "u3")
    log = harness.sync()
    assert not was_whole(harness)
    assert (log.status, log.adds, log.changes, log.removes) == ("waiting", 1, 1, 0)
    log = harness.sync(approve_removals=True)
    assert (log.status, log.adds, log.changes, log.removes) == ("succeeded", 0, 0, 2)
    assert (log.match_rate, log.funnel.accepted) == (None, 4)
    harness.assert_equal()
    harness.sync()
    assert harness.cdp.requests[-1].checkpoint == {"position": 9}
    assert harness.platform.calls == 0


def test_nobody_whom_a_delta_leaves_out_is_touched(moving: SyncHarness) -> None:
    harness = moving
    assert harness.sync().membership_calls == 0
    assert not was_whole(harness)
    assert harness.store.segments()[0].member_count == 5
    harness.assert_equal()


def test_an_empty_delta_is_no_empty_extract(moving_here: SyncHarness) -> None:
    assert moving_here.sync().status == "succeeded"


def test_a_merged_profile_goes_and_its_survivor_has_both_addresses(moving_here: SyncHarness) -> None:
    harness = moving_here
    harness.cdp.drop("u1")
    harness.cdp.put("u0", email=["u0@example.com", "u1@example.com"], phone=["+14155550100", "+14155550101"])
    log = harness.sync()
    assert (log.removes, log.changes) == (1, 1)
    harness.assert_equal()


def test_a_survivor_that_goes_by_the_lost_profiles_id_stays(
    moving_here: SyncHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness = moving_here
    harness.cdp.extra = []
    changed = harness.cdp._changed
    monkeypatch.setattr(harness.cdp, "_changed", lambda request: [{"id": "u0", "is_member": False}, *changed(request)])
    harness.cdp.put("u0", email="kept@example.com")
    assert harness.sync().changes == 1
    harness.assert_equal()


def test_withdrawn_consent_in_a_delta_removes(moving_here: SyncHarness) -> None:
    harness = moving_here
    harness.cdp.put("u0", email="u0@example.com", ok="no")
    assert harness.sync().removes == 1
    assert not was_whole(harness)
    harness.assert_equal()


@pytest.mark.parametrize("change", ["mapping", "consent", "suppression", "connection", "segment", "account"])
def test_whatever_else_decides_who_is_in_asks_for_everything(
    moving_here: SyncHarness, tmp_path: Path, change: str
) -> None:
    harness = moving_here
    harness.sync()
    assert not was_whole(harness)
    if change == "mapping":
        harness.configure(mappings=harness.bridge.mappings["people"][:2])
    elif change == "consent":
        harness.configure(consent=(Consent(purpose="ads", cdp_field="ok", granted=("yes", "y")),))
    elif change == "suppression":
        harness.suppress(tmp_path / "list", "nobody@example.com")
    elif change == "segment":
        harness.configure(segment="other")
    elif change == "account":
        harness.configure(account="2")
    else:
        moved = replace(harness.bridge.connections[0], api_credentials={"account": "7"})
        harness.save(replace(harness.bridge, connections=(moved,)))
    harness.sync()
    if change == "account":
        # It shows only when the audience is asked for; then everything is read once more.
        assert [request.checkpoint is None for request in harness.cdp.requests[-2:]] == [False, True]
    else:
        assert was_whole(harness)
    harness.sync()
    assert not was_whole(harness)


def test_a_sync_that_was_gone_begins_anew(moving_here: SyncHarness) -> None:
    harness = moving_here
    bridge = harness.bridge
    harness.save(replace(bridge, audiences=()))
    harness.save(bridge)
    harness.sync()
    assert was_whole(harness)
    harness.sync()
    assert not was_whole(harness)


@pytest.mark.parametrize("change", ["segment", "mapping"])
def test_a_change_that_is_taken_back_asks_for_everything(moving_here: SyncHarness, change: str) -> None:
    harness = moving_here
    before = harness.bridge
    if change == "segment":
        harness.configure(segment="other")
    else:
        harness.configure(mappings=harness.bridge.mappings["people"][:2])
    # Refused, so that this run saves no cursor; but the ledger is about something else from now on.
    harness.platform.answers = [lambda batch: Outcome(unknown=frozenset(batch.keys))]
    harness.cdp.put("u7", email="u7@example.com")
    harness.sync()
    harness.platform.answers = []
    harness.save(before)
    harness.sync()
    assert was_whole(harness)


def test_a_check_of_the_connection_changes_nothing(moving_here: SyncHarness) -> None:
    moving_here.store.set_connection_status("cdp", "connected")
    moving_here.sync()
    assert not was_whole(moving_here)


def test_whole_reads_stay_whole(harness: SyncHarness) -> None:
    harness.sync()
    harness.sync()
    assert was_whole(harness)


@pytest.mark.parametrize("how", ["platform down", "removal unknown", "removal refused", "source broken", "deferred"])
def test_the_cursor_stays_where_somebody_would_be_forgotten(
    moving_here: SyncHarness, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    harness = moving_here
    before = harness.cdp.requests[-1]
    harness.cdp.drop("u0")
    harness.cdp.put("u9", email="u9@example.com")
    if how == "platform down":
        harness.platform.answers = [harness.platform.apply, *[TransientError("down")] * 8]
    elif how == "removal unknown":
        harness.platform.answers = [lambda batch: Outcome(unknown=frozenset(batch.keys))]
    elif how == "removal refused":
        harness.platform.answers = [lambda batch: Outcome(rejected={batch.keys[0]: "bad"})]
    elif how == "source broken":
        harness.cdp.breaks = RuntimeError()
    else:
        harness.cdp.put("u8", email="u8@example.com")
        monkeypatch.setattr("cdp_bridge.delivery.sender.MAX_SPLITS", 0)
        from cdp_bridge.errors import RejectedError

        harness.platform.answers = [harness.platform.apply, RejectedError("too large", reason="x")]
    harness.sync()
    harness.platform.answers, harness.cdp.breaks = [], None
    harness.sync()
    assert harness.cdp.requests[-1].checkpoint == {"position": 5}
    assert before.checkpoint is None
    harness.assert_equal()
    harness.sync()
    assert harness.cdp.requests[-1].checkpoint["position"] > 5


def test_whom_a_crash_left_in_doubt_is_sent_again_though_the_delta_leaves_them_out(moving_here: SyncHarness) -> None:
    harness = moving_here
    keys = [key for chunk in harness.store.ledger.fingerprints("vip") for key, _ in chunk]
    with harness.store.transaction() as transaction:
        transaction.mark_in_doubt("vip", keys[:2])
    harness.platform.audiences["a1"] = set(list(harness.platform.held)[:0])
    harness.sync()
    assert harness.platform.operations == [("add", 2)]
    assert not was_whole(harness)
    assert not harness.doubts()


def test_checkpoints_of_other_streams_do_not_count(moving_here: SyncHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    read = moving_here.cdp.read

    def swapped(settings: Settings, request: ReadRequest) -> Iterator[Page | Checkpoint]:
        yield from (item for item in read(settings, request) if not isinstance(item, Checkpoint))
        yield Checkpoint("others", {"position": 99})

    with monkeypatch.context() as patch:
        patch.setattr(moving_here.cdp, "read", swapped)
        moving_here.sync()
    moving_here.sync()
    assert moving_here.cdp.requests[-1].checkpoint == {"position": 5}


def test_a_mapping_of_less_makes_everybody_change(moving_here: SyncHarness) -> None:
    harness = moving_here
    harness.configure(
        mappings=(*harness.bridge.mappings["people"][:2], DataMapping(omniads_field="phone", constant="none"))
    )
    log = harness.sync()
    assert (log.changes, log.removes) == (5, 0)
    assert all(len(row) == 1 for row in harness.platform.held)
