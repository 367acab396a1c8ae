"""The one write path of the configuration: an edit, its check and its audit entries in one transaction.

`plan` and `apply` make the store equal to a bridge.yaml; `create`, `replace` and `delete` are the edits of the API.
Entries and fields that the API set are marked in the store (`Configured.api_fields`). A file decides about all
entries that it names, and so removes the mark; entries that only the API made stay unless they are pruned.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Container, Iterable, Iterator
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace as with_fields

from cdp_bridge.configuration import segments
from cdp_bridge.configuration.differences import KINDS, Change, Entry, differences, entries, with_entries
from cdp_bridge.configuration.load import faults
from cdp_bridge.configuration.paths import relative
from cdp_bridge.connectors.registry import Registry
from cdp_bridge.entities import Bridge, CDPConnection, EntryKind, Sync
from cdp_bridge.errors import ConfigError
from cdp_bridge.oauth import SCHEME as OAUTH
from cdp_bridge.settings import SettingsError
from cdp_bridge.store import Store
from cdp_bridge.store.access.audit import AuditRecord
from cdp_bridge.store.configuration.bridge import ApiField, Configured, Edit
from cdp_bridge.store.secrets.secrets import SCHEME as STORE
from cdp_bridge.store.secrets.settings_secrets import owned, referenced

KEPT = "made through the API; --prune deletes it"
PRUNED = "made through the API"
TAKEN_OVER = "set through the API; bridge.yaml says the same, and decides about it from now on"


class EntryKey(NamedTuple):
    """Names an entry of the configuration."""

    kind: EntryKind
    name: str


class NoEntryError(ConfigError):
    """There is no entry of that name."""


class NameTakenError(ConfigError):
    """There is an entry of that name."""


class EntryUsedError(ConfigError):
    """The entry cannot be deleted, since others refer to it."""


class VersionError(ConfigError):
    """The configuration, or an entry of it, has changed since it was read."""


class Plan(msgspec.Struct, frozen=True):
    """The changes that a file makes to the configuration of that version, and the result of them."""

    version: str
    changes: list[Change]
    after: Configured

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to be changed."""
        return all(change.action == "keep" for change in self.changes)


def plan(store: Store, registry: Registry, wanted: Bridge, *, prune: bool = False) -> Plan:
    """The changes that make the store equal to `wanted`, apart from what was made through the API, unless pruned.

    `wanted` is already checked, as by `load`. Raises SettingsError when it does not go together with what stays, or
    names a segment that the store knows not to be there.
    """
    stored = store.configured()
    remaining = dict.fromkeys(() if prune else _only_through_api(stored, wanted))
    after = wanted
    for key in remaining:
        after = _with(after, key, entries(stored.bridge, key.kind)[key.name])
    if remaining:
        _refuse_conflicts(registry, wanted, after, remaining)
    _refuse_unknown_segments(store, stored.bridge, after)
    changes = [_explained(stored, change) for change in differences(stored.bridge, after)]
    changes += _taken_over(stored, wanted, {EntryKey(change.kind, change.name) for change in changes})
    changes += [Change("keep", key.kind, key.name, note=KEPT) for key in remaining]
    api_fields = frozenset(field for field in stored.api_fields if EntryKey(field.kind, field.name) in remaining)
    return Plan(_version(stored), changes, Configured(after, api_fields))


def apply(store: Store, planned: Plan, who: str) -> None:
    """Make the changes of a plan; VersionError, and no change, when the configuration is not that of the plan."""

    def edit(stored: Configured) -> Edit:
        if _version(stored) != planned.version:
            raise VersionError("the configuration has changed since the plan was made", remedy="Run plan again")
        return _edit(stored, planned.after, planned.changes, who)

    store.edit_bridge(edit)


def create(store: Store, registry: Registry, key: EntryKey, value: Entry, who: str) -> None:
    """Add an entry; NameTakenError, or SettingsError with places in the entry."""

    def edit(stored: Configured) -> Edit:
        if key.name in entries(stored.bridge, key.kind):
            raise NameTakenError("the name is taken", place="name", remedy="Choose another, or replace it")
        made = ApiField(key.kind, key.name, "")
        after = Configured(_with(stored.bridge, key, value), _of_others(stored, key) | {made})
        _refuse_faults(registry, stored.bridge, after.bridge, key)
        _refuse_unknown_segments(store, stored.bridge, after.bridge, only=key.name)
        return _edit(stored, after, differences(stored.bridge, after.bridge), who)

    _change(store, edit)


