"""Refuses secrets in settings that are not secret: in URLs, under telling keys, private keys."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from cdp_bridge.configuration.leaves import Json, Leaf, leaves
from cdp_bridge.errors import ConfigError

# What is before the last @ of an authority, however odd, since programs differ in what they take for it.
_USER = re.compile(r"(?<![a-z0-9+.-])[0-9+.-]*([a-z][a-z0-9+.-]*)://([^/?#\s]*)@", re.IGNORECASE)
_PARAMETER = re.compile(r"[?&;#]([^?=&;#\s]+)=[^&;#\s]")
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY")
_ENDINGS = (
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "secretkey",
    "privatekey",
    "sshkey",
    "accountkey",
    "signature",
)
_NAMES = {"pass", "pwd", "authorization", "bearer", "cookie", "sas", "sig"}
_NAMES |= {"secretaccesskey", "serviceaccountinfo", "serviceaccountjson", "credentialsjson", "connectionstring"}


def faults(schema: Json, raw: Any) -> Iterator[ConfigError]:
    """An error for each of them, with its place in the settings and without its value."""
    for leaf in leaves(schema, raw):
        if not leaf.is_secret and (problem := _problem(leaf)):
            yield ConfigError(problem, place=leaf.place, remedy=_remedy(schema))


def _problem(leaf: Leaf) -> str:
    if leaf.is_free and _holds_value(leaf.value) and _is_telling(leaf.name):
        return "looks like a secret, and is in a setting that is not kept secret"
    if not isinstance(leaf.value, str):
        return ""
    for scheme, user in _USER.findall(leaf.value):
        if ":" in user or "@" in user or scheme.lower() in ("http", "https"):
            return "has a user or password in a URL, and is not kept secret"
    if "://" in leaf.value and any(map(_is_telling, _PARAMETER.findall(leaf.value))):
        return "has a secret among the parameters of a URL, and is not kept secret"
    return "holds a private key, and is not kept secret" if _PRIVATE_KEY.search(leaf.value) else ""


def _holds_value(value: Any) -> bool:
    return value not in (None, "") and not isinstance(value, bool)


def _is_telling(name: str) -> bool:
    """Whether what is called so is a secret, however the name is written: `apiKey`, `api-key`, `API_KEYS`."""
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    return any(word in _NAMES or word.endswith(_ENDINGS) for word in (plain, plain.removesuffix("s")))


def _remedy(schema: Json) -> str:
    known = list(dict.fromkeys(_secret_settings(schema)))
    if not known:
        return "Leave it out: this connector has no secret settings"
    return f"Put it into a secret setting ({', '.join(known)})"


def _secret_settings(schema: Json, place: str = "") -> Iterator[str]:
    if schema.get("airbyte_secret"):
        yield place
    for variant in schema.get("oneOf", ()):
        yield from _secret_settings(variant, place)
    for name, part in schema.get("properties", {}).items():
        yield from _secret_settings(part, f"{place}.{name}".removeprefix("."))
    if isinstance(others := schema.get("additionalProperties"), Mapping):
        yield from _secret_settings(others, place)
