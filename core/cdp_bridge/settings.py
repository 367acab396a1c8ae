"""Checks settings against msgspec types: JSON schema in Airbyte's conventions, validation, secrets."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar

import msgspec

from cdp_bridge.engine import connect
from cdp_bridge.errors import ConfigError
from cdp_bridge.files import Local
from cdp_bridge.secrets import Resolver, Secret
from cdp_bridge.structs import make_ready
from cdp_bridge.texts.storable import unstorable

if TYPE_CHECKING:
    import duckdb
    from jsonschema.exceptions import ValidationError

S = TypeVar("S", bound=msgspec.Struct)
Json = dict[str, Any]
_SETTING = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


class LocalSetting(NamedTuple):
    """A given setting that names something of this machine: its path in the raw settings, and what it says."""

    path: tuple[str | int, ...]
    kind: Local
    value: str


class Described(msgspec.Struct, kw_only=True, frozen=True):
    """The base of settings types that a schema describes and no code: their values are as in JSON, and secrets."""

    __json_schema__: ClassVar[Json]


class SettingsError(ConfigError):
    """All errors in some settings, one `ConfigError` each in `errors`."""

    def __init__(self, errors: list[ConfigError]) -> None:
        self.errors = errors
        super().__init__("\n".join(str(error) for error in errors))


def option(title: str, description: str = "", *, local: Local | None = None, **constraints: Any) -> msgspec.Meta:
    """Annotate a field of a settings type: `Annotated[str, option("Region", "Where the workspace lives")]`.

    A field that names something of the machine that runs the connector says so by `local`: "path" (a file or folder),
    "pattern" (files, with * ? [] **), "program" (a path, a name on PATH, or an argument), "image" or "database" (a URL
    that may be of a file). In a bridge.yaml a path is relative to that file, and the connector gets it absolute; an API
    key sets such a field only as far as the server's own configuration allows. `constraints` are those of msgspec.Meta
    (`ge`, `le`, `pattern`, `min_length`, `examples`, ...).
    """
    if local:
        constraints["extra_json_schema"] = {"local": local}
    return msgspec.Meta(title=title, description=description or None, **constraints)


def schema(settings: type[msgspec.Struct]) -> Json:
    """The JSON schema (draft 7) of a settings type, with `order`, `airbyte_secret`, `oneOf` as Airbyte reads them.

    Raises ConfigError for a type that has no such schema.
    """
    if issubclass(settings, Described):
        return settings.__json_schema__
    try:
        raw = msgspec.json.schema(settings, schema_hook=_secret_schema)
    except TypeError as error:
        remedy = "Bounds go inside: Annotated[Annotated[int, Meta(ge=0)] | None, option(...)]"
        raise ConfigError(f"cannot be described: {error}", place=settings.__qualname__, remedy=remedy) from None
    plain = _inline({"$ref": raw["$ref"]}, raw["$defs"])
    return {"$schema": "http://json-schema.org/draft-07/schema#", **plain}


def described(json_schema: Json) -> type[msgspec.Struct]:
    """The settings type with that schema, which is one of `schema`; ConfigError if it can be that of no type."""
    names = {name: re.sub(r"\W", "_", name) for name in json_schema.get("properties", {})}
    needed = json_schema.get("required", ())
    fields = [(field, Any) if name in needed else (field, Any, msgspec.UNSET) for name, field in names.items()]
    try:
        if not all(_SETTING.fullmatch(name) for name in names):
            raise ValueError("names of settings are letters, digits, - and _")
        if len({*names.values()}) < len(names):
            raise ValueError("two settings have the same name in Python")
        settings = msgspec.defstruct(
            "Settings",
            fields,
            bases=(Described,),
            namespace={"__json_schema__": json_schema},
            rename={field: name for name, field in names.items()},
            kw_only=True,
            frozen=True,
        )
    except (TypeError, ValueError) as error:
        raise ConfigError(f"is the schema of no settings: {error}") from None
    return settings


def load(settings: type[S], raw: Mapping[str, Any], resolver: Resolver | None = None) -> S:
    """Checked settings with secret references (those of this machine, unless a `resolver` knows more) as secrets.

    Raises SettingsError naming every fault with path and remedy, and no value of a secret; what else `resolver` raises.
    """
    resolver = resolver or Resolver()
    check(settings, raw)
    faults: list[ConfigError] = []

    def resolve(value: Any) -> Secret:
        try:
            return resolver.secret(value)
        except ConfigError as error:
            faults.append(ConfigError(error.problem, place=_place_of(value, raw), remedy=error.remedy))
            return Secret("")

    def decode(expected: type, value: Any) -> Any:
        if expected is not Secret:
            raise NotImplementedError
        return resolve(value)

    given = _complete(settings.__json_schema__, raw, resolve) if issubclass(settings, Described) else dict(raw)
    make_ready()
    loaded = msgspec.convert(given, settings, dec_hook=decode)
    if faults:
        raise SettingsError(faults)
    return loaded


def seal(settings: msgspec.Struct) -> bytes:
    """Checked settings as bytes with secrets in clear, for another process; `unseal` reads them."""

    def reveal(value: Any) -> Any:
        if not isinstance(value, Secret):
            raise NotImplementedError
        return value.reveal()

    return msgspec.msgpack.encode(settings, enc_hook=reveal)


def unseal(settings: type[S], sealed: bytes) -> S:
    """The settings that `seal` encoded."""
    return msgspec.msgpack.decode(sealed, type=settings, dec_hook=lambda _, value: Secret(value))


def check(settings: type[msgspec.Struct], raw: Any) -> None:
    """Raise SettingsError if the raw settings do not fit the type's schema."""
    check_schema(schema(settings), raw, by_others=issubclass(settings, Described))


