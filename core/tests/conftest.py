"""What core tests share: stores on both databases, and a CDP and a platform in this process to run syncs between."""

from __future__ import annotations

import copy
import hashlib
import itertools
import subprocess
import sys
import tempfile
import time
import types
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from cdp_bridge.connectors.registry import Registry
from cdp_bridge.entities import Activation, Bridge, CDPConnection, Consent, DataMapping, DestinationAccount, SyncLog
from cdp_bridge.hooks import hookimpl
from cdp_bridge.model import (
    Audience,
    AudienceRef,
    Batch,
    Catalog,
    Checkpoint,
    Connector,
    LifecycleEvent,
    Limits,
    Outcome,
    Page,
    Probe,
    ReadRequest,
    Stream,
)
from cdp_bridge.staging.packing import unpack
from cdp_bridge.store import Store
from cdp_bridge.sync.progress import Preview
from cdp_bridge.sync.run import OpenRun, open_run
from cdp_bridge.testing.configuring import configure
from msgspec import Struct
from msgspec.structs import replace

Row = frozenset[tuple[str, str]]
PARTS = "parts_of_the_sync_tests"
NAME = "vip"
MAPPINGS = (
    DataMapping(omniads_field="user_id", cdp_field="id"),
    DataMapping(omniads_field="email", cdp_field="email"),
    DataMapping(omniads_field="phone", cdp_field="phone"),
)


class Settings(Struct, kw_only=True, frozen=True):
    """Nothing is needed; `account` stands for any setting."""

    account: str = "1"


class Cdp:
    """A source: people by user id, read page by page, or as what changed since a position."""

    def __init__(self) -> None:
        self.people: dict[str, dict[str, Any]] = {}
        self.extra: list[dict[str, Any]] = []
        self.journal: list[str] = []
        self.page_size = 3
        self.requests: list[ReadRequest] = []
        self.breaks: Exception | None = None

    def put(self, user_id: str, **record: Any) -> None:
        self.people[user_id] = {"id": user_id, "ok": "yes", "email": None, "phone": None} | record
        self.journal.append(user_id)

    def drop(self, *user_ids: str) -> None:
        for user_id in user_ids:
            del self.people[user_id]
            self.journal.append(user_id)

    def check(self, settings: Settings) -> list[Probe]:
        return []

    def discover(self, settings: Settings) -> Catalog:
        return Catalog((Stream(name="people", membership=True), Stream(name="others")))

    def read(self, settings: Settings, request: ReadRequest) -> Iterator[Page | Checkpoint]:
        self.requests.append(request)
        records = [*self.people.values(), *self.extra] if request.checkpoint is None else self._changed(request)
        yield Page("others", [{"id": "nobody", "ok": "yes", "email": "nobody@example.com"}])
        for start in range(0, len(records), self.page_size):
            yield Page("people", records[start : start + self.page_size])
            if self.breaks:
                raise self.breaks
        if self.breaks:
            raise self.breaks
        yield Checkpoint("people", {"position": len(self.journal)})
        yield Checkpoint("others", {"position": -1})

    def _changed(self, request: ReadRequest) -> list[dict[str, Any]]:
        assert request.checkpoint is not None
        changed = dict.fromkeys(self.journal[request.checkpoint["position"] :])
        return [
            {**self.people.get(user_id, {"id": user_id}), "is_member": user_id in self.people} for user_id in changed
        ]


