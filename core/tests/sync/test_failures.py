"""Connectors that break, rivals, and leases that are lost: a failed SyncLog, no value in it, and nothing half-done."""

import errno
import tempfile
import threading
import time
from typing import Any

import duckdb
import pytest
from cdp_bridge.errors import TransientError
from cdp_bridge.model import Batch, Outcome, Page
from cdp_bridge.store import Store

from ..conftest import SyncHarness

FAULT = "failed with KeyError; this is a fault in the connector"


VALUE = "u0@example.com"


def broken(*_: Any, **__: Any) -> Any:
    raise KeyError(VALUE)


@pytest.mark.parametrize("call", ["ensure", "write", "settle", "open", "close"])
def test_a_destination_that_breaks_is_named(harness: SyncHarness, call: str) -> None:
    if call == "settle":
        harness.platform.answers = [lambda batch: Outcome(pending="job")]
        harness.sync()
    if call in ("open", "close"):
        setattr(harness.platform, {"open": "opening", "close": "closing"}[call], KeyError(VALUE))
    else:
        setattr(harness.platform, call, broken)
    log = harness.sync()
    assert (log.status, log.error) == ("failed", f"destination-test {FAULT}")
    assert harness.store.runs("vip")[0] == log
    assert [event.details["status"] for event in harness.events[-2:]] == ["running", "failed"]


@pytest.mark.parametrize("answer", [None, {"rejected": {}}, "ok"])
def test_an_answer_that_is_no_outcome_is_the_connectors_fault(harness: SyncHarness, answer: Any) -> None:
    harness.platform.answers = [lambda batch: answer]
    log = harness.sync()
    assert log.error == "destination-test failed with TypeError; this is a fault in the connector"
    harness.sync()
    harness.assert_equal()


def test_a_source_that_breaks_at_once_is_named(harness: SyncHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness.cdp, "read", broken)
    assert harness.sync().error == f"source-test {FAULT}"
    assert harness.platform.calls == 0


@pytest.mark.parametrize("records", ["text", 7, [1, 2], [{"id": object(), "ok": "yes"}], [{1: "one"}]])
def test_pages_that_are_none_never_break_the_store(
    harness: SyncHarness, monkeypatch: pytest.MonkeyPatch, records: Any
) -> None:
    monkeypatch.setattr(harness.cdp, "read", lambda settings, request: iter([Page("people", records)]))
    log = harness.sync()
    assert log.status in ("failed", "succeeded")
    assert harness.platform.held == set() if harness.platform.audiences else True


def test_what_we_break_ourselves_shows_no_value(
    harness: SyncHarness, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    monkeypatch.setattr("cdp_bridge.sync.diff.Diff.compare", broken)
    log = harness.sync()
    assert log.error == "the sync failed with KeyError; nothing is half-done, the next sync goes on"
    assert VALUE not in caplog.text
    assert "in broken" in caplog.text


@pytest.mark.parametrize(
    "failure",
    [
        duckdb.OutOfMemoryException("Out of Memory Error: failed to offload data block"),
        duckdb.IOException("IO Error: could not write: No space left on device"),
        OSError("Out of Memory Error: failed to pin block"),
        OSError(errno.ENOSPC, "No space left on device"),
    ],
    ids=["memory", "disk", "memory, said by Arrow", "disk, said by the system"],
)
def test_no_space_is_named_with_its_place(
    harness: SyncHarness, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise failure

    monkeypatch.setattr("cdp_bridge.sync.diff.Diff.compare", full)
    assert harness.sync().error == (
        f"{tempfile.gettempdir()}: the sync ran out of memory, or of disk space for temporary files. "
        "Free some space there, or name a roomier folder in TMPDIR, and sync again"
    )


def test_a_store_that_fails_is_a_failed_run(harness: SyncHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: Any) -> Any:
        raise TransientError("sqlite:///x: another process holds the database for too long")

    with harness.open() as run:
        monkeypatch.setattr(harness.store, "transaction", gone)
        log = run.sync()
    assert (log.status, log.error) == ("failed", "sqlite:///x: another process holds the database for too long")


def test_two_runs_of_an_audience_at_once_are_one(each_harness: SyncHarness) -> None:
    harness = each_harness
    logs = []

    def sync() -> None:
        with harness.open() as run:
            logs.append(run.sync())

    def meanwhile(batch: Batch) -> Outcome:
        rival = threading.Thread(target=sync)
        rival.start()
        rival.join()
        return harness.platform.apply(batch)

    harness.platform.answers = [meanwhile]
    assert harness.sync().status == "succeeded"
    (rival,) = logs
    assert rival.status == "failed"
    assert rival.error.startswith("audience:vip is in use by process ")
    assert harness.platform.calls == 1
    harness.assert_equal()


def test_a_run_that_was_taken_over_writes_nothing_any_more(each_harness: SyncHarness, store_url: str) -> None:
    harness = each_harness

    def overtaken(batch: Batch) -> Outcome:
        with Store.open(store_url, clock=lambda: time.time() + 3600) as later, harness.open(store=later) as run:
            assert run.sync().status == "succeeded"
        harness.cdp.put("u9", email="u9@example.com")
        return harness.platform.apply(batch)

    harness.platform.answers = [overtaken]
    log = harness.sync()
    assert log.status == "failed"
    assert "another run may have taken over" in log.error
    assert harness.store.deliveries("vip") == []
    assert len(harness.ledger()) == 5
    harness.sync()
    harness.assert_equal()


def test_a_long_run_keeps_its_lease(harness: SyncHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cdp_bridge.sync.session.LEASE_SECONDS", 2.0)

    def slow(batch: Batch) -> Outcome:
        time.sleep(4)
        return harness.platform.apply(batch)

    harness.platform.answers = [slow]
    assert harness.sync().status == "succeeded"
