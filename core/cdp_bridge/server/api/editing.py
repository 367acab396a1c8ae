"""Changes of the configuration: one thing at a time, checked as a whole, written into the audit log."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from cdp_bridge import configuration
from cdp_bridge.entities import ApiKey, Bridge, CDPConnection, Sync
from cdp_bridge.errors import ConfigError
from cdp_bridge.server.web.access import who
from cdp_bridge.server.web.endpoint import Core
from cdp_bridge.server.web.problems import Fault, ProblemError, faults_of, missing, problem
from cdp_bridge.store.access.audit import AuditRecord

What = Literal["connection", "destination", "mapping", "audience", "conversion"]
Entry = Any
"""A CDPConnection, DestinationAccount, Activation or ConversionFeed; of mappings the tuple of rules."""

_USERS: dict[str, str] = {"connection": "connection", "destination": "destination", "mapping": "mapping"}
_WORD = re.compile(r"[\w@.+-]{3,}")


def entries(bridge: Bridge, what: What) -> dict[str, Entry]:
    """All of a kind by name."""
    held = getattr(bridge, f"{what}s")
    return dict(held) if isinstance(held, Mapping) else {entry.name: entry for entry in held}


def entry(core: Core, what: What, name: str) -> Entry:
    """The one of that name; problem 404."""
    found = entries(core.store.bridge(), what).get(name)
    if found is None:
        raise missing(what)
    return found


def etag(value: Entry) -> str:
    """The version of an entry, without what a check has found out about it."""
    if isinstance(value, CDPConnection):
        value = replace(value, connection_status="unchecked")
    return f'"{digest(value)}"'


def digest(value: Any) -> str:
    """A short digest of what is configured; secrets are references in it."""
    return hashlib.sha256(msgspec.json.encode(_whole(value), order="deterministic")).hexdigest()[:32]


def _whole(value: Any) -> Any:
    """The value with its defaults: msgspec leaves them out by identity, which the store does not keep."""
    if isinstance(value, msgspec.Struct):
        return {name: _whole(getattr(value, name)) for name in value.__struct_fields__}
    return [_whole(part) for part in value] if isinstance(value, tuple) else value


def create(core: Core, caller: ApiKey, what: What, name: str, value: Entry) -> None:
    """Add an entry; problem 409 when there is one of that name, 422 for what is wrong with it."""

    def change(before: Bridge) -> tuple[Bridge, AuditRecord]:
        if name in entries(before, what):
            raise problem(
                HTTPStatus.CONFLICT, "the name is taken", place="name", remedy="Choose another, or replace it"
            )
        after = _with(before, what, name, value)
        _refuse_faults(core, before, after, what, name)
        return after, AuditRecord(who=who(caller), action="create", what=what, name=name, after=digest(value))

    core.store.edit_bridge(change)


def change_entry(core: Core, caller: ApiKey, what: What, name: str, value: Entry, if_match: str | None) -> None:
    """Replace an entry; problems 404, 412 and 428 by its ETag, 422 for what is wrong with the new one."""

    def change(before: Bridge) -> tuple[Bridge, AuditRecord]:
        found = _current(before, what, name, if_match)
        after = _with(before, what, name, value)
        _refuse_faults(core, before, after, what, name)
        deed = AuditRecord(
            who=who(caller), action="replace", what=what, name=name, before=digest(found), after=digest(value)
        )
        return after, deed

    core.store.edit_bridge(change)


def delete_entry(core: Core, caller: ApiKey, what: What, name: str, if_match: str | None) -> None:
    """Take an entry out; problems 404, 412 and 428 by its ETag, 409 while something uses it."""

    def change(before: Bridge) -> tuple[Bridge, AuditRecord]:
        found = _current(before, what, name, if_match)
        if any(name in _used(sync, what) for sync in before.syncs):
            raise problem(
                HTTPStatus.CONFLICT, "something uses it", place="path", remedy="Delete these, or let them use another"
            )
        return _without(before, what, name), AuditRecord(
            who=who(caller), action="delete", what=what, name=name, before=digest(found)
        )

    core.store.edit_bridge(change)


def _current(before: Bridge, what: What, name: str, if_match: str | None) -> Entry:
    found = entries(before, what).get(name)
    if found is None:
        raise missing(what)
    if if_match is None:
        raise problem(
            HTTPStatus.PRECONDITION_REQUIRED,
            "nothing says which version is to be changed",
            place="header If-Match",
            remedy="Read it, and send its ETag",
        )
    if if_match not in ("*", etag(found)):
        raise problem(
            HTTPStatus.PRECONDITION_FAILED,
            "it has changed since it was read",
            place="header If-Match",
            remedy="Read it again, and repeat the change",
        )
    return found


def _used(sync: Sync, what: What) -> tuple[str, ...]:
    if what in ("audience", "conversion"):
        return sync.schedule.after if sync.schedule else ()
    return (getattr(sync, what),)


def _with(bridge: Bridge, what: What, name: str, value: Entry) -> Bridge:
    return _holding(bridge, what, {**entries(bridge, what), name: value})


def _without(bridge: Bridge, what: What, name: str) -> Bridge:
    return _holding(bridge, what, {key: value for key, value in entries(bridge, what).items() if key != name})


def _holding(bridge: Bridge, what: What, held: dict[str, Entry]) -> Bridge:
    return replace(bridge, **{f"{what}s": held if what == "mapping" else tuple(held.values())})


def _refuse_faults(core: Core, before: Bridge, after: Bridge, what: What, name: str) -> None:
    """Problem 422 for what is wrong with the entry, or anywhere through it.

    Faults that were elsewhere before must not keep everybody from working.
    """
    held = entries(after, what)
    within = f"{what}s.{name if what == 'mapping' else list(held).index(name)}."
    known = {str(fault) for fault in configuration.faults(before, core.registry)}
    found = configuration.faults(after, core.registry)
    found = [fault for fault in found if fault.place.startswith(within) or str(fault) not in known]
    if found:
        inside = "rules." if what == "mapping" else ""
        raise refusal(core, held[name], [_seen_from(fault, within) for fault in found], inside)


def _seen_from(fault: ConfigError, within: str) -> ConfigError:
    place = f"{fault.place}.".removeprefix(within).removesuffix(".")
    return ConfigError(fault.problem, place=place, remedy=fault.remedy)


def refusal(core: Core, sent: Any, faults: Iterable[ConfigError], within: str = "") -> ProblemError:
    """Problem 422 for what is wrong with what was sent, in words that do not quote it; places begin with `within`."""
    hidden = _Hidden(sent, core.store.bridge(), core.registry.connectors)
    told = [
        Fault(
            place=(within + hidden.text(one.place)).removesuffix("."),
            problem=hidden.text(one.problem),
            remedy=hidden.text(one.remedy),
        )
        for fault in faults
        for one in faults_of(fault)
    ]
    return ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, told)


class _Hidden:
    """Takes out of error texts what was sent: words that neither the configuration nor its schema knows."""

    def __init__(self, sent: Any, bridge: Bridge, connectors: Mapping[str, Any]) -> None:
        known = set(_words(configuration.schema())) | set(_words(msgspec.to_builtins(bridge))) | set(connectors)
        for connector in connectors.values():
            known.update(connector.settings.__struct_fields__)
        words = {word for word in _words(msgspec.to_builtins(sent)) if word not in known}
        longest_first = sorted(words, key=len, reverse=True)
        self._sent = re.compile("|".join(rf"(?<!\w){re.escape(word)}(?!\w)" for word in longest_first) or r"(?!)")

    def text(self, text: str) -> str:
        """The text without them."""
        return self._sent.sub("…", text)


def _words(value: Any) -> Iterator[str]:
    """All texts and keys, and the words in them."""
    match value:
        case str():
            yield from (value, *_WORD.findall(value)) if len(value) > 2 else ()
        case Mapping():
            for key, part in value.items():
                yield from _words(key)
                yield from _words(part)
        case list() | tuple():
            for part in value:
                yield from _words(part)
