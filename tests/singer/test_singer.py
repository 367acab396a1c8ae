"""Our destinations are Singer targets too, by a thin adapter: singer-sdk's own suite passes, and people arrive."""

import hashlib
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import requests
from sandbox import Sandbox

HERE = Path(__file__).parent
DESTINATIONS = ("destination-file", "destination-meta")
TESTS = """array_data camelcase camelcase_complex_schema cli_prints duplicate_records encoded_string_data invalid_schema
no_primary_keys optional_attributes pk_updates record_before_schema record_missing_fields record_missing_key_property
schema_no_properties schema_updates special_chars_in_attributes"""
"""All of singer-sdk's target suite."""

Run = Callable[..., subprocess.CompletedProcess[str]]
Targets = dict[str, dict[str, Any]]


def digests(*addresses: str) -> set[str]:
    return {hashlib.sha256(address.encode()).hexdigest() for address in addresses}


@pytest.fixture
def held(twins: Sandbox, folder: Path) -> Callable[[str, str], set[str]]:
    """The hashed addresses of everybody whom a destination has in the audience of a stream."""

    def in_files(stream: str) -> set[str]:
        lines = [line for file in folder.glob(f"*{stream}*/*.jsonl") for line in file.read_text().splitlines()]
        return {address for line in lines for address in json.loads(line).get("email", [])}

    def in_meta(stream: str) -> set[str]:
        audiences = requests.get(f"{twins.meta}/_twin/audiences").json()
        (number,) = [audience["id"] for audience in audiences if stream in audience["name"]]
        rows = requests.get(f"{twins.meta}/_twin/audiences/{number}/rows").text.splitlines()
        return {json.loads(row)["EMAIL"] for row in rows}

    return lambda destination, stream: {"destination-file": in_files, "destination-meta": in_meta}[destination](stream)


def test_the_target_suite_passes(run: Run, targets: Targets, tmp_path: Path, held: Callable[..., set[str]]) -> None:
    report = tmp_path / "report.xml"
    options = ["-q", "-c", os.devnull, "--noconftest", "-p", "no:cacheprovider", f"--rootdir={tmp_path}"]
    options.append(f"--junitxml={report}")
    done = run("-m", "pytest", *options, HERE / "suite.py", TARGETS=json.dumps(targets), PYTHONPATH=str(HERE))
    assert done.returncode == 0, done.stdout + done.stderr
    cases = list(ElementTree.parse(report).iter("testcase"))
    passed = sorted(case.get("name", "") for case in cases if not len(case))
    assert passed == sorted(f"test_target_{name}" for name in TESTS.split() for _ in targets)
    for destination in DESTINATIONS:
        assert held(destination, "example_stream") == digests("alice@example.com", "bob@example.com")


@pytest.mark.parametrize("destination", DESTINATIONS)
def test_people_arrive_and_the_state_comes_back(
    destination: str, run: Run, targets: Targets, tmp_path: Path, held: Callable[..., set[str]]
) -> None:
    schema = {"properties": {"id": {"type": "integer"}, "email": {"type": ["string", "null"]}}}
    people = [(1, "Ann@Example.com"), (2, None), (3, "bob@example.com")]
    messages = [
        {"type": "SCHEMA", "stream": "people", "schema": schema, "key_properties": ["id"]},
        *({"type": "RECORD", "stream": "people", "record": {"id": n, "email": email}} for n, email in people),
        {"type": "STATE", "value": {"people": 3}},
    ]
    config = tmp_path / "config.json"
    config.write_text(json.dumps(targets[destination]))
    lines = "".join(json.dumps(message) + "\n" for message in messages)
    done = run(HERE / "target.py", "--config", config, stdin=lines)
    assert done.returncode == 0, done.stderr
    assert [json.loads(line) for line in done.stdout.splitlines()] == [{"people": 3}]
    assert held(destination, "people") == digests("ann@example.com", "bob@example.com")


def test_no_state_comes_back_for_what_was_not_delivered(run: Run, targets: Targets, tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    (tmp_path / "taken").write_text("")
    config.write_text(json.dumps(targets["destination-file"] | {"settings": {"path": str(tmp_path / "taken")}}))
    messages = [
        {"type": "SCHEMA", "stream": "people", "schema": {"properties": {"email": {}}}, "key_properties": []},
        {"type": "RECORD", "stream": "people", "record": {"email": "ann@example.com"}},
        {"type": "STATE", "value": {"people": 1}},
    ]
    done = run(HERE / "target.py", "--config", config, stdin="".join(json.dumps(one) + "\n" for one in messages))
    assert (done.returncode != 0, done.stdout) == (True, "")
    assert "Not a directory" in done.stderr
    assert "ann@example.com" not in done.stderr
