"""Schemas of settings: all their settings, and whether a newer schema accepts what an older one accepts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]

_LOWER_BOUNDS = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER_BOUNDS = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")


def settings(schema: Schema, prefix: str = "") -> Iterator[tuple[str, Schema]]:
    """Every setting under its dotted path, groups before what is in them."""
    for branch in branches(schema):
        for name, part in branch.get("properties", {}).items():
            yield prefix + name, part
            yield from settings(part, f"{prefix}{name}.")
    for inner in ("items", "additionalProperties"):
        if isinstance(schema.get(inner), Mapping):
            yield from settings(schema[inner], f"{prefix}*.")


def groups(schema: Schema) -> Iterator[tuple[str, Schema]]:
    """Every object that has settings by name, under its dotted path; that of the whole is empty."""
    for path, part in (("", schema), *settings(schema)):
        for inner in (part, part.get("items"), part.get("additionalProperties")):
            if isinstance(inner, Mapping):
                yield from ((path, variant) for variant in branches(inner) if "properties" in variant)


def is_clear_text(schema: Schema) -> bool:
    """Whether it takes any text, or a list of texts, that is no secret."""
    inner = schema.get("items", schema)
    return inner.get("type") == "string" and not {"airbyte_secret", "enum", "const"} & inner.keys()


def branches(schema: Schema) -> list[Schema]:
    """The variants of a `oneOf`, or the schema itself."""
    return list(schema.get("oneOf", [schema]))


def narrowed(old: Schema, new: Schema, path: str = "") -> list[str]:
    """What an older schema accepts and a newer one does not, one sentence each; empty if nothing.

    Patterns cannot be compared, so any other pattern counts as narrower.
    """
    if "oneOf" not in old and "oneOf" not in new:
        return [f"{path or 'the settings'}: {complaint}" for complaint in _values(old, new)] + _parts(old, new, path)
    complaints: list[str] = []
    for variant in branches(old):
        tried: list[list[str]] = [narrowed(variant, offered, path) for offered in branches(new)]
        fewest: list[str] = min(tried, key=len)
        complaints += fewest
    return complaints


def _values(old: Schema, new: Schema) -> Iterator[str]:
    """What became narrower about a value itself."""
    if not _types(old) <= _types(new):
        yield f"the type was {old.get('type')} and is {new.get('type')}"
    allowed, before = _choices(new), _choices(old)
    if allowed is not None and (before is None or not before <= allowed):
        yield f"only {', '.join(sorted(allowed))} is left"
    tighter = [name for name in _LOWER_BOUNDS if name in new and (name not in old or new[name] > old[name])]
    tighter += [name for name in _UPPER_BOUNDS if name in new and (name not in old or new[name] < old[name])]
    for name in tighter:
        yield f"{name} is {new[name]} now"
    if "pattern" in new and new["pattern"] != old.get("pattern"):
        yield f"the pattern is {new['pattern']} now"
    if old.get("airbyte_secret") and not new.get("airbyte_secret"):
        yield "is not marked as a secret any more"


def _parts(old: Schema, new: Schema, path: str) -> list[str]:
    """What became narrower inside a value."""
    inside, dot = new.get("properties", {}), f"{path}." if path else ""
    complaints = [
        f"{dot}{name}: is required now" for name in new.get("required", ()) if name not in old.get("required", ())
    ]
    for name, part in old.get("properties", {}).items():
        if name in inside:
            complaints += narrowed(part, inside[name], dot + name)
        elif new.get("additionalProperties", True) is False:
            complaints.append(f"{dot}{name}: is no setting any more")
    for name in ("items", "additionalProperties"):
        was, now = old.get(name, True), new.get(name, True)
        if isinstance(now, Mapping) and isinstance(was, Mapping):
            complaints += narrowed(was, now, f"{dot}*")
        elif was is not False and now is not True and was != now:
            complaints.append(f"{path or 'the settings'}: {name} is narrower now")
    return complaints


def _types(schema: Schema) -> set[str]:
    named = schema.get("type", ["object", "array", "string", "number", "boolean", "null"])
    types = {named} if isinstance(named, str) else set(named)
    return types | {"integer"} if "number" in types else types


def _choices(schema: Schema) -> set[str] | None:
    """The values that are allowed, as text; None: any."""
    if "const" in schema:
        return {str(schema["const"])}
    return {str(value) for value in schema["enum"]} if "enum" in schema else None
