"""Everything that one activation names, found and checked before anything runs."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, TypeVar

from msgspec import Struct

from ..entities import Activation, Bridge, CDPConnection, DestinationAccount
from ..errors import ConfigError
from ..identity import load_profile
from ..loading import sound
from ..mapping import Form, Mapper, allowed, compile_mapping
from ..model import Catalog, Destination, Launcher, ReadRequest, Source, Stream
from ..registry import Registry
from ..settings import Resolve
from .blame import blame
from .side import Side, side

E = TypeVar("E", CDPConnection, DestinationAccount)


class Setup(Struct, frozen=True, kw_only=True):
    """What a run works with.

    `fields` are the identifiers that the mapping's policies and the profile let out, `matching_keys` the columns of the
    profile that the destination takes (none named: all).
    """

    activation: Activation
    bridge: Bridge
    connection: CDPConnection
    account: DestinationAccount
    source: Side
    destination: Side
    mapper: Mapper
    stream: str
    profile: str
    matching_keys: tuple[str, ...]
    fields: tuple[str, ...]

    def close(self) -> None:
        """End the processes of connectors that have one."""
        _both(Side.close, self.source, self.destination)

    def request(self, checkpoint: dict[str, Any] | None) -> ReadRequest:
        """What to ask the source for."""
        return ReadRequest(
            stream=self.stream, segment=self.activation.segment, fields=self.mapper.fields, checkpoint=checkpoint
        )


def prepare(
    bridge: Bridge,
    registry: Registry,
    activation: Activation,
    resolve: Resolve,
    launcher: Launcher | None = None,
    run: str = "",
    token: int = 0,
) -> Setup:
    """Resolve an activation; ConfigError naming the part that is missing or cannot work.

    `resolve` knows the secrets. The connectors work in processes that `launcher` starts for that run and lease; None:
    in this one.
    """
    connection = _named(bridge.connections, activation.connection, f"audiences.{activation.name}.connection")
    account = _named(bridge.destinations, activation.destination, f"audiences.{activation.name}.destination")
    if activation.mapping not in bridge.mappings:
        raise ConfigError(
            f"there is no mapping {activation.mapping}",
            place=f"audiences.{activation.name}.mapping",
            remedy="Apply a bridge.yaml that has it",
        )
    mappings = bridge.mappings[activation.mapping]
    with ExitStack() as stack:
        reads = registry.connector(connection.cdp_provider, "source")
        source = side(registry, resolve, reads, connection.api_credentials, launcher, run, token)
        stack.callback(source.close)
        writes = registry.connector(account.connector, "destination")
        destination = side(registry, resolve, writes, account.settings, launcher, run, token)
        stack.callback(destination.close)
        _both(Side.start, source, destination)
        target = _people_object(destination)
        stream = activation.stream or _membership_stream(source, activation)
        stack.pop_all()
    profile = target.profile or ""
    mapper = compile_mapping(mappings, activation.consent, registry.functions)
    rules = load_profile(profile).fields
    forms: dict[str, Form] = {field: "hashed" if rule.send == "hash" else "clear" for field, rule in rules.items()}
    return Setup(
        activation=activation,
        bridge=bridge,
        connection=connection,
        account=account,
        source=source,
        destination=destination,
        mapper=mapper,
        stream=stream,
        profile=profile,
        matching_keys=target.matching_keys,
        fields=allowed(mappings, forms),
    )


def _both(action: Callable[[Side], None], source: Side, destination: Side) -> None:
    """At the same time: containers take their time to come and to go."""
    with ThreadPoolExecutor() as pool:
        for _ in pool.map(action, (source, destination)):
            pass


def _people_object(destination: Side) -> Stream:
    code: Destination = destination.code
    with blame(destination.connector):
        offered = sound(Catalog, code.discover(destination.settings))
    streams = [stream for stream in offered.streams if stream.profile]
    if not streams:
        raise ConfigError(f"{destination.connector.name} names no identity profile, so no people can be sent to it")
    return streams[0]


def _membership_stream(source: Side, activation: Activation) -> str:
    code: Source = source.code
    with blame(source.connector):
        offered = sound(Catalog, code.discover(source.settings))
    streams = [stream for stream in offered.streams if stream.membership]
    if len(streams) != 1:
        names = ", ".join(stream.name for stream in streams)
        raise ConfigError(
            f"{source.connector.name} has {len(streams)} streams of segment members",
            place=f"audiences.{activation.name}.stream",
            remedy=f"Name one of {names}" if names else "Choose a connector that reads segment members",
        )
    return streams[0].name


def _named(entries: tuple[E, ...], name: str, place: str) -> E:
    found = next((entry for entry in entries if entry.name == name), None)
    if found is None:
        raise ConfigError(f"there is no {name}", place=place, remedy="Apply a bridge.yaml that has it")
    return found
