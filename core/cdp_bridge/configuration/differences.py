"""The differences between two configurations, entry by entry and field by field."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Literal, get_args

import msgspec

from cdp_bridge.entities import Bridge, EntryKind, FieldChange

KINDS: tuple[EntryKind, ...] = get_args(EntryKind)
"""Each after those that its entries refer to."""
Entry = Any
"""A CDPConnection, DestinationAccount, Activation or ConversionFeed; of mappings the tuple of rules."""

_SETTINGS = ("api_credentials", "settings")


class Change(msgspec.Struct, frozen=True):
    """One entry to create, change or delete, or to `keep` although it is not in the file; `note` says why."""

    action: Literal["create", "change", "delete", "keep"]
    kind: EntryKind
    name: str
    fields: list[FieldChange] = []
    note: str = ""

    def lines(self) -> list[str]:
        """The change for a person, a line for each field; what goes with a deleted entry is not listed."""
        fields = [] if self.action == "delete" else [_line(field) for field in self.fields]
        return [*fields, self.note] if self.note else fields


def entries(bridge: Bridge, kind: EntryKind) -> dict[str, Entry]:
    """All entries of a kind by name; suppression lists have a name only."""
    known = getattr(bridge, f"{kind}s")
    if isinstance(known, Mapping):
        return dict(known)
    return dict.fromkeys(known) if kind == "suppression" else {entry.name: entry for entry in known}


def with_entries(bridge: Bridge, kind: EntryKind, known: Mapping[str, Entry]) -> Bridge:
    """The configuration with these entries of a kind in place of its own."""
    values = dict(known) if kind == "mapping" else tuple(known if kind == "suppression" else known.values())
    return msgspec.structs.replace(bridge, **{f"{kind}s": values})


def differences(before: Bridge, after: Bridge) -> list[Change]:
    """The changes that lead from one configuration to the other, in the order in which things depend on each other."""
    return [change for kind in KINDS for change in _of_kind(kind, entries(before, kind), entries(after, kind))]


def _of_kind(kind: EntryKind, before: Mapping[str, Entry], after: Mapping[str, Entry]) -> Iterator[Change]:
    for name, value in after.items():
        old, new = _settled(before.get(name)), _settled(value)
        if name not in before:
            yield Change("create", kind, name, list(_fields("", None, new)))
        elif old != new:
            yield Change("change", kind, name, list(_fields("", old, new)))
    for name, value in before.items():
        if name not in after:
            yield Change("delete", kind, name, list(_fields("", _settled(value), {})))


def _settled(entry: Entry) -> Any:
    """An entry as plain values; its name never changes, and the result of a check is not configuration."""
    value = _plain(entry)
    if not isinstance(entry, msgspec.Struct):
        return value
    return {name: part for name, part in value.items() if name not in ("name", "connection_status")}


def _plain(value: Any) -> Any:
    """The value without its defaults; msgspec's own `omit_defaults` knows a default only by its identity."""
    if isinstance(value, msgspec.Struct):
        given = ((name, getattr(value, name), default) for name, default in _defaults(type(value)))
        return {name: _plain(part) for name, part, default in given if part != default}
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value


@cache
def _defaults(kind: type[msgspec.Struct]) -> list[tuple[str, Any]]:
    """The fields of a type, each with its default; finding them takes longer than all else about an entry."""
    return [(field.name, _default(field)) for field in msgspec.structs.fields(kind)]


def _default(field: msgspec.structs.FieldInfo) -> Any:
    return field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()


def _fields(place: str, before: Any, after: Any) -> Iterator[FieldChange]:
    """Every value that was set, changed or removed, lists and objects entered."""
    if before == after:
        return
    old, new = _parts(before), _parts(after)
    if new is None or (old is None and before is not None):
        yield _field(place, before, after)
        return
    for key in dict.fromkeys([*(old or {}), *new]):
        inner = f"{place}.{key}" if place else str(key)
        yield from _fields(inner, (old or {}).get(key), new.get(key))


def _parts(value: Any) -> dict[Any, Any] | None:
    if isinstance(value, dict):
        return value
    if isinstance(value, list | tuple):
        return dict(enumerate(value))
    return None


def _field(place: str, before: Any, after: Any) -> FieldChange:
    action: Literal["set", "changed", "removed"] = "changed"
    if before is None:
        action = "set"
    elif after is None:
        action = "removed"
    if _is_hidden(place):
        return FieldChange(field=place, action=action)
    return FieldChange(field=place, action=action, old=before, new=after)


def _is_hidden(place: str) -> bool:
    """Settings may hold secrets and references to them; a field that is none may still have one inside, as a URL."""
    return place.split(".")[0] in _SETTINGS


def _line(change: FieldChange) -> str:
    origin = "; it was changed through the API" if change.through_api else ""
    if change.action == "removed" or _is_hidden(change.field):
        return f"{change.field} {change.action}{origin}"
    old = f"{_json(change.old)} -> " if change.action == "changed" else ""
    return f"{change.field}: {old}{_json(change.new)}{origin}"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
