"""Settings types: their schema, their faults, their secrets."""

import json
import operator
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest
from cdp_bridge.errors import ConfigError
from cdp_bridge.secrets import Resolver, Secret, is_reference
from cdp_bridge.settings import SettingsError, check, load, option, schema, secrets
from msgspec import Struct


class Key(Struct, kw_only=True, tag_field="kind", tag="key", forbid_unknown_fields=True):
    key: Annotated[Secret, option("Key", "The API key")]


class Login(Struct, kw_only=True, tag_field="kind", tag="login", forbid_unknown_fields=True):
    user: str
    password: Secret


class Account(Struct, kw_only=True, forbid_unknown_fields=True):
    access: Annotated[Key | Login, option("Access")]
    region: Annotated[Literal["eu", "us"], option("Region")] = "us"
    pages: Annotated[int, option("Pages", ge=1, le=10)] = 5
    webhook: Annotated[Secret | None, option("Webhook secret")] = None
    tags: list[str] = []


GOOD: dict[str, Any] = {"access": {"kind": "key", "key": "env:KEY"}, "webhook": "file:/x"}


def test_the_schema_speaks_airbytes_dialect() -> None:
    made = schema(Account)
    properties = made["properties"]
    assert made["required"] == ["access"]
    assert made["additionalProperties"] is False
    assert [part["order"] for part in properties.values()] == [0, 1, 2, 3, 4]
    assert properties["webhook"] == {"order": 3, "title": "Webhook secret", "type": "string", "airbyte_secret": True}
    assert properties["access"]["type"] == "object"
    assert [branch["properties"]["kind"]["const"] for branch in properties["access"]["oneOf"]] == ["key", "login"]
    assert properties["region"]["enum"] == ["eu", "us"]
    assert "$ref" not in json.dumps(made)


def test_secrets_are_found_in_variants_and_maps() -> None:
    raw = {**GOOD, "webhook": "env:HOOK"}
    assert secrets(schema(Account), raw) == {("access", "key"): raw["access"]["key"], ("webhook",): "env:HOOK"}

    class Keys(Struct):
        keys: dict[str, Secret] = {}

    assert secrets(schema(Keys), {"keys": {"a.b": "x", "c": "y"}}) == {("keys", "a.b"): "x", ("keys", "c"): "y"}


def test_each_missing_setting_is_named_once() -> None:
    class Pair(Struct):
        first: int
        second: int

    with pytest.raises(SettingsError) as caught:
        load(Pair, {})
    assert [str(fault) for fault in caught.value.errors] == ["first: is missing. Add it", "second: is missing. Add it"]


def test_a_type_without_a_schema_says_where_bounds_go() -> None:
    class Bounded(Struct):
        most: Annotated[int | None, option("Most", ge=0)] = None

    with pytest.raises(ConfigError, match=r"Bounded: cannot be described: .*Most.*Bounds go inside"):
        schema(Bounded)


