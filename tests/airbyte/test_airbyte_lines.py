"""airbyte-cdk's own serializers understand every line that any of our executables prints, and lose nothing of it."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

Say = Callable[..., bytes]
Parsed = Callable[[bytes], Sequence[tuple[dict[str, Any], dict[str, Any]]]]

UNKNOWN_TO_CDK = {"$.destination_catalog", "$.state.destinationStats.rejectedRecordCount"}
"""What came with protocol 0.18, which PyAirbyte speaks; airbyte-cdk reads the messages and drops these parts."""


@pytest.fixture
def say(run: Callable[..., Any], tmp_path: Path) -> Say:
    """What a connector prints for a command: stdout, which must be whole lines."""

    def say(connector: Any, command: str, *streams: str, stdin: bytes = b"", code: int = 0) -> bytes:
        catalog = tmp_path / "catalog.json"
        catalog.write_text(json.dumps({"streams": [configured(stream) for stream in streams]}))
        options = [] if command == "spec" else ["--config", connector.config]
        options += ["--catalog", catalog] if streams else []
        done = run(connector, command, *options, stdin=stdin)
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


def test_every_line_is_understood(say: Say, ready: Callable[[str], Any], parsed: Parsed) -> None:
    segment, file, meta, folder = map(ready, ("source-segment", "source-file", "destination-meta", "destination-file"))
    members = say(segment, "read", "audience_members")
    said = [members, say(segment, "read", "spaces", "audiences"), say(file, "read", "members")]
    said.append(say(file, "read", "nothing", code=1))
    said += [say(connector, command) for connector in (segment, meta) for command in ("spec", "check", "discover")]
    for connector in (meta, folder):
        said.append(say(connector, "write", "audience_members", stdin=members))
        said.append(say(connector, "write", "audience_members", stdin=members + b"no message\n", code=1))
    for connector in (segment, meta):
        connector.config.write_text("{}")
        said.append(say(connector, "check"))
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
