"""Everything that one activation names, found and checked before anything runs."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, TypeVar

from msgspec import Struct

from ..entities import Activation, Bridge, CDPConnection, ConversionFeed, DestinationAccount, Sync
from ..errors import ConfigError
from ..identity import load_profile
from ..loading import sound
from ..mapping import Form, Mapper, allowed, compile_mapping
from ..model import Catalog, Destination, Launcher, Limits, Operation, ReadRequest, Source, Stream
from ..registry import Registry
from ..settings import Resolve
from .blame import blame
from .side import Side, side

E = TypeVar("E", CDPConnection, DestinationAccount)


class Setup(Struct, frozen=True, kw_only=True):
    """What a run works with: `stream` of the source and the `target` that is written, one of the destination's objects.

    `fields` are the identifiers that the mapping's policies and the profile let out.
    """

    sync: Sync
    bridge: Bridge
    connection: CDPConnection
    account: DestinationAccount
    source: Side
    destination: Side
    mapper: Mapper
    stream: str
    target: Stream
    fields: tuple[str, ...]

    @property
    def segment(self) -> str | None:
        """The segment whose people are read, if it is one."""
        return self.sync.segment if isinstance(self.sync, Activation) else None

    @property
    def profile(self) -> str:
        """The identity profile of what is written."""
        return self.target.profile or ""

    @property
    def limits(self) -> Limits:
        """What the platform takes of it."""
        return self.target.limits or self.destination.connector.limits

    def close(self) -> None:
        """End the processes of connectors that have one."""
        _both(Side.close, self.source, self.destination)

    def request(self, checkpoint: dict[str, Any] | None) -> ReadRequest:
        """What to ask the source for."""
        return ReadRequest(stream=self.stream, segment=self.segment, fields=self.mapper.fields, checkpoint=checkpoint)


def prepare(
    bridge: Bridge,
    registry: Registry,
    sync: Sync,
    resolve: Resolve,
    launcher: Launcher | None = None,
    run: str = "",
    token: int = 0,
) -> Setup:
    """Resolve an activation or conversion feed; ConfigError naming the part that is missing or cannot work.

    `resolve` knows the secrets. The connectors work in processes that `launcher` starts for that run and lease; None:
    in this one.
    """
    place = f"{'conversions' if isinstance(sync, ConversionFeed) else 'audiences'}.{sync.name}"
    connection = _named(bridge.connections, sync.connection, f"{place}.connection")
    account = _named(bridge.destinations, sync.destination, f"{place}.destination")
    if sync.mapping not in bridge.mappings:
        raise ConfigError(
            f"there is no mapping {sync.mapping}", place=f"{place}.mapping", remedy="Apply a bridge.yaml that has it"
        )
    mappings = bridge.mappings[sync.mapping]
    with ExitStack() as stack:
        reads = registry.connector(connection.cdp_provider, "source")
        source = side(registry, resolve, reads, connection.api_credentials, launcher, run, token)
        stack.callback(source.close)
        writes = registry.connector(account.connector, "destination")
        destination = side(registry, resolve, writes, account.settings, launcher, run, token)
        stack.callback(destination.close)
        _both(Side.start, source, destination)
        target = _object(destination, "track" if isinstance(sync, ConversionFeed) else "add")
        stream = sync.stream or _stream(source, membership=isinstance(sync, Activation), place=f"{place}.stream")
        stack.pop_all()
    mapper = compile_mapping(mappings, sync.consent, registry.functions)
    rules = load_profile(target.profile or "").fields
    forms: dict[str, Form] = {field: "hashed" if rule.send == "hash" else "clear" for field, rule in rules.items()}
    return Setup(
        sync=sync,
        bridge=bridge,
        connection=connection,
        account=account,
        source=source,
        destination=destination,
        mapper=mapper,
        stream=stream,
        target=target,
        fields=allowed(mappings, forms),
    )


def _both(action: Callable[[Side], None], source: Side, destination: Side) -> None:
    """At the same time: containers take their time to come and to go."""
    with ThreadPoolExecutor() as pool:
        for _ in pool.map(action, (source, destination)):
            pass


def _object(destination: Side, operation: Operation) -> Stream:
    """The first object that takes people, or conversions."""
    code: Destination = destination.code
    with blame(destination.connector):
        offered = sound(Catalog, code.discover(destination.settings))
    streams = [stream for stream in offered.streams if stream.profile and operation in stream.operations]
    if not streams:
        what = "people" if operation == "add" else "conversions"
        raise ConfigError(f"{destination.connector.name} names no identity profile, so no {what} can be sent to it")
    return streams[0]


def _stream(source: Side, *, membership: bool, place: str) -> str:
    """The source's only stream, of segment members if people are wanted."""
    code: Source = source.code
    with blame(source.connector):
        offered = sound(Catalog, code.discover(source.settings))
    streams = [stream for stream in offered.streams if stream.membership or not membership]
    if len(streams) != 1:
        names = ", ".join(stream.name for stream in streams)
        raise ConfigError(
            f"{source.connector.name} has {len(streams)} streams{' of segment members' if membership else ''}",
            place=place,
            remedy=f"Name one of {names}" if names else "Choose a connector that reads segment members",
        )
    return streams[0].name


def _named(entries: tuple[E, ...], name: str, place: str) -> E:
    found = next((entry for entry in entries if entry.name == name), None)
    if found is None:
        raise ConfigError(f"there is no {name}", place=place, remedy="Apply a bridge.yaml that has it")
    return found