def test_loading_reveals_references(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KEY", "from the environment")
    (tmp_path / "secret").write_text("from the file\n")
    loaded = load(Account, {**GOOD, "webhook": f"file:{tmp_path}/secret"})
    assert isinstance(loaded.access, Key)
    assert loaded.webhook is not None
    assert (loaded.access.key.reveal(), loaded.webhook.reveal()) == ("from the environment", "from the file")


def test_a_plugin_resolves_its_own_references() -> None:
    found = load(
        Account,
        GOOD | {"access": {"kind": "key", "key": "vault:k"}, "webhook": "vault:w"},
        Resolver(plugins=lambda reference: Secret(reference[6:])),
    )
    assert isinstance(found.access, Key)
    assert found.access.key.reveal() == "k"


def test_references_that_lead_nowhere_are_all_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KEY", raising=False)
    (tmp_path / "latin").write_bytes(b"\xff")
    with pytest.raises(SettingsError) as caught:
        load(Account, {**GOOD, "webhook": f"file:{tmp_path}/latin"})
    assert sorted((error.place, error.problem.split(" ")[-1]) for error in caught.value.errors) == [
        ("access.key", "set"),
        ("webhook", "text"),
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"acess": 1}, "acess: is not a known setting. Did you mean access?"),
        ({"zzzzzz": 1}, "zzzzzz: is not a known setting. Known here: access, region"),
        ({"region": "asia"}, "region: must be one of ['eu', 'us']"),
        ({"pages": 0}, "pages: must be at least 1"),
        ({"pages": 11}, "pages: must be at most 10"),
        ({"pages": "5"}, "pages: must be of type integer"),
        ({"tags": ["a", 1]}, "tags.1: must be of type string"),
        ({"access": {"kind": "key"}}, "access.key: is missing. Add it"),
        ({"access": {"kind": "login", "user": "u", "pass": "hunter2"}}, "access.password: is missing"),
        (
            {"access": {"kind": "other"}},
            "access: does not choose one of the variants. Set one of kind: key; kind: lo",
        ),
        ({"access": "hunter2"}, "access: does not choose one of the variants"),
        ({"webhook": ["hunter2"]}, "webhook: must be of type string"),
        ({"access": {"kind": "key", "key": {"hunter2": 1}}}, "access.key: must be of type string"),
    ],
)
def test_a_fault_is_named_without_the_value(change: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        check(Account, {**GOOD, **change})
    assert message in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("raw", [None, [], "x", 1])
def test_settings_must_be_an_object(raw: Any) -> None:
    with pytest.raises(SettingsError, match="settings: must be of type object"):
        check(Account, raw)


def test_all_faults_come_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        check(Account, {"region": "x", "pages": 0, "more": 1})
    assert len(caught.value.errors) == 4
    assert str(caught.value).count("\n") == 3


def test_no_way_of_writing_a_secret_shows_it() -> None:
    secret: Any = Secret("hunter2hunter2")
    assert [str(secret), repr(secret), f"{secret}", operator.mod("%s", secret)] == ["Secret(***)"] * 4
    leaks: list[Callable[[], Any]] = [
        lambda: json.dumps(secret),
        lambda: msgspec.json.encode(secret),
        lambda: "".join([secret]),
        lambda: "a" + secret,
    ]
    for leak in leaks:
        with pytest.raises(TypeError):
            leak()


@pytest.mark.parametrize(
    ("value", "expected"), [("env:A", True), ("vault:a/b", True), ("plain", False), ("env:", False)]
)
def test_is_reference(value: str, expected: bool) -> None:
    assert is_reference(value) is expected


def test_what_is_no_reference_is_the_secret_itself() -> None:
    assert Resolver().secret("plain").reveal() == "plain"


def test_a_missing_variable_names_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ABSENT", raising=False)
    with pytest.raises(ConfigError, match=r"the environment variable ABSENT is not set\. Export ABSENT"):
        Resolver().secret("env:ABSENT")


def test_a_secret_comes_without_the_line_break_behind_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TOKEN", "token\r\n")
    (tmp_path / "token").write_text("token\n")
    assert [Resolver().secret(value).reveal() for value in ("env:TOKEN", f"file:{tmp_path}/token")] == ["token"] * 2


@pytest.mark.parametrize("value", ["env:TOKEN", "file:token", ""])
def test_an_empty_secret_is_refused(value: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TOKEN", " ")
    (tmp_path / "token").write_text("\n")
    with pytest.raises(ConfigError, match=r"is empty\. Put the secret there"):
        Resolver().secret(value)


@pytest.mark.parametrize("resolver", [Resolver(), Resolver(plugins=lambda _: None)], ids=["alone", "with plugins"])
@pytest.mark.parametrize("reference", ["store:connection.crm.1", "oauth:shop"])
def test_what_a_store_keeps_is_never_taken_for_the_secret_itself(reference: str, resolver: Resolver) -> None:
    with pytest.raises(ConfigError, match=r"names what a store keeps, and none is in use here\. Use env:NAME or"):
        resolver.secret(reference)
