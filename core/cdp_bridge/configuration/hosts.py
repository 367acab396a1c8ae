"""Decides to which hosts settings may lead, and tells when they lead elsewhere than before."""

from __future__ import annotations

import re
import string
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from cdp_bridge import settings
from cdp_bridge.configuration.leaves import Leaf, leaves
from cdp_bridge.configuration.machine import is_at_host
from cdp_bridge.errors import ConfigError
from cdp_bridge.http.allowed_hosts import HOST, VARIABLE, Origin, listed, listed_here, matches, named

if TYPE_CHECKING:
    from cdp_bridge.model import Connector

Settings = Mapping[str, Any]
Path = tuple[str | int, ...]
# Stricter than RFC 3986: programs differ in what host they read in odd URLs, such as those with a backslash.
_URL = re.compile(
    rf"(?:jdbc:)?(?P<scheme>[a-z][a-z0-9+.-]*)://(?:[^\x00-\x20\x7f/?#\\@]*@)?{HOST}"
    r"(?:/[^\x00-\x20\x7f\\?#]*)?(?:\?(?P<query>[^\x00-\x20\x7f\\#]*))?(?:#[^\x00-\x20\x7f\\]*)?",
    re.IGNORECASE | re.ASCII,
)
_BEGINS = re.compile(r"(?:jdbc:)?[a-z][a-z0-9+.-]*://", re.IGNORECASE | re.ASCII)
# Begins where a word does: from each letter of a long one, the search would cost the square of its length.
_ANYWHERE = re.compile(r"(?<![a-z0-9+.-])[0-9+.-]*((?:jdbc:)?[a-z][a-z0-9+.-]*://\S*)", re.IGNORECASE | re.ASCII)
_PORTS = {"http": 80, "https": 443, "postgresql": 5432, "postgres": 5432, "redshift": 5439, "mysql": 3306}
# Others may lead elsewhere than to the host of a database's URL, or name files.
_HARMLESS = {"sslmode", "ssl", "connect_timeout", "application_name", "charset"}
_AUTHORITY = re.compile(r"(?:[^/]*://)?[^/]*")


def unencrypted(schema: Settings, raw: Any) -> Iterator[ConfigError]:
    """An error for each URL in the settings of a bridge.yaml by which tokens would go unencrypted over a network.

    The list in this process's environment may allow it.
    """
    allowed = listed_here()
    for leaf in leaves(schema, raw):
        match = _URL.fullmatch(leaf.value.strip()) if isinstance(leaf.value, str) else None
        if match and (origin := _origin(match)).is_plain and not any(entry.covers(origin) for entry in allowed):
            yield _unencrypted(leaf)


def foreign(
    connector: Connector, raw: Settings, before: Settings, allowed: Iterable[str], references: Container[str]
) -> Iterator[ConfigError]:
    """An error for each setting that leads to a host which neither is the vendor's nor is listed in `allowed`.

    What stood there `before`, when the connector was the same, may stay. Secrets count as well, but not `references` to
    secrets, which lead nowhere by themselves.
    """
    schema = settings.schema(connector.settings)
    entries = listed(allowed)
    vendor = {*_vendor(connector), *(origin for part in _defaults(schema) for origin in _origins(part) if origin)}
    stood = {leaf.path: _origins_of(leaf) for leaf in leaves(schema, before)}
    for leaf in leaves(schema, raw):
        found = () if leaf.is_secret and leaf.value in references else _origins_of(leaf)
        if not found or stood.get(leaf.path) == found:
            continue
        if None in found:
            yield _ambiguous(leaf)
            continue
        for origin in filter(None, found):
            if any(entry.covers(origin) for entry in entries):
                continue
            if origin.is_plain:
                yield _unencrypted(leaf)
            elif not any(matches(known.host, origin.host) and known.port == origin.port for known in vendor):
                yield ConfigError(
                    "leads to a host that is not the vendor's, which only bridge.yaml may name",
                    place=leaf.place,
                    remedy="Apply a bridge.yaml that has it, or let serve --allow-host list it",
                )


