"""Finds the single values in raw settings, each with its place and what the schema says of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from cdp_bridge import settings

Json = Mapping[str, Any]


class Leaf(NamedTuple):
    """A value that is neither an object nor a list; `schema` is empty where the settings type says nothing of it."""

    path: tuple[str | int, ...]
    schema: Json
    value: Any

    @property
    def is_secret(self) -> bool:
        """Whether it is a secret, or a reference to one."""
        return bool(self.schema.get("airbyte_secret"))

    @property
    def is_free(self) -> bool:
        """Whether it is in an object that takes anything, such as the config of an Airbyte connector."""
        return not {"type", "enum", "const"} & self.schema.keys()

    @property
    def name(self) -> str:
        """What it is called; in a list, what the list is called."""
        return next((part for part in reversed(self.path) if isinstance(part, str)), "")

    @property
    def place(self) -> str:
        """Its dotted path."""
        return ".".join(map(str, self.path))


def leaves(schema: Json, raw: Any, path: tuple[str | int, ...] = ()) -> Iterator[Leaf]:
    """All values in raw settings; of variants, those of the chosen one."""
    if isinstance(raw, Mapping):
        named, others = properties(schema, raw), schema.get("additionalProperties")
        for name, value in raw.items():
            part = named.get(name, others)
            yield from leaves(part if isinstance(part, Mapping) else {}, value, (*path, str(name)))
    elif isinstance(raw, list | tuple):
        for number, value in enumerate(raw):
            yield from leaves(schema.get("items", {}), value, (*path, number))
    else:
        yield Leaf(path, schema, raw)


def properties(schema: Json, raw: Mapping[str, Any]) -> dict[str, Any]:
    """The schemas of the parts of an object, those of the chosen variant among them."""
    named = dict(schema.get("properties", {}))
    for variant in schema.get("oneOf", ()):
        if settings.is_chosen(variant, raw):
            named |= variant.get("properties", {})
    return named
