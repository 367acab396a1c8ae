"""Finds the profiles that plugins bring: files in the folder `profiles` of their packages, whose code is not imported.

Profiles of the core's own are found in the same way: `generic`, and `clear` for objects that name none.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.machinery import ModuleSpec
from importlib.metadata import distributions
from typing import TYPE_CHECKING

import msgspec

from cdp_bridge.errors import ConfigError
from cdp_bridge.files import packages
from cdp_bridge.identity.profile import FIELDS, Profile
from cdp_bridge.identity.steps import CHECKS, PARTS, STEPS

if TYPE_CHECKING:
    from importlib.abc import Traversable

CLEAR = "clear"
"""The profile of an object that names none: every identifier in clear."""

_GROUP = "cdp_bridge"
_FOLDER = "profiles"
_VECTORS = ".vectors.json"
_OWN = ("cdp-bridge", "cdp_bridge.identity")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_COLUMN = re.compile(r"[a-z][a-z0-9_]{0,30}")
_REASON = re.compile(r"[a-z][a-z0-9_]*")
_TAKEN = re.compile(r"consent_.*|clicked|dropped|event.*|faults|is_member|packed|person_country|reason|refused|user_id")
"""Columns that stand beside the identifiers while a page is staged."""


class Installed(msgspec.Struct, frozen=True):
    """The `profiles` by name, the `vectors` of those that have some, and (plugin, reason) of each that is unusable."""

    profiles: dict[str, Profile]
    vectors: dict[str, Traversable]
    failures: list[tuple[str, str]]


@cache
def installed() -> Installed:
    """What is installed, looked for once a process."""
    found = Installed({}, {}, [])
    for plugin, package in _packages():
        try:
            files = {file.name: file for file in _files(package)}
        except Exception as error:
            found.failures.append((plugin, f"its profiles cannot be read: {type(error).__name__}: {error}"))
            continue
        for name in sorted(files):
            if name.endswith(".json") and not name.endswith(_VECTORS):
                _add(found, plugin, name.removesuffix(".json"), files)
    return found


def load_profile(name: str) -> Profile:
    """The profile of that name; ConfigError when there is none."""
    found = installed()
    if name not in found.profiles:
        unusable = "; cdp-bridge connectors says which cannot be used" if found.failures else ""
        remedy = f"There are: {', '.join(sorted(found.profiles))}{unusable}"
        raise ConfigError(f"there is no identity profile {name}", remedy=remedy)
    return found.profiles[name]


def _packages() -> Iterator[tuple[str, ModuleSpec]]:
    """Each package that has plugins, once, with the name of the first."""
    seen = set()
    for plugin, module in dict([_OWN, *sorted(_plugins())]).items():
        package = packages.package_of(module)
        if package is not None and package.name not in seen:
            seen.add(package.name)
            yield plugin, package


def _plugins() -> Iterator[tuple[str, str]]:
    """Name and module of each entry point; those of a distribution that cannot be read are missing in the registry too,
    which reports it.
    """
    for distribution in distributions():
        with contextlib.suppress(Exception):
            for point in distribution.entry_points.select(group=_GROUP):
                yield point.name, point.module


def _files(package: ModuleSpec) -> Iterable[Traversable]:
    folder = packages.folder(package).joinpath(_FOLDER)
    return folder.iterdir() if folder.is_dir() else ()


def _add(found: Installed, plugin: str, name: str, files: Mapping[str, Traversable]) -> None:
    try:
        profile = msgspec.json.decode(files[f"{name}.json"].read_bytes(), type=Profile)
        fault = next(_faults(profile, name), None)
    except (OSError, UnicodeDecodeError, msgspec.MsgspecError, RecursionError) as error:
        fault = str(error)
    if fault:
        found.failures.append((plugin, f"its profile {name} cannot be used: {fault}"))
    elif name in found.profiles:
        found.failures.append((plugin, f"a profile named {name} exists already; this one is not used"))
    else:
        found.profiles[name] = profile
        if vectors := files.get(name + _VECTORS):
            found.vectors[name] = vectors


def _faults(profile: Profile, name: str) -> Iterator[str]:
    """What cannot work in a profile; what passes may stand in SQL as it is."""
    if profile.name != name or not _NAME.fullmatch(name):
        yield f"its name must be that of the file, of lower-case letters, digits, - and _: {profile.name}"
    yield from _unknown("identifier", [*profile.fields, *profile.all_or_none, *profile.identifying], FIELDS)
    columns: list[str] = []
    for field, rule in profile.fields.items():
        yield from _unknown(f"{field}: step", rule.steps, STEPS)
        yield from _unknown(f"{field}: check", rule.checks, CHECKS)
        yield from _unknown(f"{field}: part", rule.outputs.values(), PARTS)
        yield from (f"{field}: {reason} is no code" for reason in rule.checks.values() if not _REASON.fullmatch(reason))
        for column in profile.outputs(field):
            is_other = column != field and column in FIELDS
            if is_other or column in columns or not _COLUMN.fullmatch(column) or _TAKEN.fullmatch(column):
                yield f"{field}: an output cannot be named {column}"
            columns.append(column)


def _unknown(kind: str, names: Iterable[str], known: Iterable[str]) -> Iterator[str]:
    for name in names:
        if name not in known:
            yield f"there is no {kind} {name}. There are: {', '.join(known)}"
