"""A connector with all that a test of the kit needs: its code, its settings, and the relay in front of its twin."""

from __future__ import annotations

import dataclasses
import io
import time
import uuid
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import msgspec
import pytest
from msgspec.structs import replace

from cdp_bridge import settings as settings_module
from cdp_bridge.connectors.loading import implementation
from cdp_bridge.delivery.sender import Part, Sender
from cdp_bridge.errors import ConfigError
from cdp_bridge.identity import CLEAR
from cdp_bridge.model import (
    Audience,
    AudienceRef,
    Batch,
    Checkpoint,
    Connector,
    Conversion,
    Item,
    Limits,
    Operation,
    Page,
    ReadRequest,
    Stream,
    Writer,
)
from cdp_bridge.protocol.messages import Output
from cdp_bridge.staging.packing import batch_columns
from cdp_bridge.testing import executable
from cdp_bridge.testing.executable import Executable
from cdp_bridge.testing.hashed import columns_of, packed
from cdp_bridge.testing.messages import Member, difference, key_text, member_difference
from cdp_bridge.testing.people import Person, fields, key
from cdp_bridge.testing.relay import Relay
from cdp_bridge.testing.twin import DestinationTwin, SourceTwin

B = TypeVar("B", bound="Harness")
Record = Mapping[str, Any]
IDENTIFYING = ("email", "phone", "mobile_ad_id", "external_id")
MAX_WAITS = 1_000


@dataclass
class Clock:
    """Time that does not pass: `slept` are the waits of the connector and the core, in seconds."""

    slept: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        """Remember a wait; a job that waits for ever ends here."""
        self.slept.append(seconds)
        if len(self.slept) > MAX_WAITS:
            pytest.fail(f"it waited {MAX_WAITS} times; give up after some tries with a TransientError")


def pointed_at(relay: Relay | None, twin: SourceTwin | DestinationTwin, raw: Mapping[str, Any]) -> dict[str, Any]:
    """Raw settings with the relay's URL in place of the twin's."""
    text = msgspec.json.encode(raw).decode()
    return dict(msgspec.json.decode(text.replace(twin.url, relay.url) if relay else text))


@dataclass
class Harness:
    """The connector under test; `relay` is None for one that does not use HTTP."""

    connector: Connector
    raw: dict[str, Any]
    relay: Relay | None
    clock: Clock

    @cached_property
    def code(self) -> Any:
        """The module that does the connector's work."""
        return implementation(self.connector)

    @cached_property
    def settings(self) -> Any:
        """The checked settings."""
        return self.load(self.raw)

    def load(self, raw: Mapping[str, Any]) -> Any:
        """Raw settings, checked."""
        return settings_module.load(self.connector.settings, raw)

    def anew(self: B) -> B:
        """A copy with settings of its own, so that nothing is left of an earlier job."""
        return dataclasses.replace(self)


@dataclass
class SourceHarness(Harness):
    """A source and its twin."""

    twin: SourceTwin

    @cached_property
    def stream(self) -> Stream:
        """The stream of people, or the first one of a source that has none."""
        streams: Sequence[Stream] = self.code.discover(self.settings).streams
        return next((stream for stream in streams if stream.membership), streams[0])

    def read(self, **request: Any) -> Iterator[Page | Checkpoint]:
        """The twin's segment, or what `request` (fields of a ReadRequest) says otherwise."""
        wanted = {"stream": self.stream.name, "segment": self.twin.segment} | request
        yield from self.code.read(self.settings, ReadRequest(**wanted))

    def key(self, record: Record) -> tuple[Any, ...]:
        """A record's primary key."""
        return tuple(record.get(name) for name in self.stream.primary_key)

    def prepare(self) -> None:
        """Nothing: what a source reads is there."""

    def work(self) -> list[Any]:
        """The job: the records of the segment."""
        return as_json(records(self.read()))

    def differs(self, expected: Any, got: Any) -> str:
        """How one result of the job differs from another: by a key, a record, or in length."""
        before, after = ({self.key(record): record for record in result} for result in (expected, got))
        if wrong := difference(before, after, key_text):
            return wrong
        for known, record in before.items():
            names = record.keys() | after[known].keys()
            changed = sorted(name for name in names if record.get(name) != after[known].get(name))
            if changed:
                return f"the record {key_text(known)} differs in {', '.join(changed)}"
        return f"expected {len(expected)} records, got {len(got)}"

    def in_process(self) -> list[Any]:
        """The job as an executable does it, which gets no segment."""
        try:
            return as_json(records(self.read(segment=None)))
        except ConfigError as error:
            pytest.fail(f"a read without a segment fails; read what the settings name, or everybody: {error}")

    def by_executable(self, run: Executable) -> list[Any]:
        """The same job, done by the executable."""
        completed = run("read", config=self.raw, catalog=executable.catalog(self.stream.name))
        assert completed.code == 0, (
            f"exit code {completed.code} of read; run the executable by hand: {completed.of('TRACE')}"
        )
        return as_json([record["data"] for record in completed.of("RECORD")])


