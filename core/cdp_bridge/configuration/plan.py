"""What has to change for one configuration to become another."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec

from cdp_bridge.entities import Bridge

_SETTINGS = ("api_credentials", "settings")


class Change(msgspec.Struct, frozen=True):
    """One thing to create, change or remove; `details` are lines for a person and never show connector settings."""

    kind: Literal["create", "change", "remove"]
    what: Literal["connection", "destination", "mapping", "audience", "conversion", "suppression"]
    name: str
    details: list[str] = []


def plan(old: Bridge, new: Bridge) -> list[Change]:
    """The changes that lead from one configuration to the other, in the order in which things depend on each other."""
    changes: list[Change] = []
    for what, before, after in (
        ("connection", _by_name(old.connections), _by_name(new.connections)),
        ("destination", _by_name(old.destinations), _by_name(new.destinations)),
        ("mapping", _plain(old.mappings), _plain(new.mappings)),
        ("audience", _by_name(old.audiences), _by_name(new.audiences)),
        ("conversion", _by_name(old.conversions), _by_name(new.conversions)),
        ("suppression", dict.fromkeys(old.suppressions), dict.fromkeys(new.suppressions)),
    ):
        changes += _compare(what, before, after)
    return changes


def _compare(what: Any, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    for name, value in after.items():
        if name not in before:
            yield Change("create", what, name, list(_differences("", None, value)))
        elif value != before[name]:
            yield Change("change", what, name, list(_differences("", before[name], value)))
    for name in before:
        if name not in after:
            yield Change("remove", what, name)


def _by_name(entries: tuple[Any, ...]) -> dict[str, Any]:
    """The entries as plain values; what a check has found out about them is not configuration."""
    plain = {entry.name: _plain(entry) for entry in entries}
    return {
        name: {k: v for k, v in value.items() if k not in ("name", "connection_status")}
        for name, value in plain.items()
    }


def _plain(value: Any) -> Any:
    """The value without what is as by default; msgspec's own `omit_defaults` knows a default only by its identity."""
    if isinstance(value, msgspec.Struct):
        given = {field.name: getattr(value, field.name) for field in msgspec.structs.fields(value)}
        defaults = {field.name: _default(field) for field in msgspec.structs.fields(value)}
        return {name: _plain(part) for name, part in given.items() if part != defaults[name]}
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value


def _default(field: msgspec.structs.FieldInfo) -> Any:
    return field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()


def _differences(place: str, before: Any, after: Any) -> Iterator[str]:
    """One line for each value set, changed or removed, lists and objects entered."""
    if before == after:
        return
    old, new = _parts(before), _parts(after)
    if new is None or (old is None and before is not None):
        yield _line(place, before, after)
        return
    for key in dict.fromkeys([*(old or {}), *new]):
        inner = f"{place}.{key}" if place else str(key)
        yield from _differences(inner, (old or {}).get(key), new.get(key))


def _parts(value: Any) -> dict[Any, Any] | None:
    if isinstance(value, dict):
        return value
    if isinstance(value, list | tuple):
        return dict(enumerate(value))
    return None


def _line(place: str, before: Any, after: Any) -> str:
    hidden = place.split(".")[0] in _SETTINGS
    if after is None:
        return f"{place} removed"
    if hidden:
        return f"{place} {'set' if before is None else 'changed'}"
    shown = json.dumps(after, ensure_ascii=False)
    return f"{place}: {shown}" if before is None else f"{place}: {json.dumps(before, ensure_ascii=False)} -> {shown}"