def check_schema(json_schema: Json, raw: Any, *, by_others: bool = False) -> None:
    """Raise SettingsError if a value cannot be stored or does not fit a JSON schema, naming every fault at once.

    The patterns of a schema `by_others` may be meant to stop us: they are those of RE2.
    """
    from jsonschema import Draft7Validator, validators

    # Before the schema: its patterns and bounds are not made for such values.
    if wrong := list(unstorable(raw)):
        raise SettingsError(wrong)
    untyped: Any = validators
    validator = untyped.extend(Draft7Validator, {"pattern": _pattern}) if by_others else Draft7Validator
    faults = [fault for error in validator(json_schema).iter_errors(raw) for fault in _explain(error)]
    if faults:
        # jsonschema names a missing setting once for each that is missing.
        raise SettingsError(list({str(fault): fault for fault in faults}.values()))


def is_in(pattern: str, text: str) -> bool:
    """Whether a text has a pattern of RE2 in it, whose time grows with the text only; ConfigError for no such one."""
    import duckdb

    with _matcher().cursor() as cursor:
        try:
            found = cursor.execute("SELECT regexp_matches(?, ?)", [text, pattern]).fetchone()
        except duckdb.Error:
            raise ConfigError(f"is no pattern of RE2: {pattern}") from None
    return found == (True,)


@cache
def _matcher() -> duckdb.DuckDBPyConnection:
    """A connection is 16 ms to open, and a schema may have thousands of patterns."""
    return connect("64MB", threads=1)


def _pattern(_validator: object, pattern: str, value: Any, _schema: object) -> Iterator[ValidationError]:
    """The keyword `pattern` of JSON schemas, by RE2."""
    from jsonschema.exceptions import ValidationError

    if isinstance(value, str) and not is_in(pattern, value):
        yield ValidationError("does not match")


def secrets(json_schema: Json, raw: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], str]:
    """The given secret settings: path in the raw settings -> raw value."""
    if json_schema.get("airbyte_secret"):
        return {path: raw} if isinstance(raw, str) else {}
    given: dict[tuple[str, ...], str] = {}
    for variant in json_schema.get("oneOf", ()):
        given |= secrets(variant, raw, path)
    if isinstance(raw, Mapping):
        named, others = json_schema.get("properties", {}), json_schema.get("additionalProperties")
        for name, value in raw.items():
            part = named.get(name, others)
            given |= secrets(part, value, (*path, str(name))) if isinstance(part, dict) else {}
    return given


def local(json_schema: Json, raw: Any, path: tuple[str | int, ...] = ()) -> Iterator[LocalSetting]:
    """The given settings that name something of this machine; of variants, those of the chosen one."""
    if isinstance(raw, str):
        if "local" in json_schema:
            yield LocalSetting(path, json_schema["local"], raw)
    elif isinstance(raw, list | tuple):
        marked = {"local": json_schema["local"]} if "local" in json_schema else {}
        for number, value in enumerate(raw):
            yield from local({**json_schema.get("items", {}), **marked}, value, (*path, number))
    elif isinstance(raw, Mapping):
        for variant in json_schema.get("oneOf", ()):
            yield from local(variant, raw, path) if is_chosen(variant, raw) else ()
        named, others = json_schema.get("properties", {}), json_schema.get("additionalProperties")
        for name, value in raw.items():
            part = named.get(name, others)
            yield from local(part, value, (*path, str(name))) if isinstance(part, dict) else ()


def _complete(part: Json, raw: Any, resolve: Callable[[Any], Secret]) -> Any:
    """A given value with the defaults of what it leaves out, and with secrets in place of references.

    What stands in a default is resolved to no secret: whoever wrote the schema would choose which.
    """
    if part.get("airbyte_secret"):
        return resolve(raw)
    if isinstance(raw, list | tuple):
        return [_complete(part.get("items", {}), value, resolve) for value in raw]
    if not isinstance(raw, Mapping):
        return raw
    chosen = [variant for variant in part.get("oneOf", ()) if is_chosen(variant, raw)]
    named = {name: each for node in (part, *chosen) for name, each in node.get("properties", {}).items()}
    others = part.get("additionalProperties")
    defaults = {name: each["default"] for name, each in named.items() if "default" in each}
    unnamed = others if isinstance(others, dict) else {}
    given = {name: _complete(named.get(name, unnamed), value, resolve) for name, value in raw.items()}
    return {**defaults, **given}