def records(items: Collection[Page | Checkpoint] | Iterator[Page | Checkpoint]) -> list[Record]:
    """The records of all pages as dicts."""
    return [row for item in items if isinstance(item, Page) for row in rows(item)]


def rows(page: Page) -> list[Record]:
    """The records of a page as dicts."""
    records = page.records
    return list(records) if isinstance(records, Sequence) else records.to_pylist(maps_as_pydicts="lossy")


def as_json(rows: Sequence[Record]) -> list[Any]:
    """Records as the executable prints them, in an order that does not depend on how they came."""
    printed = io.BytesIO()
    Output(printed).records("", rows)
    lines = map(msgspec.json.decode, printed.getvalue().splitlines())
    return sorted((line["record"]["data"] for line in lines), key=repr)


def new_audience() -> Audience:
    """An audience with a marker that is like no other."""
    return Audience(marker=f"kit-{uuid.uuid4().hex}", name="Conformance")


@dataclass
class DestinationHarness(Harness):
    """A destination and its twin; `audience` is unique to the test."""

    twin: DestinationTwin
    audience: Audience
    ref: AudienceRef | None = None

    @cached_property
    def stream(self) -> Stream:
        """The object that is written."""
        return next((stream for stream in self._offered if "add" in stream.operations), self._offered[0])

    @property
    def _offered(self) -> Sequence[Stream]:
        streams: Sequence[Stream] = self.code.discover(self.settings).streams
        return streams

    def conversions(self, people: Sequence[Person]) -> tuple[Batch, Limits] | None:
        """A purchase of each person, and what the platform takes of them; None if it takes none."""
        stream = next((stream for stream in self._offered if "track" in stream.operations), None)
        if stream is None:
            return None
        batch = Batch(
            audience=AudienceRef(id=stream.name, account="kit"),
            operation="track",
            keys=[key(person) for person in people],
            identifiers=batch_columns(packed(stream.profile or CLEAR, people), _columns(stream)),
            events=[_purchase() for _ in people],
            total=len(people),
        )
        return batch, stream.limits or self.connector.limits

    @property
    def columns(self) -> list[str]:
        """The columns of the profile that the object takes."""
        return _columns(self.stream)

    def batch(self, ref: AudienceRef, operation: Operation, people: Sequence[Person], **more: Any) -> Batch:
        """People as the core sends them: hashed as the profile says, in the columns that the stream takes."""
        keys = [key(person) for person in people]
        identifiers = batch_columns(packed(self.stream.profile or CLEAR, people), self.columns)
        more = {"total": len(people)} | more
        return Batch(audience=ref, operation=operation, keys=keys, identifiers=identifiers, **more)

    def member_keys(self, people: Sequence[Person]) -> dict[Member, bytes]:
        """The member key of each person, by the identifier values of a batch."""
        batch = self.batch(AudienceRef(id="", account=""), "add", people)
        columns = batch.identifiers.values()
        return {
            frozenset(value for column in columns for value in column[i]): batch.keys[i] for i in range(len(people))
        }

    def value(self, person: Person) -> str:
        """An identifier value that nobody else has."""
        known = self.batch(AudienceRef(id="", account=""), "add", [person]).identifiers
        return next(known[column][0][0] for column in IDENTIFYING if column in known)

    @contextmanager
    def open(self) -> Iterator[tuple[Writer, Sender, AudienceRef]]:
        """A writer, the core's sender around it, and the test's audience at the twin, by its reference once known."""
        with self.code.open(self.settings) as writer:
            sender = self.sender(writer)
            ensured = sender.ensure(replace(self.audience, ref=self.ref))
            self.ref = self.ref or ensured
            yield writer, sender, self.ref

    def anew(self) -> DestinationHarness:
        """A copy with an audience of its own."""
        return dataclasses.replace(self, audience=new_audience(), ref=None)

    def prepare(self) -> None:
        """Make the audience."""
        with self.open():
            pass

    def sender(self, writer: Writer) -> Sender:
        """The core's sender, which retries, bisects and waits."""
        return Sender(writer, self.connector.limits, sleep=self.clock.sleep)

    def send(self, operation: Operation, people: Sequence[Person]) -> list[Part]:
        """Add people to the test's audience, or remove them, as one run does; what is pending is settled."""
        with self.open() as (writer, sender, ref):
            return settled(writer, sender.send(self.batch(ref, operation, people)))

    def rows(self) -> Counter[Member]:
        """The members of the test's audience at the twin, by their identifier values, and how often each is there."""
        if self.ref is None or self.ref.id not in self.twin.audiences():
            return Counter()
        return Counter(map(frozenset, self.twin.members(self.ref.id)))

    def held(self) -> set[Member]:
        """The members of the test's audience at the twin; none if there is no audience."""
        return set(self.rows())

    def work(self) -> set[Member]:
        """The job: some people are added, some of them removed; the members in the end."""
        self.send("add", range(12))
        self.send("remove", range(4))
        return self.held()

    def differs(self, expected: Any, got: Any) -> str:
        """How one result of the job differs from another: by a member."""
        return member_difference(expected, got, self.member_keys(range(12)))

    def in_process(self) -> set[Member]:
        """The job as an executable does it: some people are added."""
        self.send("add", range(12))
        return self.held()

    def by_executable(self, run: Executable) -> set[Member]:
        """The same job, done by the executable, which makes an audience of its own."""
        before = set(self.twin.audiences())
        people = executable.records("people", [fields(person) for person in range(12)])
        chosen = executable.catalog("people", destination_object_name=self.stream.name)
        completed = run("write", people, config=self.raw, catalog=chosen)
        assert completed.code == 0, (
            f"exit code {completed.code} of write; run the executable by hand: {completed.of('TRACE')}"
        )
        made = set(self.twin.audiences()) - before
        assert len(made) == 1, (
            f"the executable made {len(made)} audiences for one stream; search by marker before you create"
        )
        return {frozenset(member) for member in self.twin.members(made.pop())}


def _columns(stream: Stream) -> list[str]:
    known = columns_of(stream.profile or CLEAR)
    return [name for name in known if name in (stream.columns or known)]


def _purchase() -> Conversion:
    event = uuid.uuid4().hex
    return Conversion(
        event_id=event,
        event_name="purchase",
        occurred_at=round(time.time()) - 60,
        url="https://shop.example/thanks",
        value=12.5,
        currency="EUR",
        order_id=f"order-{event}",
        items=(Item(id="sku-1", quantity=1, price=12.5),),
        user_agent="Mozilla/5.0",
    )


AnyHarness = SourceHarness | DestinationHarness


def settled(writer: Writer, parts: Iterable[Part], *, most: int = 20) -> list[Part]:
    """The parts with the final word on each that was pending."""
    return [_settled(writer, part, most) for part in parts]


def _settled(writer: Writer, part: Part, most: int) -> Part:
    outcome = part.outcome
    for _ in range(most):
        if outcome is None or outcome.pending is None:
            break
        # Who was rejected when the batch was sent stays rejected.
        later = writer.settle(part.batch.audience, outcome.pending)
        outcome = replace(later, rejected={**outcome.rejected, **later.rejected})
    return Part(part.batch, outcome)
