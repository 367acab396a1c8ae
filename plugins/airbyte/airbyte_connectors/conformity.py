"""Validates a config against the connector's own JSON schema, with errors that quote no value."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from cdp_bridge.sdk import ConfigError

from airbyte_connectors.messages import Json

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError


def check_schema(schema: Json) -> None:
    """Raise ConfigError if it is no JSON schema."""
    from jsonschema import Draft7Validator, SchemaError

    try:
        Draft7Validator.check_schema(schema)
    except SchemaError as error:
        place = ".".join(str(part) for part in error.absolute_path)
        raise ConfigError("is no JSON schema", place=place, remedy="Report it to the connector's maintainers") from None


def check_config(schema: Json, config: Json, open_config: Json) -> None:
    """Raise ConfigError with every fault of a config, and every secret in `open_config`, the part outside `secrets`."""
    from jsonschema import Draft7Validator

    faults = [fault for error in Draft7Validator(schema).iter_errors(config) for fault in _faults(error)]
    faults += [f"{path} is a secret, name it in secrets" for path in _secret_paths(schema, open_config)]
    if faults:
        remedy = "Correct it by the connector's documentation"
        # jsonschema has an error for each property that is missing, and each of them names all that are required.
        raise ConfigError("; ".join(dict.fromkeys(faults)), place="config", remedy=remedy)


def _faults(error: ValidationError) -> Iterator[str]:
    """The text for a broken rule; jsonschema's own text quotes the value, which may be a secret."""
    place = [str(part) for part in error.absolute_path]
    rule: Any = error.validator_value
    instance: Any = error.instance
    schema: Any = error.schema
    where = ".".join(place) or "it"
    match error.validator:
        case "required":
            yield from (f"{'.'.join([*place, name])} is missing" for name in rule if name not in instance)
        case "additionalProperties":
            known = schema.get("properties", {})
            yield from (f"{'.'.join([*place, name])} is not known" for name in instance if name not in known)
        case "type" | "enum" | "const" | "minimum" | "maximum" | "minLength" | "maxLength" | "pattern" | "format":
            yield f"{where} breaks the rule {error.validator}: {rule}"
        case "oneOf" | "anyOf":
            yield f"{where} fits none of the forms that the connector knows"
        case other:
            yield f"{where} breaks the rule {other}"


def _secret_paths(schema: Any, config: Any, path: str = "") -> Iterator[str]:
    """The dotted paths of given config values that the schema marks as secrets, in whichever of its forms."""
    if not isinstance(schema, dict):
        return
    if schema.get("airbyte_secret"):
        yield path
        return
    for form in (form for choice in ("oneOf", "anyOf", "allOf") for form in schema.get(choice, ())):
        yield from _secret_paths(form, config, path)
    parts: list[tuple[Any, Any, Any]] = []
    if isinstance(config, dict):
        named, others = schema.get("properties", {}), schema.get("additionalProperties")
        parts = [(name, named.get(name, others), value) for name, value in config.items()]
    elif isinstance(config, list):
        parts = [(number, schema.get("items"), value) for number, value in enumerate(config)]
    for name, part, value in parts:
        yield from _secret_paths(part, value, f"{path}.{name}".removeprefix("."))
