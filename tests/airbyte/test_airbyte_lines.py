"""airbyte-cdk's own serializers understand every line that any of our executables prints, and lose nothing of it."""

import json
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pytest

Say = Callable[..., bytes]
Parsed = Callable[[bytes], Sequence[tuple[dict[str, Any], dict[str, Any]]]]
CONNECTORS = ("source-segment", "source-file", "destination-meta", "destination-file")

UNKNOWN_TO_CDK = {"$.destination_catalog", "$.state.destinationStats.rejectedRecordCount"}
"""What came with protocol 0.18, which PyAirbyte speaks; airbyte-cdk reads the messages and drops these parts."""


@pytest.fixture
def say(run: Callable[..., Any], configs: dict[str, Path], tmp_path: Path) -> Say:
    """What a connector prints for a command: stdout, which must be whole lines."""

    def say(name: str, command: str, *streams: str, stdin: bytes = b"", code: int = 0) -> bytes:
        catalog = tmp_path / "catalog.json"
        catalog.write_text(json.dumps({"streams": [configured(stream) for stream in streams]}))
        options = [] if command == "spec" else ["--config", configs[name]]
        options += ["--catalog", catalog] if streams else []
        done = run(name, command, *options, stdin=stdin)
        assert (done.returncode, done.stderr) == (code, b""), done.stdout[-1000:]
        assert done.stdout.endswith(b"\n")
        return bytes(done.stdout)

    return say


def configured(name: str) -> dict[str, Any]:
    stream = {"name": name, "json_schema": {}, "supported_sync_modes": ["full_refresh"]}
    return {"stream": stream, "sync_mode": "full_refresh", "destination_sync_mode": "append"}


def lost(said: Any, parsed: Any, place: str = "$") -> list[str]:
    """Where something other than null was said of which the parsed message knows nothing, or something else."""
    if isinstance(said, dict) and isinstance(parsed, dict):
        values = [(key, value) for key, value in said.items() if value is not None]
        return [found for key, value in values for found in lost(value, parsed.get(key), f"{place}.{key}")]
    if isinstance(said, list) and isinstance(parsed, list) and len(said) == len(parsed):
        pairs = enumerate(zip(said, parsed, strict=True))
        return [found for number, (one, other) in pairs for found in lost(one, other, f"{place}[{number}]")]
    return [] if said == parsed else [place]


def test_every_line_is_understood(say: Say, configs: dict[str, Path], parsed: Parsed) -> None:
    said = [say(name, command) for name, command in product(CONNECTORS, ("spec", "check", "discover"))]
    members = say("source-segment", "read", "audience_members")
    said += [say("source-segment", "read", "spaces", "audiences"), members, say("source-file", "read", "members")]
    for destination in ("destination-meta", "destination-file"):
        said.append(say(destination, "write", "audience_members", stdin=members))
        said.append(say(destination, "write", "audience_members", stdin=members + b"no message\n", code=1))
    said.append(say("source-file", "read", "nothing", code=1))
    for name in CONNECTORS:
        configs[name].write_text("{}")
        said.append(say(name, "check"))
    lines = b"".join(said)
    messages = [json.loads(line) for line in lines.splitlines()]
    understood = parsed(lines)
    assert len(understood) == len(messages)
    for message, (by_cdk, by_pyairbyte) in zip(messages, understood, strict=True):
        assert lost(message, by_pyairbyte) == []
        assert set(lost(message, by_cdk)) <= UNKNOWN_TO_CDK
    kinds = "SPEC CONNECTION_STATUS CATALOG DESTINATION_CATALOG RECORD STATE TRACE LOG"
    assert {message["type"] for message in messages} == set(kinds.split())


def test_what_would_be_lost_is_noticed() -> None:
    said = {"a": [1, {"b": "x", "c": None}], "d": 2}
    assert lost(said, {"a": [1, {"b": "x", "more": 0}], "d": 2}) == []
    assert lost(said, {"a": [1, {"b": "y"}]}) == ["$.a[1].b", "$.d"]


def test_a_line_that_is_no_message_is_refused(parsed: Parsed) -> None:
    with pytest.raises(AssertionError, match="STREAM_STATUSES"):
        parsed(b'{"type":"TRACE","trace":{"type":"STREAM_STATUSES","emitted_at":1}}\n')