def replace(store: Store, registry: Registry, key: EntryKey, value: Entry, version: str | None, who: str) -> None:
    """Replace an entry if it is of that version (None: any).

    NoEntryError, VersionError, or SettingsError with places in the entry.
    """

    def edit(stored: Configured) -> Edit:
        _refuse_other_version(stored, key, version)
        bridge = _with(stored.bridge, key, value)
        _refuse_faults(registry, stored.bridge, bridge, key)
        _refuse_unknown_segments(store, stored.bridge, bridge, only=key.name)
        changes = differences(stored.bridge, bridge)
        api_fields = stored.api_fields
        if ApiField(key.kind, key.name, "") not in api_fields:
            api_fields |= {ApiField(*key, field.field) for change in changes for field in change.fields}
        return _edit(stored, Configured(bridge, api_fields), changes, who)

    _change(store, edit)


def delete(store: Store, key: EntryKey, version: str | None, who: str) -> None:
    """Delete an entry if it is of that version (None: any); NoEntryError, VersionError, EntryUsedError."""

    def edit(stored: Configured) -> Edit:
        _refuse_other_version(stored, key, version)
        if any(key.name in _used(sync, key.kind) for sync in stored.bridge.syncs):
            raise EntryUsedError("something uses it", remedy="Delete these, or let them use another")
        known = entries(stored.bridge, key.kind)
        del known[key.name]
        after = Configured(with_entries(stored.bridge, key.kind, known), _of_others(stored, key))
        return _edit(stored, after, differences(stored.bridge, after.bridge), who)

    _change(store, edit)


def entry_version(value: Entry) -> str:
    """The version of an entry: a digest that changes with its configuration, and not with the result of a check."""
    return _digest(_unchecked(value))


def _change(store: Store, edit: Callable[[Configured], Edit]) -> None:
    """Carry out an edit; a first time without the transaction, where long checks would hold up everybody else.

    In the transaction, what these checks compiled is remembered.
    """
    edit(store.configured())
    store.edit_bridge(edit)


def _version(stored: Configured) -> str:
    bridge = with_fields(stored.bridge, connections=tuple(map(_unchecked, stored.bridge.connections)))
    return _digest([_whole(bridge), sorted(stored.api_fields)])


def _digest(value: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(_whole(value), order="deterministic")).hexdigest()[:32]


def _unchecked(value: Entry) -> Entry:
    return with_fields(value, connection_status="unchecked") if isinstance(value, CDPConnection) else value