class Platform:
    """A destination: rows as they were sent; a removal takes out every row that shares an identifier, as Meta's does.
    Of conversions, how often it was told of each by id.

    `answers` are used up first, one a call: an exception is raised, a function gets the batch. Members with one of the
    `hated` values are rejected. `catalog` stands in for what `discover` finds, `shown` is the size that it shows,
    `names` are those of the audiences by id; `renames` says whether it follows a change of them.
    """

    preview: Callable[[Settings, Batch], Any]

    def __init__(self) -> None:
        self.audiences: dict[str, set[Row]] = {}
        self.markers: dict[str, str] = {}
        self.told: Counter[str] = Counter()
        self.batches: list[Batch] = []
        self.ensured: list[Audience] = []
        self.settled: list[str] = []
        self.answers: list[Exception | Callable[[Batch], Outcome]] = []
        self.settlements: list[Exception | Outcome] = []
        self.hated: dict[str, str] = {}
        self.account = "act_1"
        self.catalog: Catalog | None = None
        self.expires: float | None = None
        self.names: dict[str, str] = {}
        self.shown: tuple[int, int] | None = (7, 9)
        self.renames = True
        self.opening: Exception | None = None
        self.closing: Exception | None = None
        self._numbers = itertools.count(1)

    def check(self, settings: Settings) -> list[Probe]:
        return []

    def discover(self, settings: Settings) -> Catalog:
        if self.catalog:
            return self.catalog
        audience = Stream(name="audience", profile="meta", operations=("add", "remove"), expires=self.expires)
        conversions = Stream(name="conversions", profile="meta", operations=("track",), limits=Limits(rows=2))
        return Catalog((audience, conversions))

    @contextmanager
    def open(self, settings: Settings) -> Iterator[Platform]:
        if self.opening:
            raise self.opening
        # A writer of its own for each run, to the same audiences.
        writer = copy.copy(self)
        writer.account = f"act_{settings.account}"
        yield writer
        if self.closing:
            raise self.closing

    def ensure(self, audience: Audience) -> AudienceRef:
        self.ensured.append(audience)
        known = audience.ref.id if audience.ref and audience.ref.account == self.account else None
        if known not in self.audiences:
            known = self.markers.get(f"{self.account} {audience.marker}")
        if known not in self.audiences:
            known = f"a{next(self._numbers)}"
            self.audiences[known] = set()
            self.markers[f"{self.account} {audience.marker}"] = known
        if known not in self.names or (audience.rename and self.renames):
            self.names[str(known)] = audience.name
        name, (lower, upper) = self.names[str(known)], self.shown or (None, None)
        return AudienceRef(
            id=str(known), account=self.account, name=name, lower_bound=lower, upper_bound=upper, matched=self.shown
        )

    def write(self, batch: Batch) -> Outcome:
        self.batches.append(batch)
        answer = self.answers.pop(0) if self.answers else self.apply
        if isinstance(answer, Exception):
            raise answer
        return answer(batch)

    def settle(self, audience: AudienceRef, pending: str) -> Outcome:
        self.settled.append(pending)
        answer = self.settlements.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def track(self, batch: Batch) -> Outcome:
        self.told.update(event.event_id for event in batch.events)
        ids = {event.event_id: key for key, event in zip(batch.keys, batch.events, strict=True)}
        return Outcome(rejected={ids[one]: reason for one, reason in self.hated.items() if one in ids})

    def apply(self, batch: Batch) -> Outcome:
        if batch.operation == "track":
            return self.track(batch)
        held, rejected = self.audiences[batch.audience.id], {}
        for key, row in zip(batch.keys, rows_of(batch), strict=True):
            reason = next((self.hated[value] for _, value in row if value in self.hated), None)
            if reason:
                rejected[key] = reason
            elif batch.operation == "add":
                held.add(row)
            else:
                held -= {other for other in held if other & row}
        return Outcome(rejected=rejected)

    def lose(self) -> None:
        """Somebody deletes all audiences at the platform."""
        self.audiences.clear()

    @property
    def calls(self) -> int:
        return len(self.batches)

    @property
    def operations(self) -> list[tuple[str, int]]:
        """(operation, members) of each call."""
        return [(batch.operation, len(batch.keys)) for batch in self.batches]

    @property
    def held(self) -> set[Row]:
        """The rows of the one audience that lives."""
        (rows,) = self.audiences.values() or ({},)
        return set(rows)


def rows_of(batch: Batch) -> list[Row]:
    """What each member of a batch is sent as."""
    return [
        frozenset((column, value) for column, values in batch.identifiers.items() for value in values[place])
        for place in range(len(batch.keys))
    ]


class Clock:
    """The time, and what passed while somebody slept."""

    def __init__(self) -> None:
        self.passed = 0.0

    def __call__(self) -> float:
        return time.time() + self.passed


