"""PyAirbyte drives our executables as it would anybody's: validate, sync, and its smoke test of destinations."""

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import requests
from sandbox import Sandbox
from sandbox.person import Person

Pyab = Callable[..., Any]
Executable = Callable[[str], Path]


def rejected(log: str) -> int:
    """How many records a destination says it rejected."""
    return sum(map(int, re.findall(r": (\d+) records rejected: ", log)))


@pytest.mark.parametrize(("name", "secret"), [("source-segment", "papi-token"), ("destination-meta", "sandbox-token")])
def test_validate(name: str, secret: str, pyab: Pyab, executable: Executable, configs: dict[str, Path]) -> None:
    ended = pyab("validate", f"--connector={executable(name)}", f"--config={configs[name]}")
    assert ended.code == 0, ended.err
    assert f"Connection check succeeded for `{name}`." in ended.err
    # Such as that our process did not end the way it was asked to.
    assert "Traceback" not in ended.out + ended.err
    assert secret not in str(ended)


def test_validate_shows_what_is_wrong_and_how_to_mend_it(
    pyab: Pyab, executable: Executable, configs: dict[str, Path], settings: dict[str, Any]
) -> None:
    configs["destination-meta"].write_text(json.dumps(settings["destination-meta"] | {"access_token": "mistyped-one"}))
    name = "destination-meta"
    ended = pyab("validate", f"--connector={executable(name)}", f"--config={configs[name]}")
    assert ended.code == 1
    assert "AirbyteConnectorCheckFailedError" in ended.err
    assert 'Failure Reason: "token: the access token is not valid any more' in ended.err
    assert "Make a new system user token with ads_management in Business Settings and set access_token" in ended.err
    assert "mistyped-one" not in str(ended)


def test_sync_carries_an_audience_into_a_file(
    pyab: Pyab, executable: Executable, configs: dict[str, Path], people: Sequence[Person], tmp_path: Path
) -> None:
    ended = pyab(
        "sync",
        f"--source={executable('source-segment')}",
        f"--Sconfig={configs['source-segment']}",
        "--streams=audience_members",
        f"--destination={executable('destination-file')}",
        f"--Dconfig={configs['destination-file']}",
    )
    assert ended.code == 0, ended.err
    assert "Completed `source-segment -> destination-file` sync" in ended.out + ended.err
    assert "Traceback" not in ended.out + ended.err
    (path,) = (tmp_path / "out" / "airbyte-audience_members").glob("*.jsonl")
    members = [json.loads(line) for line in path.read_text().splitlines()]
    true = {entry.true for person in people for entry in person.emails if entry.recoverable}
    assert len(true) > 10, "the population has too few people for this test to mean anything"
    digests = {hashlib.sha256(address.encode()).hexdigest() for address in true}
    assert {digest for member in members for digest in member.get("email", [])} == digests
    assert len(members) + rejected(ended.logs["destination-file"]) == len({person.segment_id for person in people})
    assert not any(address in path.read_text() + str(ended) for address in true)


def test_smoke_test_ends_in_rejected_records(
    pyab: Pyab, executable: Executable, configs: dict[str, Path], twins: Sandbox
) -> None:
    # Its preflight is one more run of `basic_types`, which the scenarios hold anyway.
    ended = pyab(
        "destination-smoke-test",
        f"--destination={executable('destination-meta')}",
        f"--config={configs['destination-meta']}",
        "--skip-preflight",
    )
    assert ended.code == 0, ended.err
    result = json.loads(ended.out[ended.out.index("{\n") : ended.out.rindex("\n}") + 2])
    assert (result["success"], result["error"]) == (True, None)
    assert result["records_delivered"] > 50
    assert rejected(ended.logs["destination-meta"]) == result["records_delivered"], "nobody in them can be identified"
    audiences = requests.get(f"{twins.meta}/_twin/audiences", timeout=10).json()
    made = [audience["name"] for audience in audiences if audience["name"].startswith(result["namespace"])]
    assert made == [], "no audience is made for nobody"