def _whole(value: Any) -> Any:
    """The value with its defaults: msgspec leaves them out by identity, which the store does not keep."""
    if isinstance(value, msgspec.Struct):
        return {name: _whole(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, dict):
        return {name: _whole(part) for name, part in value.items()}
    return [_whole(part) for part in value] if isinstance(value, tuple) else value


def _edit(stored: Configured, after: Configured, changes: Iterable[Change], who: str) -> Edit:
    records = [
        AuditRecord(who=who, action=change.action, kind=change.kind, name=change.name, changes=change.fields)
        for change in changes
        if change.action != "keep"
    ]
    return Edit(after=after, records=records, dropped_secrets=_dropped_secrets(stored.bridge, after.bridge))


def _dropped_secrets(before: Bridge, after: Bridge) -> set[str]:
    """The secrets that the API stored for accounts, or a sign-in granted, and to which no account refers any more."""
    remaining = [settings for _, settings in _accounts(after)]
    stored = {name for owner, settings in _accounts(before) for name in owned(owner, settings)}
    granted = referenced(OAUTH, [settings for _, settings in _accounts(before)]) - referenced(OAUTH, remaining)
    return (stored - referenced(STORE, remaining)) | {f"{OAUTH}:{name}" for name in granted}


def _accounts(bridge: Bridge) -> Iterator[tuple[str, dict[str, Any]]]:
    for connection in bridge.connections:
        yield f"connection.{connection.name}", connection.api_credentials
    for destination in bridge.destinations:
        yield f"destination.{destination.name}", destination.settings


def _with(bridge: Bridge, key: EntryKey, value: Entry) -> Bridge:
    return with_entries(bridge, key.kind, {**entries(bridge, key.kind), key.name: value})


def _of_others(stored: Configured, key: EntryKey) -> frozenset[ApiField]:
    return frozenset(field for field in stored.api_fields if (field.kind, field.name) != key)


def _used(sync: Sync, kind: EntryKind) -> tuple[str, ...]:
    if kind in ("audience", "conversion"):
        return sync.schedule.after if sync.schedule else ()
    return (getattr(sync, kind),)


def _refuse_other_version(stored: Configured, key: EntryKey, version: str | None) -> None:
    known = entries(stored.bridge, key.kind)
    if key.name not in known:
        raise NoEntryError(f"there is no {key.kind} {key.name}", remedy="Create it")
    if version not in (None, entry_version(known[key.name])):
        raise VersionError("it has changed since it was read", remedy="Read it again, and repeat the change")


def _only_through_api(stored: Configured, wanted: Bridge) -> Iterator[EntryKey]:
    """The entries that the API made and the file does not name."""
    for kind in KINDS:
        for name in entries(stored.bridge, kind):
            if ApiField(kind, name, "") in stored.api_fields and name not in entries(wanted, kind):
                yield EntryKey(kind, name)


def _taken_over(stored: Configured, wanted: Bridge, changed: set[EntryKey]) -> Iterator[Change]:
    """The entries that the file leaves as they are, but that are no longer the API's."""
    of_api = {EntryKey(field.kind, field.name) for field in stored.api_fields} - changed
    for kind in KINDS:
        for name in entries(wanted, kind):
            if EntryKey(kind, name) in of_api:
                yield Change("change", kind, name, note=TAKEN_OVER)


def _explained(stored: Configured, change: Change) -> Change:
    """The change with marks at the fields that the API set."""
    key = EntryKey(change.kind, change.name)
    origins = stored.origins(*key)
    fields = [with_fields(field, through_api=origins.of(field.field) == "api") for field in change.fields]
    pruned = change.action == "delete" and ApiField(*key, "") in stored.api_fields
    return with_fields(change, fields=fields, note=PRUNED if pruned else "")


def _refuse_conflicts(registry: Registry, wanted: Bridge, after: Bridge, remaining: Container[EntryKey]) -> None:
    """SettingsError for faults that the file does not have without the entries that stay."""
    known = {str(fault) for fault in faults(wanted, registry)}
    conflicts = [fault for fault in faults(after, registry) if str(fault) not in known]
    if conflicts:
        remedy = "Correct bridge.yaml or the entry that was made through the API, or give --prune to delete that entry"
        raise SettingsError(
            [ConfigError(fault.problem, place=_place(after, remaining, fault), remedy=remedy) for fault in conflicts]
        )


def _refuse_unknown_segments(store: Store, before: Bridge, after: Bridge, only: str | None = None) -> None:
    """SettingsError for audiences (or `only` that one, with places in it) of segments that are not there."""
    if only is not None:
        errors = [error for name, error in segments.unknown(store, before, after) if name == only]
    else:
        errors = [
            ConfigError(error.problem, place=f"audience {name}", remedy=error.remedy)
            for name, error in segments.unknown(store, before, after)
        ]
    if errors:
        raise SettingsError(errors)


def _place(bridge: Bridge, remaining: Container[EntryKey], fault: ConfigError) -> str:
    """The place of a fault in words: the entries that stay have none in the file."""
    for kind in KINDS:
        for name in entries(bridge, kind):
            within = _within(bridge, EntryKey(kind, name))
            if f"{fault.place}.".startswith(within):
                origin = " (made through the API)" if EntryKey(kind, name) in remaining else ""
                return f"{kind} {name}{origin}"
    return fault.place


def _refuse_faults(registry: Registry, before: Bridge, after: Bridge, key: EntryKey) -> None:
    """SettingsError for faults of the entry, or anywhere through it; places begin in the entry.

    Faults that were elsewhere before must not keep everybody from working.
    """
    within = _within(after, key)
    known = {str(fault) for fault in faults(before, registry)}
    new = [
        fault for fault in faults(after, registry) if f"{fault.place}.".startswith(within) or str(fault) not in known
    ]
    new += [fault for fault in relative(after, registry) if fault.place.startswith(within)]
    if new:
        raise SettingsError([_seen_from(fault, within) for fault in new])


def _within(bridge: Bridge, key: EntryKey) -> str:
    """How the places of an entry's faults begin."""
    position = key.name if key.kind == "mapping" else list(entries(bridge, key.kind)).index(key.name)
    return f"{key.kind}s.{position}."


def _seen_from(fault: ConfigError, within: str) -> ConfigError:
    place = f"{fault.place}.".removeprefix(within).removesuffix(".")
    return ConfigError(fault.problem, place=place, remedy=fault.remedy)