class SyncHarness:
    """An activation from a source to a platform in this process, on a store."""

    def __init__(self, store: Store) -> None:
        self.store, self.cdp, self.platform = store, Cdp(), Platform()
        self.events: list[LifecycleEvent] = []
        self.slept: list[float] = []
        self.clock = Clock()
        self.limits = Limits(rows=100, bytes=1_000_000)
        vip = Activation(name=NAME, connection="cdp", segment="vip", destination="ads", mapping="people")
        self.bridge = Bridge(
            connections=(CDPConnection(name="cdp", cdp_provider="source-test"),),
            destinations=(DestinationAccount(name="ads", connector="destination-test"),),
            mappings={"people": MAPPINGS},
            audiences=(replace(vip, consent=(Consent(purpose="ads", cdp_field="ok"),)),),
        )
        configure(self.store, self.bridge)

    def configure(self, *, mappings: Iterable[DataMapping] = (), account: str | None = None, **activation: Any) -> None:
        """Change the activation, its mappings, or the destination's settings."""
        bridge = replace(self.bridge, audiences=(replace(self.bridge.audiences[0], **activation),))
        if mappings:
            bridge = replace(bridge, mappings={"people": tuple(mappings)})
        if account:
            ads = DestinationAccount(name="ads", connector="destination-test", settings={"account": account})
            bridge = replace(bridge, destinations=(ads,))
        self.save(bridge)

    def suppress(self, path: Path, *lines: str) -> None:
        path.write_text("\n".join(lines))
        self.save(replace(self.bridge, suppressions=(str(path),)))

    def save(self, bridge: Bridge) -> None:
        self.bridge = bridge
        configure(self.store, bridge)

    def registry(self) -> Registry:
        module: Any = types.ModuleType(PARTS)
        module.cdp, module.platform = self.cdp, self.platform
        source = Connector(name="source-test", kind="source", settings=Settings, load=f"{PARTS}:cdp")
        destination = replace(source, name="destination-test", kind="destination", load=f"{PARTS}:platform")
        connectors = (source, replace(destination, limits=self.limits))

        @hookimpl
        def bridge_connectors() -> Iterable[Connector]:
            return connectors

        @hookimpl
        def bridge_event(event: LifecycleEvent) -> None:
            self.events.append(event)

        module.bridge_connectors, module.bridge_event = bridge_connectors, bridge_event
        sys.modules[PARTS] = module
        return Registry([EntryPoint(PARTS, PARTS, "cdp_bridge")])

    @contextmanager
    def open(self, store: Store | None = None, **options: Any) -> Iterator[OpenRun]:
        """A run of the first activation."""
        (chosen, *_) = self.bridge.syncs
        with open_run(store or self.store, self.registry(), chosen, **{"sleep": self.sleep, **options}) as run:
            yield run

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.clock.passed += seconds

    def sync(self, **options: Any) -> SyncLog:
        """One run; the platform's memory of calls starts anew."""
        self.platform.batches.clear()
        self.platform.ensured.clear()
        with self.open() as run:
            return run.sync(**options)

    def preview(self) -> Preview:
        with self.open() as run:
            return run.preview()

    def ref(self, name: str = NAME) -> AudienceRef:
        """The audience at the platform that the store knows of."""
        ref = self.store.audience_ref(name)
        assert ref is not None
        return ref

    def eligible(self) -> set[Row]:
        """The rows of everybody in the CDP who has consented and can be identified, by rules of the test's own."""
        return {row for person in self.cdp.people.values() if person["ok"] == "yes" and (row := expected(person))}

    def ledger(self) -> dict[str, Row]:
        """User id -> the row that the ledger says is at the platform."""
        return {
            str(one.user_id): frozenset(
                (column, value.hex() if isinstance(value, bytes) else value)
                for column, values in unpack(one.identifiers).items()
                for value in values
            )
            for chunk in self.store.ledger.members(NAME)
            for one in chunk
        }

    def doubts(self) -> int:
        """How many ledger rows are of an unknown state."""
        return sum(not print_ for chunk in self.store.ledger.fingerprints(NAME) for _, print_ in chunk)

    def assert_equal(self) -> None:
        """CDP, ledger and platform say the same."""
        assert self.platform.held == self.eligible()
        assert set(self.ledger().values()) == self.eligible()
        assert not self.doubts()
        assert not self.store.deliveries(NAME)


def expected(person: Mapping[str, Any]) -> Row:
    """The row that a person should be sent as; the people of these tests have clean values."""
    emails, phones = (_listed(person.get(field)) for field in ("email", "phone"))
    hashed = [("email", digest(value)) for value in emails] + [("phone", digest(value[1:])) for value in phones]
    return frozenset(hashed)


def digest(value: str) -> str:
    """The digest as which a clean e-mail address, or a phone without its plus, is sent."""
    return hashlib.sha256(value.encode()).hexdigest()


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value] if value else []


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of a file that does not exist yet."""
    return f"sqlite:///{tmp_path}/store.db"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def store_url(request: pytest.FixtureRequest) -> str:
    """The URL of a new store, once for each database."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """A new store, once for each database."""
    with Store.open(store_url) as opened:
        yield opened


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of 3 MB that others may enter; needs root."""
    folder = Path(tempfile.mkdtemp(prefix="cdp-bridge-small-disk-"))
    folder.chmod(0o755)
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)]
    tried = subprocess.run(mount, capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"NOT TESTED: no file system can be mounted here ({tried.stderr.strip()})")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)
    folder.rmdir()


@pytest.fixture
def harness(sqlite_url: str) -> Iterator[SyncHarness]:
    """An activation on SQLite with five people in the CDP: u0 to u4; sleeping takes no time."""
    clock = Clock()
    with Store.open(sqlite_url, clock=clock) as store:
        harness = _filled(store)
        harness.clock = clock
        yield harness
    sys.modules.pop(PARTS, None)


@pytest.fixture
def each_harness(store: Store) -> Iterator[SyncHarness]:
    """The same, once for each database."""
    yield _filled(store)
    sys.modules.pop(PARTS, None)


def _filled(store: Store) -> SyncHarness:
    harness = SyncHarness(store)
    for number in range(5):
        harness.cdp.put(f"u{number}", email=f"u{number}@example.com", phone=f"+1415555010{number}")
    return harness


@pytest.fixture
def make_harness() -> Callable[[Store], SyncHarness]:
    """A harness without people on a store of the test's own."""
    return SyncHarness
