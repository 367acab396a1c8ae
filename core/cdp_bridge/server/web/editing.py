"""Edits of the configuration over HTTP: ETags, and the status and words of each refusal."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

import msgspec

from cdp_bridge import configuration
from cdp_bridge.configuration import EntryKey, changes
from cdp_bridge.configuration.differences import Entry, entries
from cdp_bridge.entities import ApiKey, Bridge, EntryKind
from cdp_bridge.errors import ConfigError
from cdp_bridge.server.web.access import who
from cdp_bridge.server.web.endpoint import Core
from cdp_bridge.server.web.problems import Fault, ProblemError, faults_of, missing, nameable, problem
from cdp_bridge.settings import SettingsError

_WORD = re.compile(r"[\w@.+-]{3,}")


def entry(core: Core, kind: EntryKind, name: str) -> Entry:
    """The entry of that name; problem 404."""
    known = entries(core.store.bridge(), kind)
    if name not in known:
        raise missing(kind)
    return known[name]


def etag(value: Entry) -> str:
    """The version of an entry as a header."""
    return f'"{changes.entry_version(value)}"'


def create(core: Core, caller: ApiKey, kind: EntryKind, name: str, value: Entry) -> None:
    """Add an entry; problem 409 when there is one of that name, 422 for its faults."""
    with _problems(core, kind, value):
        changes.create(core.store, core.registry, EntryKey(kind, name), value, who(caller))


def change_entry(core: Core, caller: ApiKey, kind: EntryKind, name: str, value: Entry, if_match: str | None) -> None:
    """Replace an entry; problems 404, 412 and 428 by its ETag, 422 for the faults of the new one."""
    version = _version(core, kind, name, if_match)
    with _problems(core, kind, value):
        changes.replace(core.store, core.registry, EntryKey(kind, name), value, version, who(caller))


def delete_entry(core: Core, caller: ApiKey, kind: EntryKind, name: str, if_match: str | None) -> None:
    """Delete an entry; problems 404, 412 and 428 by its ETag, 409 while something uses it."""
    version = _version(core, kind, name, if_match)
    with _problems(core, kind, None):
        changes.delete(core.store, EntryKey(kind, name), version, who(caller))


def _version(core: Core, kind: EntryKind, name: str, if_match: str | None) -> str | None:
    """The version that the header names, None for any."""
    entry(core, kind, name)
    if if_match is None:
        raise problem(
            HTTPStatus.PRECONDITION_REQUIRED,
            "nothing says which version is to be changed",
            place="header If-Match",
            remedy="Read it, and send its ETag",
        )
    return None if if_match == "*" else if_match.removeprefix('"').removesuffix('"')


@contextmanager
def _problems(core: Core, kind: EntryKind, value: Entry) -> Iterator[None]:
    """Turns the refusals of an edit into problems."""
    try:
        yield
    except changes.NoEntryError:
        raise missing(kind) from None
    except changes.NameTakenError as error:
        raise problem(HTTPStatus.CONFLICT, error.problem, place="name", remedy=error.remedy) from None
    except changes.EntryUsedError as error:
        raise problem(HTTPStatus.CONFLICT, error.problem, place="path", remedy=error.remedy) from None
    except changes.VersionError as error:
        place = "header If-Match"
        raise problem(HTTPStatus.PRECONDITION_FAILED, error.problem, place=place, remedy=error.remedy) from None
    except SettingsError as error:
        raise refusal(core, value, error.errors, within="rules." if kind == "mapping" else "") from None


def refusal(core: Core, sent: Any, faults: Iterable[ConfigError], within: str = "") -> ProblemError:
    """Problem 422 for faults of a body, in words that do not quote it; places begin with `within`."""
    hidden = _Hidden(sent, core.store.bridge(), core.registry.connectors)
    shown = [
        Fault(
            place=(within + hidden.text(part.place)).removesuffix("."),
            problem=hidden.text(part.problem),
            remedy=hidden.text(part.remedy),
        )
        for fault in faults
        for part in faults_of(fault)
    ]
    return ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, shown)


class _Hidden:
    """Hides the words of a body in error texts, apart from the names of its fields, and from those that the
    configuration or its schema knows.
    """

    def __init__(self, sent: Any, bridge: Bridge, connectors: Mapping[str, Any]) -> None:
        known = set(_words(configuration.schema())) | set(_words(msgspec.to_builtins(bridge))) | set(connectors)
        for connector in connectors.values():
            known.update(connector.settings.__struct_encode_fields__)
        words = {word for word in _words(msgspec.to_builtins(sent), names=False) if word not in known}
        longest_first = sorted(words, key=len, reverse=True)
        self._sent = re.compile("|".join(rf"(?<!\w){re.escape(word)}(?!\w)" for word in longest_first) or r"(?!)")

    def text(self, text: str) -> str:
        """The text with `…` for each of them."""
        return self._sent.sub("…", text)


def _words(value: Any, *, names: bool = True) -> Iterator[str]:
    """All texts and keys, and the words in them; without `names`, no keys that look like names of fields."""
    match value:
        case str():
            yield from (value, *_WORD.findall(value)) if len(value) > 2 else ()
        case Mapping():
            for key, part in value.items():
                if names or nameable(key) != key:
                    yield from _words(key)
                yield from _words(part, names=names)
        case list() | tuple():
            for part in value:
                yield from _words(part, names=names)
