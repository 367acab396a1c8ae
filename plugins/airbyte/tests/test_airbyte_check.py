"""Named probes, up to the first that fails, each with a remedy and without values."""

import sys
from collections.abc import Callable
from typing import Any

import pytest
from airbyte_connectors import source as airbyte
from airbyte_connectors.settings import SourceSettings
from cdp_bridge import settings as checked

from .conftest import LoadSource, MakeScripted
from .lines import SPEC, STATUS, log, offers, trace_error, users

Load = Callable[..., Any]
SECRET = "hunter2-hunter2"
NAMES = ["connector", "spec", "config", "connection", "members"]
TYPED = {
    "type": "object",
    "required": ["region", "auth"],
    "additionalProperties": False,
    "properties": {
        "region": {"type": "string", "enum": ["us", "eu"]},
        "auth": {
            "type": "object",
            "required": ["key"],
            "properties": {"key": {"type": "string", "airbyte_secret": True}},
        },
    },
}
FAILED = {"type": "CONNECTION_STATUS", "connectionStatus": {"status": "FAILED", "message": "no such host"}}
GOOD = {"config": {"region": "eu"}, "secrets": {"auth.key": SECRET}}
REGION = "region breaks the rule enum: ['us', 'eu']"


def spec(schema: Any) -> Any:
    return [{"type": "SPEC", "spec": {"connectionSpecification": schema}}]


def test_every_probe_passes(source: LoadSource) -> None:
    settings = source(GOOD | {"members": {"stream": "users", "segment_field": "plan"}}, spec=spec(TYPED))
    probes = airbyte.check(settings)
    assert [probe.name for probe in probes] == NAMES
    assert all(probe.passed and probe.detail for probe in probes)


@pytest.mark.parametrize(
    ("probe", "says", "detail"),
    [
        ("connector", {"spec": ["!sys.exit(3)"]}, "source-scripted: ended with exit code 3"),
        ("connector", {"spec": ["hello"]}, "source-scripted: has no specification"),
        ("connector", {"spec": [SPEC, trace_error("no licence")]}, "source-scripted: no licence"),
        ("spec", {"spec": spec({"type": "nonsense"})}, "is no JSON schema"),
        ("connection", {"check": []}, "it did not say whether it can connect"),
        (
            "connection",
            {"check": [FAILED]},
            "no such host",
        ),
        ("connection", {"check": [trace_error("wrong key", "config_error"), STATUS]}, "wrong key"),
        ("connection", {"check": [STATUS, "!sys.exit(1)"]}, "exit code 1"),
        ("members", {"discover": [offers()]}, "offers no streams"),
        ("members", {"discover": [offers(users(name="people"))]}, "members.stream: there is no stream users"),
        ("members", {"discover": [offers(users(json_schema={"properties": {"id": {}}}))]}, "has no field plan"),
    ],
)
def test_what_fails_is_the_last_probe(source: LoadSource, probe: str, says: Any, detail: str) -> None:
    settings = source({"members": {"stream": "users", "segment_field": "plan"}}, **says)
    probes = airbyte.check(settings)
    assert [found.name for found in probes] == NAMES[: NAMES.index(probe) + 1]
    assert [found.passed for found in probes] == [True] * (len(probes) - 1) + [False]
    assert detail in probes[-1].detail
    assert probes[-1].remedy


@pytest.mark.parametrize(
    ("more", "faults"),
    [
        ({"config": {"region": "moon", "auth": {}}}, {REGION, "auth.key is missing"}),
        ({"config": {"regio": "eu"}}, {"region is missing", "auth is missing", "regio is not known"}),
        ({"config": {"region": "eu", "auth": {"key": SECRET}}}, {"auth.key is a secret, name it in secrets"}),
        (GOOD | {"config": {"region": 7}}, {"region breaks the rule type: string", REGION}),
        (GOOD | {"config": {"auth": {"key": "other"}}}, {"is in the config too"}),
        (GOOD | {"config": {"auth": "x"}}, {"leads through a value"}),
    ],
)
def test_each_fault_of_a_config_is_told_without_values(source: LoadSource, more: Any, faults: set[str]) -> None:
    probe = airbyte.check(source(more, spec=spec(TYPED)))[-1]
    assert (probe.name, probe.passed) == ("config", False)
    assert all(fault in probe.detail for fault in faults)
    assert probe.detail.count(";") == len(faults) - 1
    assert "hunter2" not in str(probe)


def test_forms_of_a_config(source: LoadSource) -> None:
    forms = {"properties": {"auth": {"type": "object", "oneOf": [TYPED, {"required": ["token"]}]}}}
    probe = airbyte.check(source({"config": {"auth": {"user": "ann"}}}, spec=spec(forms)))[-1]
    assert "auth fits none of the forms that the connector knows" in probe.detail
    assert "ann" not in str(probe)


@pytest.mark.parametrize("command", ["/nowhere/source-none", "source-none-on-path"])
def test_a_program_that_is_not_there(command: str) -> None:
    raw = {"connector": {"type": "executable", "command": command}}
    (probe,) = airbyte.check(checked.load(SourceSettings, raw))
    assert "cannot be started" in probe.detail
    assert "Install it" in probe.remedy


def test_a_name_with_nul_is_no_program() -> None:
    with pytest.raises(checked.SettingsError, match=r"connector\.command: holds the character NUL"):
        checked.load(SourceSettings, {"connector": {"type": "executable", "command": "bad\0name"}})


def test_arguments_come_before_the_command(scripted: MakeScripted) -> None:
    connector = {"type": "executable", "command": sys.executable, "arguments": ["-IS", str(scripted().path)]}
    assert all(probe.passed for probe in airbyte.check(checked.load(SourceSettings, {"connector": connector})))


def test_settings_name_one_way_to_run_it() -> None:
    with pytest.raises(checked.SettingsError, match="Set one of type: executable; type: manifest"):
        checked.load(SourceSettings, {"connector": {"command": "x"}})


def test_logs_are_passed_on_one_line_each_and_what_is_personal_is_not_said_at_info(
    source: LoadSource, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    said = [log("Ann, Rome"), log("slow\nTraceback of Ann", "WARN"), log("down\x1b[31m", "ERROR"), {"type": "CONTROL"}]
    assert airbyte.check(source(check=[*said, "Ann again", STATUS]))[-1].passed
    assert [text for text in caplog.messages if "changed its own config" not in text] == [
        "source-scripted: slow",
        "source-scripted: down [31m",
        "source-scripted has printed 1 lines that are no messages",
    ]
    assert len(caplog.messages) == 4
