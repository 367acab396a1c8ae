"""bridge.yaml: what is taken, and the place and remedy of everything that is not."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import msgspec
import pytest
from cdp_bridge import configuration
from cdp_bridge.connectors.registry import Registry
from cdp_bridge.entities import Bridge
from cdp_bridge.errors import ConfigError
from cdp_bridge.model import Connector
from cdp_bridge.sdk import Secret, option
from cdp_bridge.settings import SettingsError, check_schema


class Api(msgspec.Struct, tag_field="kind", tag="api", forbid_unknown_fields=True):
    key: Annotated[Secret, option("Key")]


class Source(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    token: Annotated[Secret, option("Token")]
    region: Annotated[str, option("Region", pattern="^(eu|us)$")] = "us"
    access: Api | None = None


class Sink(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    account: str


GOOD = """
connections:
  - name: cdp
    cdp_provider: source-x
    api_credentials: {token: "env:TOKEN", region: eu}
destinations:
  - {name: ads, connector: destination-x, settings: {account: act_1}}
mappings:
  people:
    - {omniads_field: user_id, cdp_field: user_id}
    - omniads_field: country
      constant: NO
      transformation_rule: lower(value)
audiences:
  - name: buyers
    connection: cdp
    segment: buyers
    destination: ads
    mapping: people
    consent: [{purpose: ads, cdp_field: consent.ads}]
suppressions: [stop.txt, /abs/stop.txt]
"""

FAULTS = """
audiences: -> audience:
    bridge.yaml:14:1 (audience): is not a known setting. Did you mean audiences?
segment: buyers -> segmnt: buyers
    bridge.yaml:17:5 (audiences.0.segmnt): is not a known setting. Did you mean segment?
segment: buyers -> segmnt: buyers
    bridge.yaml:15:5 (audiences.0.segment): is missing. Add it
constant: NO -> constant: 5
    bridge.yaml:12:7 (mappings.people.1.constant): must be of type string
name: buyers -> name: Buyers!
    (audiences.0.name): must match the pattern
mapping: people -> mapping: peple
    bridge.yaml:19:5 (audiences.0.mapping): there is no mapping peple. Did you mean people?
connection: cdp -> connection: zzz
    there is no connection zzz. There are: cdp
destination: ads -> destination: adz
    there is no destination adz. Did you mean ads?
source-x -> source-y
    bridge.yaml:4:5 (connections.0.cdp_provider): no source named source-y is installed
source-x -> destination-x
    no source named destination-x is installed
region: eu -> region: de
    (connections.0.api_credentials.region): must match the pattern
account: act_1 -> acount: act_1
    (destinations.0.settings.acount): is not a known setting. Did you mean account?
