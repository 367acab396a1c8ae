"""One read for several runs: whom it waits for, who is out of it, and what is read apart."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cdp_bridge.entities import Activation, DestinationAccount, SyncLog
from cdp_bridge.errors import TransientError
from cdp_bridge.model import Batch, Checkpoint, Outcome, Page, ReadRequest
from cdp_bridge.settings import SettingsError
from cdp_bridge.sync.progress import Progress
from cdp_bridge.sync.reading import ReadTicket, SharedRead
from cdp_bridge.sync.run import open_run
from cdp_bridge.sync.run_group import groups, run_group
from msgspec.structs import replace

from ..conftest import Settings, SyncHarness

Until = Callable[[Callable[[], Any]], Any]

NAMES = ("vip", "second", "third")


@pytest.fixture
def shared(harness: SyncHarness) -> SyncHarness:
    """The harness with three audiences of one segment, at accounts `1` to `3` of the platform."""
    first = harness.bridge.audiences[0]
    harness.save(
        replace(
            harness.bridge,
            destinations=tuple(
                DestinationAccount(name=name, connector="destination-test", settings={"account": name})
                for name in NAMES
            ),
            audiences=tuple(replace(first, name=name, destination=name) for name in NAMES),
        )
    )
    return harness


def sync(harness: SyncHarness, **options: Any) -> dict[str, SyncLog]:
    """All audiences at once, as the command line does; `progress` by name."""
    registry, told = harness.registry(), options.pop("progress", {})

    def job(one: Activation, ticket: ReadTicket) -> SyncLog:
        progress = told.get(one.name, lambda _: None)
        lent = {"sleep": harness.sleep, "ticket": ticket, "progress": progress, **options}
        with open_run(harness.store, registry, one, **lent) as run:
            return run.sync()

    harness.cdp.requests.clear()
    jobs = [lambda ticket, one=one: job(one, ticket) for one in harness.bridge.audiences]
    return {log.audience: log for log in run_group(jobs, threading.Event())}


def rows(harness: SyncHarness) -> list[int]:
    """How many people each audience of the platform holds."""
    return sorted(len(held) for held in harness.platform.audiences.values())


def statuses(logs: dict[str, SyncLog]) -> list[str]:
    return [logs[name].status for name in NAMES]


def test_three_audiences_are_filled_from_one_read(shared: SyncHarness) -> None:
    logs = sync(shared)
    assert statuses(logs) == ["succeeded"] * 3
    assert len(shared.cdp.requests) == 1
    assert rows(shared) == [5, 5, 5]
    assert [logs[name].funnel.in_segment for name in NAMES] == [5, 5, 5]
    shared.cdp.drop("u0")
    logs = sync(shared)
    assert ([logs[name].removes for name in NAMES], rows(shared)) == ([1, 1, 1], [4, 4, 4])
    assert len(shared.cdp.requests) == 1


def test_the_source_is_asked_for_the_fields_of_all(shared: SyncHarness) -> None:
    phones = tuple(one for one in shared.bridge.mappings["people"] if one.omniads_field != "email")
    first, *others = shared.bridge.audiences
    mappings = {**shared.bridge.mappings, "phones": phones}
    shared.save(replace(shared.bridge, mappings=mappings, audiences=(replace(first, mapping="phones"), *others)))
    assert statuses(sync(shared)) == ["succeeded"] * 3
    (request,) = shared.cdp.requests
    assert set(request.fields) == {"id", "email", "phone", "ok"}
    columns = [{column for row in held for column, _ in row} for held in shared.platform.audiences.values()]
    assert sorted(map(sorted, columns)) == [["email", "phone"], ["email", "phone"], ["phone"]]


def test_who_goes_on_from_somewhere_else_is_read_for_apart(shared: SyncHarness) -> None:
    shared.save(
        replace(shared.bridge, audiences=tuple(replace(one, incremental=True) for one in shared.bridge.audiences))
    )
    sync(shared)
    assert len(shared.cdp.requests) == 1
    shared.cdp.put("u9", email="u9@example.com")
    with shared.open() as run:
        run.sync()
    shared.cdp.put("u8", email="u8@example.com")
    logs = sync(shared)
    assert sorted((request.checkpoint or {})["position"] for request in shared.cdp.requests) == [5, 6]
    assert [logs[name].adds for name in NAMES] == [1, 2, 2]
    assert rows(shared) == [7, 7, 7]
    logs = sync(shared)
    assert len(shared.cdp.requests) == 1
    assert [logs[name].membership_calls for name in NAMES] == [0, 0, 0]


def test_who_cannot_begin_is_not_waited_for(shared: SyncHarness) -> None:
    first, second, third = shared.bridge.destinations
    wrong = replace(second, settings={"account": 7})
    shared.save(replace(shared.bridge, destinations=(first, wrong, third)))
    with shared.store.requests.hold("third"), pytest.raises(SettingsError, match="account"):
        sync(shared)
    assert len(shared.cdp.requests) == 1
    assert rows(shared) == [5]
    assert {log.audience: log.status for log in shared.store.runs()} == {"vip": "succeeded", "third": "failed"}


def test_a_run_that_ends_while_it_is_read_leaves_the_others(shared: SyncHarness) -> None:
    def stop(progress: Progress) -> None:
        if progress.done > 3:
            raise TransientError("cancelled")

    logs = sync(shared, progress={"second": stop})
    assert statuses(logs) == ["succeeded", "failed", "succeeded"]
    assert logs["second"].error == "cancelled"
    assert len(shared.cdp.requests) == 1
    assert rows(shared) == [5, 5]


def test_a_read_that_nobody_wants_any_more_ends(shared: SyncHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(_: Progress) -> None:
        raise TransientError("cancelled")

    shared.cdp.page_size = 1
    pages: list[str] = []
    read = shared.cdp.read

    def watched(settings: Settings, request: ReadRequest) -> Iterator[Page | Checkpoint]:
        for item in read(settings, request):
            pages.append(item.stream)
            yield item

    monkeypatch.setattr(shared.cdp, "read", watched)
    logs = sync(shared, progress=dict.fromkeys(NAMES, stop))
    assert statuses(logs) == ["failed"] * 3
    assert pages == ["others", "people"]


def test_people_whom_one_mapping_forbids_end_that_run_only(shared: SyncHarness) -> None:
    first, *others = shared.bridge.audiences
    strict = tuple(
        replace(one, validation={"maxLength": 3}, on_invalid="fail") if one.omniads_field == "email" else one
        for one in shared.bridge.mappings["people"]
    )
    mappings = {**shared.bridge.mappings, "strict": strict}
    shared.save(replace(shared.bridge, mappings=mappings, audiences=(replace(first, mapping="strict"), *others)))
    assert statuses(sync(shared)) == ["failed", "succeeded", "succeeded"]
    assert rows(shared) == [5, 5]


def test_a_source_that_fails_fails_all_and_removes_nobody(shared: SyncHarness) -> None:
    sync(shared)
    shared.cdp.breaks = TransientError("the warehouse is down")
    logs = sync(shared)
    assert {(log.status, log.error) for log in logs.values()} == {("failed", "the warehouse is down")}
    assert rows(shared) == [5, 5, 5]


def test_a_slow_platform_keeps_only_itself(shared: SyncHarness, until: Until) -> None:
    """The others are recorded while it is still waiting."""
    free = threading.Event()

    def slow(batch: Batch) -> Outcome:
        outcome: Outcome = shared.platform.apply(batch)
        assert free.wait()
        return outcome

    shared.platform.answers = [slow]
    ended: list[dict[str, SyncLog]] = []
    thread = threading.Thread(target=lambda: ended.append(sync(shared)))
    thread.start()
    try:
        until(lambda: sorted(log.status for log in shared.store.runs()) == ["running", "succeeded", "succeeded"])
        assert not ended
    finally:
        free.set()
        thread.join()
    assert statuses(ended[0]) == ["succeeded"] * 3


def test_an_audience_that_was_lost_is_read_for_again_alone(shared: SyncHarness) -> None:
    sync(shared)
    shared.cdp.put("u9", email="u9@example.com")
    lost = shared.ref("second").id
    del shared.platform.audiences[lost]
    logs = sync(shared)
    assert statuses(logs) == ["succeeded"] * 3
    assert [logs[name].adds for name in NAMES] == [1, 6, 1]
    assert len(shared.cdp.requests) == 2
    assert rows(shared) == [6, 6, 6]


def test_the_source_is_opened_once_and_closed_by_the_last(shared: SyncHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []

    class ConnectorHandle:
        def close(self) -> None:
            opened.append("closed")

    def source() -> Any:
        opened.append("opened")
        return ConnectorHandle(), "people"

    first, second = SharedRead(2).tickets
    assert (first.open(source), second.open(source)) == ("people", "people")
    first.leave()
    first.leave()
    assert opened == ["opened"]
    second.leave()
    assert opened == ["opened", "closed"]


def test_runs_that_read_the_same_are_grouped(harness: SyncHarness) -> None:
    one = harness.bridge.audiences[0]
    many = [replace(one, name=f"a{number}") for number in range(5)]
    other, stream = replace(one, name="b", segment="other"), replace(one, name="c", stream="people")
    found = [[each.name for each in group] for group in groups([other, *many, stream])]
    assert found == [["b"], ["a0", "a1", "a2", "a3"], ["a4"], ["c"]]


def test_who_interrupts_ends_all(shared: SyncHarness) -> None:
    """Ctrl-C reaches the main thread, in which the first run is; the others are told."""
    stop = threading.Event()

    def first(ticket: ReadTicket) -> None:
        raise KeyboardInterrupt

    def second(ticket: ReadTicket) -> None:
        assert stop.wait()

    with pytest.raises(KeyboardInterrupt):
        run_group([first, second], stop)
