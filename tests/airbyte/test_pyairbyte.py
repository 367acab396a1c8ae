"""PyAirbyte drives our executables as it would anybody's: validate, sync, and its smoke test of destinations."""

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import requests
from sandbox import Sandbox
from sandbox.person import Person

Program = Callable[..., Any]
SMOKE_RECORDS = 1_050
"""What all scenarios of the smoke test have at least; the large batch alone is a thousand."""


def rejected(log: str) -> int:
    """How many records a destination says it rejected."""
    return sum(map(int, re.findall(r": (\d+) records rejected: ", log)))


def sync(program: Program, source: Any, destination: Any, streams: str = "*") -> Any:
    ended = program(
        "pyab",
        "sync",
        f"--source={source.executable}",
        f"--Sconfig={source.config}",
        f"--streams={streams}",
        f"--destination={destination.executable}",
        f"--Dconfig={destination.config}",
    )
    assert ended.code == 0, ended.err
    assert f"Completed `{source.name} -> {destination.name}` sync" in ended.out + ended.err
    # Such as that our process did not end the way it was asked to.
    assert "Traceback" not in ended.out + ended.err
    return ended


def test_validate(program: Program, connector: Any) -> None:
    ended = program("pyab", "validate", f"--connector={connector.executable}", f"--config={connector.config}")
    assert ended.code == 0, ended.err
    assert f"Connection check succeeded for `{connector.name}`." in ended.err
    assert "Traceback" not in ended.out + ended.err
    secrets = [value for name, value in connector.settings.items() if name.endswith("token")]
    assert [secret for secret in secrets if secret in str(ended)] == []


def test_validate_shows_what_is_wrong_and_how_to_mend_it(program: Program, ready: Callable[[str], Any]) -> None:
    meta = ready("destination-meta")
    ended = program("pyab", "validate", f"--connector={meta.executable}", f"--config={meta.spoilt}")
    assert ended.code == 1
    assert "AirbyteConnectorCheckFailedError" in ended.err
    assert re.search(r'Failure Reason: "token: \S+ the access token is not valid any more', ended.err)
    assert "Make a new system user token with ads_management in Business Settings and set access_token" in ended.err
    assert "mistyped" not in str(ended)


def test_sync_from_every_source(program: Program, source: Any, ready: Callable[[str], Any], tmp_path: Path) -> None:
    sync(program, source, ready("destination-file"))
    assert list((tmp_path / "out").glob("*/*.jsonl"))


def test_sync_into_every_destination(program: Program, destination: Any, ready: Callable[[str], Any]) -> None:
    ended = sync(program, ready("source-file"), destination)
    assert rejected(ended.logs[destination.name]) == 0


def test_sync_carries_an_audience_into_a_file(
    program: Program, ready: Callable[[str], Any], people: Sequence[Person], tmp_path: Path
) -> None:
    ended = sync(program, ready("source-segment"), ready("destination-file"), "audience_members")
    (path,) = (tmp_path / "out" / "airbyte-audience_members").glob("*.jsonl")
    members = [json.loads(line) for line in path.read_text().splitlines()]
    true = {entry.true for person in people for entry in person.emails if entry.recoverable}
    assert len(true) > 10, "the population has too few people for this test to mean anything"
    digests = {hashlib.sha256(address.encode()).hexdigest() for address in true}
    assert {digest for member in members for digest in member.get("email", [])} == digests
    assert len(members) + rejected(ended.logs["destination-file"]) == len({person.segment_id for person in people})
    assert not any(address in path.read_text() + str(ended) for address in true)


def test_smoke_test_ends_in_rejected_records(program: Program, destination: Any, twins: Sandbox) -> None:
    options = [f"--destination={destination.executable}", f"--config={destination.config}", "--scenarios=all"]
    ended = program("pyab", "destination-smoke-test", *options)
    assert ended.code == 0, ended.err
    result = json.loads(ended.out[ended.out.index("{\n") : ended.out.rindex("\n}") + 2])
    assert (result["success"], result["preflight_passed"], result["error"]) == (True, True, None)
    assert result["records_delivered"] > SMOKE_RECORDS
    assert rejected(ended.logs[destination.name]) >= result["records_delivered"], "nobody in them can be identified"
    audiences = requests.get(f"{twins.meta}/_twin/audiences").json()
    assert [audience for audience in audiences if audience["name"].startswith(result["namespace"])] == []
