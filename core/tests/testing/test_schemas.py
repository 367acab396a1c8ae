from typing import Any

import pytest
from cdp_bridge.testing.rules import schemas

TEXT = {"type": "string"}


def group(*required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def tagged(tag: str, **properties: Any) -> dict[str, Any]:
    return group("type", type={"const": tag, "type": "string"}, **properties)


CHOICE = {"type": "object", "oneOf": [tagged("token", token=TEXT), tagged("login", user=TEXT)]}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (group("a", a=TEXT), group(a=TEXT, b=TEXT)),
        (group(a={"type": "integer"}), group(a={"type": "number"})),
        (group(a={**TEXT, "enum": ["x"]}), group(a={**TEXT, "enum": ["x", "y"]})),
        (group(a={**TEXT, "const": "x"}), group(a={**TEXT, "enum": ["x", "y"]})),
        (group(a={**TEXT, "enum": ["x"]}), group(a=TEXT)),
        (group(a={"type": "integer", "minimum": 1}), group(a={"type": "integer", "minimum": 0})),
        (group(a={**TEXT, "pattern": "^x"}), group(a=TEXT)),
        (group(a=TEXT), group(a={**TEXT, "airbyte_secret": True})),
        (group(a=TEXT), {"type": "object", "properties": {}}),
        (group(a={"type": "array", "items": TEXT}), group(a={"type": "array"})),
        (CHOICE, {**CHOICE, "oneOf": [*CHOICE["oneOf"], tagged("key", key=TEXT)]}),
        (tagged("token", token=TEXT), CHOICE),
    ],
)
def test_what_is_wider_is_accepted(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert schemas.narrowed(old, old) == []
    assert schemas.narrowed(old, new) == []


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        (group(a=TEXT), group(), "a: is no setting any more"),
        (group(a=TEXT), group("a", a=TEXT), "a: is required now"),
        (group(), group("b", b=TEXT), "b: is required now"),
        (group(a={"type": "number"}), group(a={"type": "integer"}), "a: the type was number and is integer"),
        (group(a={**TEXT, "enum": ["x", "y"]}), group(a={**TEXT, "enum": ["x"]}), "a: only x is left"),
        (group(a=TEXT), group(a={**TEXT, "enum": ["x"]}), "a: only x is left"),
        (group(a={"type": "integer"}), group(a={"type": "integer", "minimum": 1}), "a: minimum is 1 now"),
        (group(a={**TEXT, "maxLength": 9}), group(a={**TEXT, "maxLength": 8}), "a: maxLength is 8 now"),
        (group(a={**TEXT, "pattern": "^x"}), group(a={**TEXT, "pattern": "^y"}), "a: the pattern is ^y now"),
        (group(a={**TEXT, "airbyte_secret": True}), group(a=TEXT), "a: is not marked as a secret any more"),
        (group(a={"type": "object"}), group(a=group()), "a: additionalProperties is narrower now"),
        (group(a=group(b=TEXT)), group(a=group()), "a.b: is no setting any more"),
        (
            group(a={"type": "array", "items": TEXT}),
            group(a={"type": "array", "items": {"type": "integer"}}),
            "a.*: the type was string and is integer",
        ),
        (group(a=CHOICE), group(a=tagged("token", token=TEXT)), "a.type: only token is left"),
        (group(a=CHOICE), group(a={**CHOICE, "oneOf": [tagged("token", token=TEXT)]}), "a.type: only token is left"),
    ],
)
def test_what_is_narrower_is_named(old: dict[str, Any], new: dict[str, Any], complaint: str) -> None:
    assert complaint in schemas.narrowed(old, new)


def test_settings_are_found_in_groups_variants_and_lists() -> None:
    schema = group(a=group(b=TEXT), c=CHOICE, d={"type": "array", "items": group(e=TEXT)})
    paths = [path for path, _ in schemas.settings(schema)]
    assert paths == ["a", "a.b", "c", "c.type", "c.token", "c.type", "c.user", "d", "d.*.e"]
    assert [path for path, _ in schemas.groups(schema)] == ["", "a", "c", "c", "d"]