def changed(connector: Connector, raw: Settings, before: Settings) -> list[str]:
    """The places of the settings that decide where secrets are sent, and are not as they were before."""
    now, then = _route(connector, raw), _route(connector, before)
    return [".".join(map(str, path)) for path in sorted({*now, *then}, key=str) if now.get(path) != then.get(path)]


def _route(connector: Connector, raw: Settings) -> dict[Path, Any]:
    """What decides where secrets are sent: hosts, programs, images, variants, and all that the type does not name."""
    schema = settings.schema(connector.settings)
    in_urls = {(name,) for name in _names_in_authorities(connector)}
    route: dict[Path, Any] = {setting.path: setting.value for setting in settings.local(schema, raw)}
    for leaf in leaves(schema, raw):
        origins = () if leaf.is_secret else _origins_of(leaf)
        if leaf.is_free or "const" in leaf.schema or (leaf.path in in_urls and not origins):
            route[leaf.path] = leaf.value
        elif origins and origins != _origins(leaf.schema.get("default")):
            route[leaf.path] = origins
    secret = settings.secrets(schema, raw)
    return {path: value for path, value in route.items() if path not in secret}


def _names_in_authorities(connector: Connector) -> set[str]:
    """The settings that make the hosts of the sign-in's URLs."""
    if connector.oauth is None:
        return set()
    templates = (connector.oauth.authorize_url, connector.oauth.token_url)
    authorities = [match[0] for match in map(_AUTHORITY.match, templates) if match]
    return {name for text in authorities for _, name, _, _ in string.Formatter().parse(text) if name}


def _origins_of(leaf: Leaf) -> tuple[Origin | None, ...]:
    """Where a setting leads; None for a URL that not every program reads alike."""
    if not isinstance(leaf.value, str):
        return ()
    if leaf.schema.get("format") == "hostname":
        return _origins(leaf.value if "://" in leaf.value else f"https://{leaf.value}")
    kind = leaf.schema.get("local")
    if kind is not None and not (kind == "database" and is_at_host(leaf.value)):
        return ()
    if leaf.is_secret and not _BEGINS.match(leaf.value.strip()):
        return ()
    return _origins(leaf.value.strip())


def _origins(value: Any) -> tuple[Origin | None, ...]:
    """The same of a text, in which there may be several URLs."""
    if not isinstance(value, str) or "://" not in value:
        return ()
    texts = [value] if _BEGINS.match(value) else _ANYWHERE.findall(value)
    matches = [_URL.fullmatch(text) for text in texts]
    return tuple(_origin(match) if match and _leads_only_there(match) else None for match in matches)


def _leads_only_there(match: re.Match[str]) -> bool:
    names = {part.partition("=")[0].lower() for part in re.split("[&;]", match["query"] or "") if part}
    return match["scheme"].lower() in ("http", "https") or names <= _HARMLESS


def _origin(match: re.Match[str]) -> Origin:
    scheme = match["scheme"].lower()
    host, port = named(match)
    return Origin(scheme, host, port or _PORTS.get(scheme.partition("+")[0]))


def _vendor(connector: Connector) -> Iterator[Origin]:
    for entry in listed(connector.hosts):
        yield Origin("https", entry.pattern, entry.port or _PORTS["https"])


def _defaults(schema: Settings) -> Iterator[Any]:
    """The defaults of all settings: those that are URLs are the vendor's."""
    for key, part in schema.items():
        if key == "default":
            yield part
        for inner in part if isinstance(part, list) else (part,):
            if isinstance(inner, Mapping):
                yield from _defaults(inner)


def _ambiguous(leaf: Leaf) -> ConfigError:
    return ConfigError(
        "has a URL whose host cannot be told for sure",
        place=leaf.place,
        remedy="Write scheme://host:port/path in plain characters, without parameters if it is a database's",
    )


def _unencrypted(leaf: Leaf) -> ConfigError:
    return ConfigError(
        "would send tokens unencrypted",
        place=leaf.place,
        remedy=f"Write https://; or list the host as http://HOST in {VARIABLE}, where nobody can listen",
    )
