"""A connector on the test bench: its code, its settings, and the relay in front of its twin."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import msgspec

from .. import settings as settings_module
from ..model import (
    Audience,
    AudienceRef,
    Batch,
    Checkpoint,
    Connector,
    Operation,
    Page,
    ReadRequest,
    Stream,
    Writer,
)
from ..protocol.hashing import apply_profile
from ..registry import implementation
from ..sync.deliver import Part, Sender
from ..sync.members import batch_columns
from .people import Person, fields, key
from .relay import Relay
from .twin import DestinationTwin, SourceTwin

Record = Mapping[str, Any]


@dataclass
class Clock:
    """Time in which nobody has to wait: `slept` are the waits of the connector and the core, in seconds."""

    slept: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        """Remember a wait."""
        self.slept.append(seconds)


def pointed_at(relay: Relay | None, twin: SourceTwin | DestinationTwin, raw: Mapping[str, Any]) -> dict[str, Any]:
    """Raw settings with the relay's URL in place of the twin's."""
    text = msgspec.json.encode(raw).decode()
    return dict(msgspec.json.decode(text.replace(twin.url, relay.url) if relay else text))


@dataclass
class Bench:
    """What every test of the kit works with; `relay` is None for a connector that does not use HTTP."""

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


@dataclass
class SourceBench(Bench):
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

    def work(self) -> Any:
        """The job: who is in the segment, with what."""
        return sorted(((self.key(record), dict(record)) for record in records(self.read())), key=repr)


def records(items: Collection[Page | Checkpoint] | Iterator[Page | Checkpoint]) -> list[Record]:
    """The records of all pages as dicts."""
    pages = [item.records for item in items if isinstance(item, Page)]
    return [row for page in pages for row in (page if isinstance(page, Sequence) else page.to_pylist())]


@dataclass
class DestinationBench(Bench):
    """A destination and its twin; `audience` is unique to the test."""

    twin: DestinationTwin
    audience: Audience

    @cached_property
    def stream(self) -> Stream:
        """The object that is written."""
        streams: Sequence[Stream] = self.code.discover(self.settings).streams
        return next(stream for stream in streams if stream.profile)

    def batch(self, ref: AudienceRef, operation: Operation, people: Sequence[Person], **more: Any) -> Batch:
        """People as the core would hand them over: hashed as the profile wants, in the columns that are taken."""
        hashed = apply_profile(self.stream.profile or "", [fields(person) for person in people])
        taken = self.stream.matching_keys or hashed.columns
        columns = [name for name in hashed.columns if name in taken]
        packed = [hashed.members[position] for position in range(len(people))]
        keys = [key(person) for person in people]
        identifiers = batch_columns(packed, columns)
        more = {"total": len(people)} | more
        return Batch(audience=ref, operation=operation, keys=keys, identifiers=identifiers, **more)

    def values(self, people: Sequence[Person]) -> set[frozenset[str]]:
        """The identifier values of each person, as a batch carries them."""
        batch = self.batch(AudienceRef(id="", account=""), "add", people)
        columns = batch.identifiers.values()
        return {frozenset(value for column in columns for value in column[i]) for i in range(len(people))}

    @contextmanager
    def open(self) -> Iterator[tuple[Writer, Sender, AudienceRef]]:
        """A writer, the core's sender around it, and the test's audience at the twin."""
        with self.code.open(self.settings) as writer:
            sender = self.sender(writer)
            yield writer, sender, sender.ensure(self.audience)

    def sender(self, writer: Writer) -> Sender:
        """What the core sends with: it retries, bisects and waits."""
        return Sender(writer, self.connector.limits, sleep=self.clock.sleep)

    def send(self, operation: Operation, people: Sequence[Person]) -> list[Part]:
        """Add people to the test's audience, or remove them, as one run would; everything pending is settled."""
        with self.open() as (writer, sender, ref):
            return settled(writer, sender.send(self.batch(ref, operation, people)))

    def held(self) -> set[frozenset[str]]:
        """Who is in the test's audience at the twin, by the values they are known by; nobody if there is none."""
        with self.code.open(self.settings) as writer:
            ref = self.sender(writer).ensure(self.audience)
        members = self.twin.members(ref.id) if ref.id in self.twin.audiences() else ()
        return {frozenset(member) for member in members}

    def work(self) -> Any:
        """The job: some come, some of them leave; who is in the end there."""
        self.send("add", range(12))
        self.send("remove", range(4))
        return self.held()


def settled(writer: Writer, parts: Sequence[Part], *, most: int = 20) -> list[Part]:
    """The parts with the final word on each that was pending."""
    return [_settled(writer, part, most) for part in parts]


def _settled(writer: Writer, part: Part, most: int) -> Part:
    outcome = part.outcome
    for _ in range(most):
        if outcome is None or outcome.pending is None:
            break
        outcome = writer.settle(part.batch.audience, outcome.pending)
    return Part(part.batch, outcome)
