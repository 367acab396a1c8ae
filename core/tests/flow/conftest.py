"""Queue servers for the tests, and a queue with small limits and times."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from cdp_bridge.flow import Flow, FlowMessage, LocalServer, Queue, RunOrder
from msgspec.structs import replace

SMALL: Queue[RunOrder] = Queue(name="small", message=RunOrder, silence=0.6, max_messages=1_000, largest=2_000)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    with LocalServer(tmp_path_factory.mktemp("flow")) as running:
        yield running


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[LocalServer]:
    """A queue server that a test may kill."""
    with LocalServer(tmp_path / "flow") as running:
        yield running


@pytest.fixture
def queue(request: pytest.FixtureRequest) -> Queue[RunOrder]:
    """A queue of the test's own."""
    return replace(SMALL, name=request.node.name.partition("[")[0][:60])


@pytest.fixture
def flow(server: LocalServer, queue: Queue[RunOrder]) -> Iterator[Flow]:
    with Flow(server.find, [queue]) as opened:
        yield opened


class Worker:
    """Consumes in a thread, by a handler that may look at `seen`: what came, as (request, attempt)."""

    def __init__(
        self, flow: Flow, queue: Queue[RunOrder], handler: Callable[[FlowMessage[RunOrder]], None], **options: Any
    ):
        self.seen: list[tuple[str, int]] = []
        self._handler, self._came = handler, threading.Condition()
        self.stop = threading.Event()
        options = {"stop": self.stop, "grace": 0.0, **options}
        self._thread = threading.Thread(target=flow.consume, args=(queue, self._handle), kwargs=options)
        self._thread.start()

    def _handle(self, delivery: FlowMessage[RunOrder]) -> None:
        with self._came:
            self.seen.append((delivery.message.request, delivery.attempt))
            self._came.notify_all()
        self._handler(delivery)

    def wait(self, count: int) -> list[tuple[str, int]]:
        """What came, once it is so much."""
        with self._came:
            self._came.wait_for(lambda: len(self.seen) >= count)
            return list(self.seen)

    def end(self) -> None:
        self.stop.set()
        self._thread.join()


Handler = Callable[[FlowMessage[RunOrder]], None]


class Work(Protocol):
    """Start a worker on the test's queue; it is ended after the test."""

    def __call__(self, handler: Handler = ..., **options: Any) -> Worker: ...


@pytest.fixture
def work(flow: Flow, queue: Queue[RunOrder]) -> Iterator[Work]:
    """Start a worker on the test's queue; it is ended after the test."""
    started: list[Worker] = []

    def start(handler: Handler = lambda _: None, **options: Any) -> Worker:
        started.append(Worker(flow, queue, handler, **options))
        return started[-1]

    yield start
    for worker in started:
        worker.end()


@pytest.fixture
def order(flow: Flow, queue: Queue[RunOrder]) -> Callable[[str], bool]:
    """Publish a run order under its own name as the id."""
    return lambda name: flow.publish(queue, RunOrder(request=name), id=name)
