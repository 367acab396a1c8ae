"""Refuses settings by which an API key would reach the machine: programs, files, images, databases not listed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from cdp_bridge import settings
from cdp_bridge.errors import ConfigError
from cdp_bridge.files import Local

if TYPE_CHECKING:
    from cdp_bridge.connectors.registry import Registry

Settings = Mapping[str, Any]
_OF_FILES = ("duckdb", "sqlite")
# Parameters by which a URL leads elsewhere than to its host: to a socket of this machine, or by a file of it.
_ELSEWHERE = {"host", "hostaddr", "service", "servicefile", "unix_socket", "read_default_file", "passfile"}
_NOUNS: dict[Local, str] = {
    "path": "a file or folder",
    "pattern": "files",
    "program": "a program",
    "image": "an image",
    "database": "a database file",
}


def refused(
    registry: Registry, connector: str, raw: Settings, before: Settings | None, allowed: tuple[str, ...]
) -> Iterator[ConfigError]:
    """An error for each setting of an account that names something of this machine, with its place in the settings.

    What stood there `before`, when the connector was the same, may stay. `allowed` are folders, programs, images and
    database files that the server's own configuration lists.
    """
    found = registry.known(connector)
    if found is None:
        return
    schema = settings.schema(found.settings)
    if before is None and connector not in allowed:
        if connector not in registry.connectors:
            yield _refusal("image", (), connector)
        elif found.local and not _names_local(schema):
            yield _refusal("path", (), connector)
    stood = {setting.path: setting.value for setting in settings.local(schema, before or {})}
    for path, kind, value in settings.local(schema, raw):
        if stood.get(path) != value and not _is_allowed(kind, value, allowed):
            yield _refusal(kind, path, value)


def _refusal(kind: Local, path: tuple[str | int, ...], value: str) -> ConfigError:
    where = f" ({value})" if kind in ("program", "image") else ""
    return ConfigError(
        f"names {_NOUNS[kind]} of the server{where}, which only bridge.yaml may do",
        place=".".join(map(str, path)),
        remedy="Apply a bridge.yaml that has it, or let serve --allow-local list it",
    )


def _is_allowed(kind: Local, value: str, allowed: tuple[str, ...]) -> bool:
    if kind in ("program", "image"):
        return value in allowed
    if kind == "database":
        if is_at_host(value):
            return True
        value = "/" + value.partition(":")[2].lstrip("/")
    # Links are followed, so that none leads out of a folder; a pattern is judged by what is above its first wildcard.
    real = os.path.realpath(value)
    return os.path.isabs(value) and ".." not in value.split("/") and any(_is_below(real, place) for place in allowed)


def is_at_host(url: str) -> bool:
    """Whether a database is reached at the host in its URL, by which it is judged elsewhere, and not through a file."""
    scheme, _, rest = url.partition("://")
    names = {name for part in rest.partition("?")[2].split("&") for name in [part.partition("=")[0].lower()]}
    return bool(rest) and rest[0] not in "/?:" and not scheme.startswith(_OF_FILES) and not names & _ELSEWHERE


def _is_below(path: str, folder: str) -> bool:
    folder = os.path.realpath(folder)
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _names_local(schema: Mapping[str, Any]) -> bool:
    """Whether a setting, at whatever depth, is marked as local."""
    parts = [*schema.get("properties", {}).values(), *schema.get("oneOf", ())]
    parts += [part for key in ("items", "additionalProperties") if isinstance(part := schema.get(key), Mapping)]
    return "local" in schema or any(map(_names_local, parts))
