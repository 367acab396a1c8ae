"""Health on a listener of its own: cheap, by part, and there while the API has no connection left."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from cdp_bridge.server import health
from cdp_bridge.server.health import health_application
from cdp_bridge.server.service import configured, listen
from cdp_bridge.store import Store


class Parts:
    """The condition of a worker, and how often somebody looked."""

    def __init__(self) -> None:
        self.works, self.looks = True, 0

    def worker(self) -> bool:
        self.looks += 1
        return self.works


@pytest.fixture
def parts() -> Parts:
    return Parts()


@pytest.fixture
def url(tmp_path: Path, parts: Parts) -> Iterator[str]:
    with Store.open(f"sqlite:///{tmp_path}/store.db") as store, listen("127.0.0.1", 0) as listener:
        server = configured(health_application(store, {"worker": parts.worker}))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join()


def test_health_is_shown_by_part(url: str, parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "READY_SECONDS", 0.0)
    assert requests.get(f"{url}/healthz").json()["ok"]
    assert requests.get(f"{url}/readyz").json() == {"ok": True, "parts": {"store": True, "worker": True}}
    parts.works = False
    answer = requests.get(f"{url}/readyz")
    assert (answer.status_code, answer.json()["parts"]["worker"]) == (503, False)


def test_many_requests_are_one_look(url: str, parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "READY_SECONDS", 3_600.0)
    assert {requests.get(f"{url}/readyz").status_code for _ in range(50)} == {200}
    assert parts.looks == 1
