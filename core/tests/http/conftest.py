"""A scripted server for each test, and waits that cost nothing."""

import threading
from collections.abc import Iterator

import pytest
from cdp_bridge import retry

from .scripted import Server


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    thread = threading.Thread(target=running.http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield running
    running.http.shutdown()
    running.http.server_close()
    thread.join()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits between tries, which then take no time."""
    found: list[float] = []
    actual = retry.retrying
    monkeypatch.setattr("cdp_bridge.http.client.retrying", lambda: actual(sleep=found.append))
    return found