lower(value) -> lower(evil(value))
    bridge.yaml:13:7 (mappings.people.1.transformation_rule): the function evil is not allowed in a rule (line 1
constant: NO -> validation: {minLen: 1}
    (mappings.people.1.validation.minLen): is not a known setting
omniads_field: user_id -> omniads_field: email
    bridge.yaml:9:3 (mappings.people): no mapping fills user_id
cdp_field: consent.ads -> cdp_field: consent..ads
    (audiences.0.consent.0.cdp_field): the path has no key at column 9
"""

LINES = FAULTS.strip().splitlines()
Load = Callable[[str], Bridge]


@pytest.fixture
def registry() -> Registry:
    found = Registry([])
    for connector in (
        Connector(name="source-x", kind="source", settings=Source, load="nowhere"),
        Connector(name="destination-x", kind="destination", settings=Sink, load="nowhere"),
    ):
        found.connectors[connector.name] = connector
    return found


@pytest.fixture
def load(registry: Registry, tmp_path: Path) -> Load:
    def loaded(text: str) -> Bridge:
        file = tmp_path / "bridge.yaml"
        file.write_text(text, encoding="utf-8")
        return configuration.load(file, registry)

    return loaded


def refusal(load: Load, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(text)
    return str(caught.value)


def test_a_good_file_loads_with_paths_made_absolute(load: Load, tmp_path: Path) -> None:
    bridge = load(GOOD)
    assert bridge.mappings["people"][1].constant == "NO"
    assert bridge.connections[0].api_credentials == {"token": "env:TOKEN", "region": "eu"}
    assert bridge.suppressions == (str(tmp_path / "stop.txt"), "/abs/stop.txt")


@pytest.mark.parametrize(
    ("given", "expected"), [("file:secrets/token", "file:{}/secrets/token"), ("file:/run/token", "file:/run/token")]
)
def test_secret_files_are_sought_beside_the_file(load: Load, tmp_path: Path, given: str, expected: str) -> None:
    bridge = load(GOOD.replace("env:TOKEN", given))
    assert bridge.connections[0].api_credentials["token"] == expected.format(tmp_path)


@pytest.mark.parametrize("text", ["", "# nothing\n", "{}"])
def test_an_empty_file_is_an_empty_bridge(load: Load, text: str) -> None:
    assert load(text) == Bridge()


@pytest.mark.parametrize(("change", "message"), list(zip(LINES[::2], LINES[1::2], strict=True)))
def test_a_fault_is_named_with_place_and_remedy(load: Load, change: str, message: str) -> None:
    old, new = change.split(" -> ")
    assert message.strip() in refusal(load, GOOD.replace(old, new, 1))


def test_a_name_can_be_used_once(load: Load) -> None:
    second = "  - {name: cdp, cdp_provider: source-x, api_credentials: {token: 'env:T'}}\ndestinations:"
    assert "(connections.1.name): the name cdp is taken" in refusal(load, GOOD.replace("destinations:", second))


def test_all_faults_are_named_at_once(load: Load) -> None:
    text = GOOD.replace("mapping: people", "mapping: x").replace("region: eu", "region: de").replace("lower(", "bad(")
    with pytest.raises(SettingsError) as caught:
        load(text)
    assert [error.place.split(" ")[1] for error in caught.value.errors] == [
        "(audiences.0.mapping)",
        "(connections.0.api_credentials.region)",
        "(mappings.people.1.transformation_rule)",
    ]


@pytest.mark.parametrize("secret", ["hunter2hunter2", "user:hunter2hunter2", "env:", "Env:hunter2hunter2"])
@pytest.mark.parametrize("where", ["token", "nested"])
def test_a_plain_secret_is_refused_and_never_repeated(load: Load, secret: str, where: str) -> None:
    text = GOOD.replace('"env:TOKEN"', f'"{secret}"')
    if where == "nested":
        text = GOOD.replace("region: eu", f'access: {{kind: api, key: "{secret}"}}')
    message = refusal(load, text)
    assert "holds a secret itself. Name where it is kept: env:NAME" in message
    assert "hunter2" not in message


@pytest.mark.parametrize("reference", ["store:connection.crm.1", "oauth:crm"])
def test_a_reference_of_the_store_is_taken(load: Load, reference: str) -> None:
    assert load(GOOD.replace("env:TOKEN", reference)).connections[0].api_credentials["token"] == reference


def test_a_reference_of_a_plugin_is_taken(load: Load, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    text = GOOD.replace("env:TOKEN", "vault:ads/token")
    assert "holds a secret itself" in refusal(load, text)
    monkeypatch.setattr(registry, "secret", lambda reference: Secret("x") if reference.startswith("vault:") else None)
    assert load(text).connections[0].api_credentials["token"] == "vault:ads/token"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2\n", "bridge.yaml:2:1: the key a stands here a second time"),
        ("connections:\n\t- x\n", "bridge.yaml:2:1: found character"),
        ("a: [1, 2\n", "bridge.yaml:2:1: "),
        ("a: *nowhere\n", "bridge.yaml:1:4: found undefined alias"),
        ("a: !!python/object/apply:os.system ['x']\n", "bridge.yaml:1:"),
        ("a: !secret x\n", "bridge.yaml:1:4: could not determine a constructor"),
        ("? [a, b]\n: 1\n", "a key must be plain text"),
        ("- a\n- b\n", "bridge.yaml:1:1: must be of type object"),
        ("just text", "must be of type object"),
        ("--- {}\n--- {}\n", "bridge.yaml:2:1: but found another document"),
        ("[" * 5_000, "bridge.yaml: is nested too deeply"),
        ("a: \x07\n", "bridge.yaml: holds a character that YAML forbids"),
        ("x" * 5_000_001, "is larger than 5,000,000 bytes"),
    ],
    ids=lambda value: value[:20],
)
def test_what_is_not_plain_yaml_is_refused(load: Load, text: str, message: str) -> None:
    assert message in refusal(load, text)


def test_aliases_cannot_make_a_file_enormous(load: Load) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert "holds more than 100,000 values" in refusal(load, "\n".join(lines))


def test_a_file_that_contains_itself_is_refused(load: Load) -> None:
    assert "bridge.yaml" in refusal(load, "a: &a [*a]")


def test_a_file_that_cannot_be_read_is_named(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"a: \xff")
    for name, message in (("absent.yaml", "cannot be read"), ("latin.yaml", "is not UTF-8"), (".", "cannot be read")):
        with pytest.raises(ConfigError, match=message):
            configuration.load(tmp_path / name, registry)


def test_the_schema_knows_the_validation_keywords() -> None:
    check_schema(
        configuration.schema(), {"mappings": {"m": [{"omniads_field": "email", "validation": {"minLength": 1}}]}}
    )
    with pytest.raises(SettingsError, match=r"validation.minLen: is not a known setting. Did you mean minLength"):
        check_schema(configuration.schema(), {"mappings": {"m": [{"omniads_field": "x", "validation": {"minLen": 1}}]}})


def test_no_list_grows_without_end(load: Load) -> None:
    """An edit checks the whole configuration."""
    rules = "".join(f"\n    - {{omniads_field: email, cdp_field: e{number}}}" for number in range(501))
    assert "may have 500" in refusal(load, f"mappings:\n  people:{rules}")
    lists = "".join(f"\n  - list{number}.csv" for number in range(101))
    assert "may have 100" in refusal(load, f"suppressions:{lists}")
    values = ", ".join(f"v{number}" for number in range(1_001))
    rule = f"{{omniads_field: email, cdp_field: e, validation: {{enum: [{values}]}}}}"
    assert "enum" in refusal(load, f"mappings:\n  people:\n    - {rule}")
