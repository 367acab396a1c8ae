"""Finds and checks everything that one activation names, before anything runs."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from typing import Any, TypeVar

from msgspec import Struct

from cdp_bridge.connectors.errors import connector_errors
from cdp_bridge.connectors.handle import ConnectorHandle, OpenConnector
from cdp_bridge.connectors.loading import validated
from cdp_bridge.connectors.registry import Registry
from cdp_bridge.entities import Activation, Bridge, CDPConnection, ConversionFeed, DestinationAccount, Sync
from cdp_bridge.errors import ConfigError
from cdp_bridge.identity import CLEAR, load_profile
from cdp_bridge.mapping import Form, Mapper, allowed, compile_mapping
from cdp_bridge.model import Catalog, Connector, Destination, Limits, Operation, ReadRequest, Source, Stream
from cdp_bridge.sync.reading import ReadTicket

E = TypeVar("E", CDPConnection, DestinationAccount)
A = TypeVar("A")
B = TypeVar("B")


class Setup(Struct, frozen=True, kw_only=True):
    """What a run works with: `stream` of the source and the `target` that is written, one of the destination's objects.

    `ticket` is its place where the source is read, `fields` are the identifiers that the mapping's policies and the
    profile let out.
    """

    sync: Sync
    bridge: Bridge
    connection: CDPConnection
    account: DestinationAccount
    ticket: ReadTicket
    destination: ConnectorHandle
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
        return self.target.profile or CLEAR

    @property
    def limits(self) -> Limits:
        """What the platform takes of it."""
        return self.target.limits or self.destination.connector.limits

    def close(self) -> None:
        """End the processes of connectors that have one; the source's, if nobody else reads from it."""
        _both(self.ticket.leave, self.destination.close)

    def request(self, checkpoint: dict[str, Any] | None) -> ReadRequest:
        """What to ask the source for."""
        return ReadRequest(stream=self.stream, segment=self.segment, fields=self.mapper.fields, checkpoint=checkpoint)


def prepare(bridge: Bridge, registry: Registry, sync: Sync, connect: OpenConnector, ticket: ReadTicket) -> Setup:
    """Resolve an activation or conversion feed; ConfigError naming the part that is missing or cannot work.

    Whatever it raises, the ticket is given back then.
    """
    place = f"{'conversions' if isinstance(sync, ConversionFeed) else 'audiences'}.{sync.name}"
    with ExitStack() as stack:
        stack.callback(ticket.leave)
        connection = _named(bridge.connections, sync.connection, f"{place}.connection")
        account = _named(bridge.destinations, sync.destination, f"{place}.destination")
        if sync.mapping not in bridge.mappings:
            remedy = "Apply a bridge.yaml that has it"
            raise ConfigError(f"there is no mapping {sync.mapping}", place=f"{place}.mapping", remedy=remedy)
        mappings = bridge.mappings[sync.mapping]
        reads = registry.connector(connection.cdp_provider, "source")
        writes = registry.connector(account.connector, "destination")
        destination = connect(writes, account.settings)
        stack.callback(destination.close)
        source = partial(_source, connect, reads, connection.api_credentials, sync, place)
        stream, _ = _both(partial(ticket.open, source), destination.start)
        target = _object(destination, sync, place)
        mapper = compile_mapping(mappings, sync.consent, registry.functions)
        rules = load_profile(target.profile or CLEAR).fields
        forms: dict[str, Form] = {field: "hashed" if rule.send == "hash" else "clear" for field, rule in rules.items()}
        fields = allowed(mappings, forms)
        # Who clicked is known by that, so a conversion needs no identifier.
        if not fields and not mapper.is_events and target.profile in (None, CLEAR):
            raise ConfigError(
                f"{target.name} takes identifiers in clear, and none may leave so",
                place=f"{place}.mapping",
                remedy="Set the policy of those that may to clear",
            )
        stack.pop_all()
    return Setup(
        sync=sync,
        bridge=bridge,
        connection=connection,
        account=account,
        ticket=ticket,
        destination=destination,
        mapper=mapper,
        stream=stream,
        target=target,
        fields=fields,
    )


def _both(first: Callable[[], A], second: Callable[[], B]) -> tuple[A, B]:
    """Calls both at the same time, since containers take their time to start and to end."""
    with ThreadPoolExecutor() as pool:
        futures = pool.submit(first), pool.submit(second)
    return futures[0].result(), futures[1].result()


def _source(
    connect: OpenConnector, connector: Connector, raw: dict[str, Any], sync: Sync, place: str
) -> tuple[ConnectorHandle, str]:
    """The source at work, and its stream that is to be read."""
    with ExitStack() as stack:
        source = connect(connector, raw)
        stack.callback(source.close)
        source.start()
        stream = sync.stream or _stream(source, membership=isinstance(sync, Activation), place=f"{place}.stream")
        stack.pop_all()
    return source, stream


def _object(destination: ConnectorHandle, sync: Sync, place: str) -> Stream:
    """The object that the sync names, or the only one that takes people, or conversions."""
    code: Destination = destination.code
    with connector_errors(destination.connector):
        offered = validated(Catalog, code.discover(destination.settings))
    operation: Operation = "track" if isinstance(sync, ConversionFeed) else "add"
    people = "conversions" if operation == "track" else "people"
    streams = {stream.name: stream for stream in offered.streams if operation in stream.operations}
    if not streams:
        raise ConfigError(
            f"{destination.connector.name} has no object that takes {people}", place=f"{place}.destination"
        )
    if len(streams) == 1 and sync.object is None:
        return next(iter(streams.values()))
    if sync.object not in streams:
        problem = f"there is no object {sync.object} that takes" if sync.object else "name one of the objects that take"
        raise ConfigError(f"{problem} {people}", place=f"{place}.object", remedy=f"There are: {', '.join(streams)}")
    return streams[sync.object]


def _stream(source: ConnectorHandle, *, membership: bool, place: str) -> str:
    """The source's only stream, of segment members if people are wanted."""
    code: Source = source.code
    with connector_errors(source.connector):
        offered = validated(Catalog, code.discover(source.settings))
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
    for entry in entries:
        if entry.name == name:
            return entry
    raise ConfigError(f"there is no {name}", place=place, remedy="Apply a bridge.yaml that has it")