def is_chosen(variant: Json, raw: Mapping[str, Any]) -> bool:
    """Whether raw settings have the tag of a variant."""
    parts = variant.get("properties", {}).items()
    return all(raw.get(name) == part["const"] for name, part in parts if "const" in part)


def _secret_schema(kind: type) -> Json:
    if kind is Secret:
        return {"type": "string", "airbyte_secret": True}
    raise NotImplementedError


def _inline(node: Json, definitions: Json) -> Json:
    """A schema node without `$ref`, optional nulls, `anyOf` and discriminators: settings forms do not know them."""
    node = dict(node)
    if "$ref" in node:
        node = {**definitions[node.pop("$ref").rpartition("/")[2]], **node}
    branches = node.pop("anyOf", None)
    node.pop("discriminator", None)
    if branches:
        branches = [_inline(branch, definitions) for branch in branches if branch.get("type") != "null"]
        node = {**branches[0], **node} if len(branches) == 1 else {"type": "object", "oneOf": branches, **node}
        if node.get("default", ...) is None:
            del node["default"]
    if "properties" in node:
        node["properties"] = {
            name: {"order": order, **_inline(part, definitions)}
            for order, (name, part) in enumerate(node["properties"].items())
        }
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            node[key] = _inline(node[key], definitions)
    if len(node.get("enum", ())) == 1:
        node["const"] = node.pop("enum")[0]
        node.setdefault("type", "string")
    elif "enum" in node and all(isinstance(value, str) for value in node["enum"]):
        node.setdefault("type", "string")
    return node


def _explain(error: ValidationError) -> Iterator[ConfigError]:
    """The errors for a fault; jsonschema's own messages quote the instance, which may be a secret."""
    place = ".".join(str(part) for part in error.absolute_path)
    rule: Any = error.validator_value
    instance: Any = error.instance
    schema: Any = error.schema
    match error.validator:
        case "required":
            for name in rule:
                if name not in instance:
                    yield ConfigError("is missing", place=_join(place, name), remedy="Add it")
        case "additionalProperties":
            known = list(schema.get("properties", ()))
            for name in instance:
                if name not in known:
                    close = difflib.get_close_matches(str(name), known, n=1)
                    remedy = f"Did you mean {close[0]}?" if close else f"Known here: {', '.join(known) or 'nothing'}"
                    yield ConfigError("is not a known setting", place=_join(place, name), remedy=remedy)
        case "oneOf":
            yield from _explain_choice(error, place)
        case keyword:
            yield ConfigError(
                _RULES.get(str(keyword), f"breaks the rule {keyword}: {{}}").format(rule), place=place or "settings"
            )


def _explain_choice(error: ValidationError, place: str) -> Iterator[ConfigError]:
    rule: Any = error.validator_value
    chosen: dict[int, list[ValidationError]] = {}
    for fault in error.context or ():
        chosen.setdefault(int(fault.schema_path[0]), []).append(fault)
    matching = [faults for faults in chosen.values() if not any(fault.validator == "const" for fault in faults)]
    for fault in matching[0] if len(matching) == 1 else ():
        yield from _explain(fault)
    if len(matching) != 1:
        choices = [
            f"{name}: {part['const']}"
            for branch in rule
            for name, part in branch.get("properties", {}).items()
            if "const" in part
        ]
        yield ConfigError("does not choose one of the variants", place=place, remedy=f"Set one of {'; '.join(choices)}")


def _place_of(value: Any, raw: Any, place: str = "") -> str:
    """The dotted path of a value: msgspec's decoding hook does not say where it is."""
    if raw is value or not isinstance(raw, Mapping | list):
        return place if raw is value else ""
    parts = raw.items() if isinstance(raw, Mapping) else enumerate(raw)
    return next(filter(None, (_place_of(value, part, _join(place, name)) for name, part in parts)), "")


def _join(place: str, name: object) -> str:
    return f"{place}.{name}" if place else str(name)


_RULES = {
    "type": "must be of type {}",
    "enum": "must be one of {}",
    "const": "must be {}",
    "minimum": "must be at least {}",
    "maximum": "must be at most {}",
    "exclusiveMinimum": "must be above {}",
    "exclusiveMaximum": "must be below {}",
    "minLength": "must have at least {} characters",
    "maxLength": "must have at most {} characters",
    "minItems": "must have at least {} entries",
    "maxItems": "must have at most {} entries",
    "pattern": "must match the pattern {}",
}
