"""Reads and writes what a package says of its connectors in a file, by which they are known without its code."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, get_args

import msgspec

from cdp_bridge import settings
from cdp_bridge.errors import ConfigError
from cdp_bridge.files import Local, packages
from cdp_bridge.model import Connector

if TYPE_CHECKING:
    from importlib.abc import Traversable

FILE = "connectors.json"
"""The name of the file in the package of a plugin's entry point."""
MAX_BYTES = 250_000
MAX_NAME = 63
"""Characters of a connector's name."""
MAX_DEPTH = 20
"""Of nested settings."""
_NAME = re.compile(r"(source|destination)(-[a-z0-9]+)+")
_HOST = re.compile(r"(\*\.)?([a-z0-9_-]+\.)+[a-z0-9-]+(:[0-9]{1,5})?")
_TEMPLATE = re.compile(r"(https://|\{\w+\})([^{}]|\{\w+\})*")
"""Of a URL in which settings stand, and nothing of Python that hangs on them."""
_IMAGE = re.compile(r"[a-z0-9]+([._:/@-]{1,2}[A-Za-z0-9]+)*")
_DATA = ("default", "examples", "enum", "const")
_LOCALS = get_args(Local)


def read(module: str) -> list[Connector]:
    """The connectors of the package of a module, by its file; ConfigError if it has none, or one that is unusable."""
    file = _file(module)
    if file is None:
        raise ConfigError(f"it has no {FILE}")
    with file.open("rb") as stream:
        text = stream.read(MAX_BYTES + 1)
    if len(text) > MAX_BYTES:
        raise ConfigError(f"its {FILE} has more than {MAX_BYTES:,} bytes")
    try:
        connectors = msgspec.json.decode(text, type=list[Connector], dec_hook=_settings)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"its {FILE} cannot be read: {error}") from None
    for connector in connectors:
        if fault := next(_faults(connector, module.partition(".")[0]), None):
            raise ConfigError(f"its {FILE} cannot be used: {fault}", place=connector.name)
    return connectors


def package_of(connector: Connector) -> str:
    """The package in whose file a connector stands."""
    return connector.load.partition(":")[0].partition(".")[0]


def written(connectors: Iterable[Connector]) -> str:
    """The file of the package of these connectors."""
    return json.dumps([description(connector) for connector in connectors], indent=2) + "\n"


def description(connector: Connector) -> dict[str, Any]:
    """What a file says of a connector."""
    document = msgspec.to_builtins(connector, enc_hook=settings.schema)
    return dict(json.loads(json.dumps(document)))


def described(connector: Connector) -> dict[str, Any] | None:
    """What the file of its package says of a connector; None without a file, empty if it says nothing of it."""
    names = connector.load.partition(":")[0].split(".")
    found = (_file(".".join(names[:length])) for length in range(len(names), 0, -1))
    file = next((file for file in found if file), None)
    if file is None:
        return None
    documents = json.loads(file.read_text(encoding="utf-8"))
    return next((dict(each) for each in documents if each["name"] == connector.name), {})


def _file(module: str) -> Traversable | None:
    package = packages.package_of(module)
    file = packages.folder(package).joinpath(FILE) if package else None
    return file if file and file.is_file() else None


def _settings(_: type, value: Any) -> Any:
    if not isinstance(value, dict):
        raise ValueError("settings are a JSON schema")
    if fault := next(_faults_of_schema(value, "settings", 0), None):
        raise ValueError(fault)
    from jsonschema import Draft7Validator, SchemaError

    try:
        Draft7Validator.check_schema(value)
    except SchemaError as error:
        raise ValueError(f"no JSON schema at {error.json_path}") from None
    return settings.described(value)


def _faults(connector: Connector, package: str) -> Iterator[str]:
    """What is not taken from a package whose code may not be run here."""
    is_name = _NAME.fullmatch(connector.name) and len(connector.name) <= MAX_NAME
    if not is_name or not connector.name.startswith(f"{connector.kind}-"):
        yield f"a {connector.kind} is named {connector.kind}-..., of lower-case letters, digits and single hyphens"
    if package_of(connector) != package:
        yield f"its code is in another package: {connector.load}"
    if connector.program:
        yield "it works by a program of its own, outside of containers"
    yield from (f"no host: {host}" for host in connector.hosts if not _HOST.fullmatch(host))
    if connector.image and not _IMAGE.fullmatch(connector.image):
        yield f"no image: {connector.image}"
    for url in (connector.oauth.authorize_url, connector.oauth.token_url) if connector.oauth else ():
        if not _TEMPLATE.fullmatch(url):
            yield f"no URL with settings in it: {url}"
    if connector.documentation and not connector.documentation.startswith("https://"):
        yield f"no documentation: {connector.documentation}"


def _faults_of_schema(node: Any, place: str, depth: int) -> Iterator[str]:
    """What keeps a schema from being one of settings as `settings.schema` writes them."""
    if depth > MAX_DEPTH:
        yield f"settings are nested more than {MAX_DEPTH} deep"
        return
    if not isinstance(node, dict):
        yield f"{place} is no schema of settings"
        return
    parts: list[tuple[str, Any]] = []
    for key, value in node.items():
        at = f"{place}.{key}"
        match key:
            case "properties" if isinstance(value, dict):
                parts += [(f"{at}.{name}", part) for name, part in value.items()]
            case "oneOf" if isinstance(value, list):
                parts += [(at, part) for part in value]
            case "items" | "propertyNames":
                parts.append((at, value))
            case "additionalProperties" if not isinstance(value, bool):
                parts.append((at, value))
            case "pattern":
                yield from _faults_of_pattern(value, at)
            case "local" if value not in _LOCALS:
                yield f"{at} is none of {', '.join(_LOCALS)}"
            case _ if not _is_known(key, value):
                yield f"{at} is not known in a schema of settings"
    for at, part in parts:
        yield from _faults_of_schema(part, at, depth + 1)


def _faults_of_pattern(pattern: Any, place: str) -> Iterator[str]:
    try:
        settings.is_in(str(pattern), "")
    except ConfigError as error:
        yield f"{place} {error.problem}"


def _is_known(key: str, value: Any) -> bool:
    """Whether a key is of data, or has a value without a schema in it and without a way to one."""
    parts = value if isinstance(value, list) else [value]
    is_plain = all(isinstance(part, str | int | float | None) for part in parts)
    return key in (*_DATA, "$schema") or (is_plain and not key.startswith("$"))
