"""What a run logs reaches those who watch it: its own lines only, redacted, whatever the store does."""

from __future__ import annotations

import logging
import threading

import pytest
from cdp_bridge.errors import TransientError
from cdp_bridge.orchestration import run_log
from cdp_bridge.orchestration.run_log import RunLogHandler
from cdp_bridge.store import Store
from cdp_bridge.sync.progress import Progress

log = logging.getLogger("cdp_bridge.sync.run")


def test_the_lines_of_the_run_are_saved_without_people(store: Store) -> None:
    run = store.requests.add("vip", "test").id
    with RunLogHandler(store, run):
        log.warning("nobody knows ada@example.com")
        other = threading.Thread(target=log.warning, args=("of another run",))
        other.start()
        other.join()
        log.debug("too much")
    assert [(note.level, note.text) for note in store.notes.after(run, 0)] == [("warning", "nobody knows <email>")]


def test_of_progress_the_newest_is_saved(store: Store) -> None:
    run = store.requests.add("vip", "test").id
    with RunLogHandler(store, run) as handler:
        for done in range(1, 2_000):
            handler.progress(Progress("read", done, 2_000))
    notes = store.notes.after(run, 0)
    assert 1 <= len(notes) < 100
    assert (notes[-1].level, notes[-1].phase, notes[-1].done, notes[-1].total) == ("progress", "read", 1_999, 2_000)


def test_a_run_may_log_inside_a_transaction(store: Store) -> None:
    run = store.requests.add("vip", "test").id
    with RunLogHandler(store, run), store.transaction():
        log.warning("in the middle")
    assert [note.text for note in store.notes.after(run, 0)] == ["in the middle"]


def test_a_store_that_is_away_costs_notes_and_not_the_run(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> None:
        raise TransientError("the store is away")

    monkeypatch.setattr(run_log, "EVERY_SECONDS", 0.01)
    with Store.open(sqlite_url) as store:
        run = store.requests.add("vip", "test").id
        monkeypatch.setattr(store.notes, "add", away)
        with RunLogHandler(store, run) as handler:
            log.warning("lost")
            handler.progress(Progress("read", 1))
        assert store.notes.after(run, 0) == []
