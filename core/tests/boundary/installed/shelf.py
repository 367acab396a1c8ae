"""A destination that records its calls in a file, and fails as its settings say."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from cdp_bridge.sdk import (
    Audience,
    AudienceRef,
    Batch,
    Catalog,
    ConfigError,
    Connector,
    Limits,
    Outcome,
    Probe,
    RejectedError,
    Stream,
    hookimpl,
    option,
)
from msgspec import Struct, to_builtins


class Settings(Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    notes: Annotated[str, option("Notes", "A file")]
    refuse: Annotated[list[str], option("Refuse", "Hashes whose members are refused by name")] = []
    choke: Annotated[str, option("Choke", "A hash that makes a whole batch refused")] = ""
    fail_at: Annotated[int, option("Fail at", "The call that fails for good")] = 0
    doubt: Annotated[bool, option("Doubt", "Say nothing of the members")] = False
    pending: Annotated[int, option("Pending", "How often to answer later")] = 0
    add_only: Annotated[bool, option("Add only")] = False


CONNECTOR = Connector(
    name="destination-shelf", kind="destination", settings=Settings, load="shelf", limits=Limits(rows=3)
)


@hookimpl
def bridge_connectors() -> list[Connector]:
    return [CONNECTOR]


def main() -> None:
    from cdp_bridge.sdk import run

    run(CONNECTOR)


def check(settings: Settings) -> list[Probe]:
    return [Probe("shelf", True)]


def discover(settings: Settings) -> Catalog:
    audience = Stream(
        name="audience",
        profile="meta",
        operations=("add",) if settings.add_only else ("add", "remove"),
        matching_keys=("email",),
    )
    return Catalog((audience, Stream(name="orders", profile="meta", operations=("track",), limits=Limits(rows=2))))


@contextmanager
def open(settings: Settings) -> Iterator["Shelf"]:
    yield Shelf(settings)


class Shelf:
    def __init__(self, settings: Settings) -> None:
        self.settings, self.calls, self.pending = settings, 0, settings.pending

    def note(self, **what: Any) -> None:
        with Path(self.settings.notes).open("a") as file:
            print(json.dumps(what), file=file)

    def ensure(self, audience: Audience) -> AudienceRef:
        self.note(ensure=audience.marker, name=audience.name)
        return AudienceRef(id=audience.marker, account="account")

    def write(self, batch: Batch) -> Outcome:
        self.calls += 1
        if self.calls == self.settings.fail_at:
            raise ConfigError("the shelf is closed", remedy="Open it")
        members = [
            {column: values[position] for column, values in batch.identifiers.items() if values[position]}
            for position in range(len(batch.keys))
        ]
        values = [{value for column in member.values() for value in column} for member in members]
        if any(self.settings.choke in held for held in values):
            raise RejectedError("choked", reason="shelf:choked")
        told = {"events": [to_builtins(event) for event in batch.events]} if batch.events else {}
        self.note(
            operation=batch.operation, members=members, number=batch.number, last=batch.last, total=batch.total, **told
        )
        refused = set(self.settings.refuse)
        return Outcome(
            rejected={key: "shelf:refused" for key, held in zip(batch.keys, values, strict=True) if held & refused},
            unknown=frozenset(batch.keys) if self.settings.doubt else frozenset(),
            pending="later" if self.pending else None,
        )

    def settle(self, audience: AudienceRef, pending: str) -> Outcome:
        self.pending -= 1
        self.note(settle=pending)
        return Outcome(pending="later" if self.pending else None)
