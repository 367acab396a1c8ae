"""Reads and checks bridge.yaml: shape, connector settings, secrets by reference, cross references, mappings."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Iterator, Sized
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from cdp_bridge import secrets, settings
from cdp_bridge.configuration import document, hosts, open_secrets, paths, schedules
from cdp_bridge.entities import Bridge, ConversionFeed, DataMapping
from cdp_bridge.errors import ConfigError
from cdp_bridge.mapping import compile_mapping
from cdp_bridge.mapping.paths import parse
from cdp_bridge.mapping.validation import SCHEMA as VALIDATION_SCHEMA
from cdp_bridge.settings import SettingsError

if TYPE_CHECKING:
    from cdp_bridge.connectors.registry import Registry
    from cdp_bridge.model import Connector, Kind

Settings = dict[str, Any]
# An edit checks the whole configuration, so that none of its lists may grow without end.
MAX_ENTRIES = 10_000
MAX_RULES = 500
MAX_ITEMS = 100


def schema() -> dict[str, Any]:
    """The JSON schema (draft 7) of bridge.yaml."""
    whole = settings.schema(Bridge)
    mapping = whole["properties"]["mappings"]["additionalProperties"]["items"]["properties"]
    mapping["validation"] = {**mapping["validation"], **VALIDATION_SCHEMA}
    return {"title": "bridge.yaml", **whole}


def load(path: Path, registry: Registry) -> Bridge:
    """The configuration in a file, wholly checked; SettingsError names all faults with file, line, column and remedy.

    Relative paths in it come out absolute, from the file's own folder.
    """
    read = document.read(path)
    value = read.value if read.value is not None else {}
    try:
        settings.check_schema(schema(), value)
    except SettingsError as error:
        raise SettingsError([read.relocate(fault) for fault in error.errors]) from None
    bridge = msgspec.convert(value, Bridge)
    if wrong := [*faults(bridge, registry), *_unencrypted(bridge, registry)]:
        raise SettingsError([read.relocate(fault) for fault in wrong])
    # Where it was named, not where a link leads: what mounts a configuration often changes that with each version.
    return paths.anchored(bridge, registry, Path(os.path.abspath(path)).parent)


def faults(bridge: Bridge, registry: Registry) -> list[ConfigError]:
    """Every fault of a configuration whose shape is right, by dotted paths; of one with lists too long, these only."""
    return list(_faults_of_sizes(bridge)) or [
        *_faults_of_names(bridge),
        *_faults_of_settings(bridge, registry),
        *_faults_of_mappings(bridge, registry),
        *schedules.faults(bridge),
    ]


def _faults_of_sizes(bridge: Bridge) -> Iterator[ConfigError]:
    lists: list[tuple[str, Sized, int]] = [
        ("connections", bridge.connections, MAX_ENTRIES),
        ("destinations", bridge.destinations, MAX_ENTRIES),
        ("mappings", bridge.mappings, MAX_ENTRIES),
        ("audiences", bridge.audiences, MAX_ENTRIES),
        ("conversions", bridge.conversions, MAX_ENTRIES),
        ("suppressions", bridge.suppressions, MAX_ITEMS),
        *((f"mappings.{name}", rules, MAX_RULES) for name, rules in bridge.mappings.items()),
    ]
    for place, sync in schedules.placed(bridge):
        lists.append((f"{place}.consent", sync.consent, MAX_ITEMS))
        lists += [(f"{place}.consent.{n}.granted", each.granted, MAX_ITEMS) for n, each in enumerate(sync.consent)]
        lists.append((f"{place}.schedule.after", sync.schedule.after if sync.schedule else (), MAX_ITEMS))
    for place, items, most in lists:
        if len(items) > most:
            remedy = "Split it, or let a rule or a plugin function stand for several"
            yield ConfigError(f"has {len(items)} items, and may have {most}", place=place, remedy=remedy)


def _faults_of_names(bridge: Bridge) -> Iterator[ConfigError]:
    for room, entries in (
        ("connections", bridge.connections),
        ("destinations", bridge.destinations),
        ("audiences", bridge.audiences),
        ("conversions", bridge.conversions),
    ):
        taken: set[str] = set()
        for number, name in enumerate(entry.name for entry in entries):
            if name in taken:
                yield ConfigError(f"the name {name} is taken", place=f"{room}.{number}.name", remedy="Choose another")
            taken.add(name)
    audiences = {audience.name for audience in bridge.audiences}
    for number, feed in enumerate(bridge.conversions):
        if feed.name in audiences:
            remedy = "Choose another than that of an audience"
            yield ConfigError(f"the name {feed.name} is taken", place=f"conversions.{number}.name", remedy=remedy)
    connections = {connection.name for connection in bridge.connections}
    destinations = {destination.name for destination in bridge.destinations}
    for place, sync in schedules.placed(bridge):
        yield from _unknown("connection", sync.connection, connections, place)
        yield from _unknown("destination", sync.destination, destinations, place)
        yield from _unknown("mapping", sync.mapping, bridge.mappings, place)


def _unknown(kind: str, name: str, known: Iterable[str], place: str) -> Iterator[ConfigError]:
    if name not in known:
        close = difflib.get_close_matches(name, list(known), n=1)
        remedy = f"Did you mean {close[0]}?" if close else f"There are: {', '.join(sorted(known)) or 'none'}"
        yield ConfigError(f"there is no {kind} {name}", place=f"{place}.{kind}", remedy=remedy)


def _faults_of_settings(bridge: Bridge, registry: Registry) -> Iterator[ConfigError]:
    for number, connection in enumerate(bridge.connections):
        connector = _connector(registry, connection.cdp_provider, "source", f"connections.{number}.cdp_provider")
        place = f"connections.{number}.api_credentials"
        yield from _settings_faults(connector, connection.api_credentials, registry, place)
    for number, account in enumerate(bridge.destinations):
        connector = _connector(registry, account.connector, "destination", f"destinations.{number}.connector")
        yield from _settings_faults(connector, account.settings, registry, f"destinations.{number}.settings")


def _connector(registry: Registry, name: str, kind: Kind, place: str) -> Connector | ConfigError:
    try:
        return registry.connector(name, kind)
    except ConfigError as error:
        return ConfigError(error.problem, place=place, remedy=error.remedy)


def _settings_faults(
    connector: Connector | ConfigError, raw: Settings, registry: Registry, place: str
) -> Iterator[ConfigError]:
    if isinstance(connector, ConfigError):
        yield connector
        return
    try:
        settings.check(connector.settings, raw)
    except SettingsError as error:
        yield from _within(error.errors, place)
    for path, value in settings.secrets(settings.schema(connector.settings), raw).items():
        if not is_reference(value, registry):
            yield ConfigError(
                "holds a secret itself",
                place=".".join((place, *path)),
                remedy="Name where it is kept: env:NAME, file:PATH, store:NAME, or a reference of a secrets plugin",
            )
    yield from _within(open_secrets.faults(settings.schema(connector.settings), raw), place)


def _unencrypted(bridge: Bridge, registry: Registry) -> Iterator[ConfigError]:
    accounts = [
        *(("connections", "api_credentials", each.cdp_provider, each.api_credentials) for each in bridge.connections),
        *(("destinations", "settings", each.connector, each.settings) for each in bridge.destinations),
    ]
    for number, (kind, field, name, raw) in enumerate(accounts):
        if connector := registry.known(name):
            position = number if kind == "connections" else number - len(bridge.connections)
            errors = hosts.unencrypted(settings.schema(connector.settings), raw)
            yield from _within(errors, f"{kind}.{position}.{field}")


def is_reference(value: str, registry: Registry) -> bool:
    """Whether a secret setting names where the secret is kept, instead of being it."""
    if not secrets.is_reference(value):
        return False
    # Of another scheme only its plugin can tell a reference from a secret with a colon in it.
    return value.partition(":")[0] in secrets.BUILT_IN or registry.secret(value) is not None


def _faults_of_mappings(bridge: Bridge, registry: Registry) -> Iterator[ConfigError]:
    of_events: dict[str, bool] = {}
    for name, mappings in bridge.mappings.items():
        verdict = _verdict(msgspec.json.encode(mappings), registry)
        if verdict.is_events is not None:
            of_events[name] = verdict.is_events
        yield from _within(verdict.errors, f"mappings.{name}")
    for place, sync in schedules.placed(bridge):
        wants_events = isinstance(sync, ConversionFeed)
        if of_events.get(sync.mapping, wants_events) != wants_events:
            about, wanted = ("people", "conversions") if wants_events else ("conversions", "people")
            remedy = (
                "Map event_id, event_name and occurred_at" if wants_events else "Map user_id, and no field of events"
            )
            yield ConfigError(f"{sync.mapping} is about {about}, not {wanted}", place=f"{place}.mapping", remedy=remedy)
        for position, consent in enumerate(sync.consent):
            try:
                parse(consent.cdp_field)
            except ConfigError as error:
                yield ConfigError(error.problem, place=f"{place}.consent.{position}.cdp_field", remedy=error.remedy)


class _Verdict(NamedTuple):
    """What compiling a list of mappings says of it; `is_events` is None if it cannot be compiled."""

    is_events: bool | None
    errors: tuple[ConfigError, ...] = ()


# Compiling takes milliseconds a list, and every edit checks all lists.
@lru_cache(maxsize=2_000)
def _verdict(encoded: bytes, registry: Registry) -> _Verdict:
    mappings = msgspec.json.decode(encoded, type=tuple[DataMapping, ...])
    try:
        return _Verdict(compile_mapping(mappings, (), registry.functions).is_events)
    except SettingsError as error:
        return _Verdict(None, tuple(error.errors))


def _within(errors: Iterable[ConfigError], place: str) -> Iterator[ConfigError]:
    for error in errors:
        inner = "" if error.place in ("", "settings") else f".{error.place}"
        yield ConfigError(error.problem, place=place + inner, remedy=error.remedy)
