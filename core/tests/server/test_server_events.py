"""A run that is followed: what it says arrives, in order and once."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from cdp_bridge.entities import SyncLog
from cdp_bridge.store import Lease

from .conftest import AT, Api


def events(api: Api, run_id: str, last: int | None = None) -> Iterator[tuple[str, Any, str]]:
    """(event, data, id) of a stream, to its end."""
    headers = {"Authorization": f"Bearer {api.keys['viewer']}"} | ({"Last-Event-ID": str(last)} if last else {})
    with requests.get(f"{api.url}/v1/runs/{run_id}/events", headers=headers, stream=True) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        said: dict[str, str] = {}
        for line in answer.iter_lines(decode_unicode=True):
            name, _, value = line.partition(": ")
            said[name] = value
            if not line:
                yield said.get("event", ""), json.loads(said["data"]), said.get("id", "")
                said = {}


def test_a_run_is_followed_from_the_queue_to_its_end(each_api: Api) -> None:
    api = each_api
    run = api.call("POST", "/v1/audiences/vip/sync").json()["id"]
    stream = events(api, run)
    event, told, _ = next(stream)
    assert (event, told["state"]) == ("run", "queued")
    with api.store.requests.hold("vip") as lease:
        _work(api, run, lease)
    rest = list(stream)
    notes = [(event, told.get("done") or told.get("text"), number) for event, told, number in rest if number]
    assert notes == [("progress", 5, "1"), ("log", "a warning", "2")]
    assert [event for event, _, _ in rest][-1] == "end"
    states = [told["state"] for event, told, _ in rest if event == "run"]
    assert states[-1] == "succeeded"
    assert list(dict.fromkeys(states)) in (["running", "succeeded"], ["succeeded"])


def _work(api: Api, run: str, lease: Lease) -> None:
    api.store.requests.start(run, lease)
    api.store.notes.add(run, level="progress", phase="read", done=5, total=10)
    api.store.notes.add(run, level="warning", text="a warning")
    with api.store.transaction() as transaction:
        transaction.save_run(SyncLog(run_id=f"log-{run}", audience="vip", sync_timestamp=AT, status="succeeded"))
    api.store.requests.finish(run, lease, "succeeded", f"log-{run}")


def test_who_comes_back_goes_on_where_they_left_off(api: Api) -> None:
    run = api.store.requests.add("vip", "test").id
    for number in range(3):
        api.store.notes.add(run, text=f"line {number}")
    api.store.requests.cancel(run)
    assert [told["text"] for event, told, _ in events(api, run, last=2) if event == "log"] == ["line 2"]


def test_a_run_of_the_command_line_is_over_at_once(api: Api) -> None:
    with api.store.transaction() as transaction:
        transaction.save_run(SyncLog(run_id="by-hand", audience="vip", sync_timestamp=AT, status="failed"))
    assert [event for event, _, _ in events(api, "by-hand")] == ["run", "end"]


def test_many_watchers_do_not_keep_others_waiting(api: Api) -> None:
    run = api.store.requests.add("vip", "test").id
    begun = threading.Barrier(21)

    def watch() -> None:
        stream = events(api, run)
        next(stream)
        begun.wait()
        assert [event for event, _, _ in stream][-1] == "end"

    watchers = [threading.Thread(target=watch) for _ in range(20)]
    for watcher in watchers:
        watcher.start()
    begun.wait()
    assert api.call("GET", "/v1/connectors").status_code == 200
    api.store.requests.cancel(run)
    for watcher in watchers:
        watcher.join()
        assert not watcher.is_alive()


def test_notes_of_one_run_are_bounded(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cdp_bridge.store.runs.notes.MAX_NOTES", 3)
    run = api.store.requests.add("vip", "test").id
    for number in range(5):
        api.store.notes.add(run, text=str(number))
    assert [note.text for note in api.store.notes.after(run, 0)] == ["0", "1", "2"]
