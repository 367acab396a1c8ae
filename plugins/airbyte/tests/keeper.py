"""An Airbyte connector for tests: a source of the people in `people.json`, a destination into other files.

Config: `folder`, and a `token` that must be the one in the folder's file `token`. A bare Python runs it, since each
command and each batch starts it anew.
"""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

PAGE = 10
PROPERTIES = {
    "id": {"type": "string"},
    "email": {"type": ["string", "null"]},
    "city": {"type": ["string", "null"]},
    "lists": {"type": "array", "items": {"type": "string"}},
    "version": {"type": "integer"},
}
SPEC = {
    "type": "object",
    "required": ["folder", "token"],
    "additionalProperties": False,
    "properties": {"folder": {"type": "string"}, "token": {"type": "string", "airbyte_secret": True}},
}
PEOPLE = {
    "name": "people",
    "json_schema": {"type": "object", "properties": PROPERTIES},
    "supported_sync_modes": ["full_refresh", "incremental"],
    "source_defined_cursor": True,
    "default_cursor_field": ["version"],
    "source_defined_primary_key": [["id"]],
}


def say(kind: str, name: str, body: Any) -> None:
    """Print a message."""
    print(json.dumps({"type": kind, name: body}), flush=True)


def check(folder: Path, token: str) -> None:
    """Say whether the token is right."""
    is_right = token == (folder / "token").read_text()
    outcome = {"status": "SUCCEEDED"} if is_right else {"status": "FAILED", "message": "this token is not known"}
    say("CONNECTION_STATUS", "connectionStatus", outcome)


def read(folder: Path, saved: Any) -> None:
    """Everybody in the order in which they changed, or those after a state; it comes after every page."""
    people = json.loads((folder / "people.json").read_text())
    after = saved[0]["stream"]["stream_state"]["after"] if saved else [0, ""]
    rest = sorted((one["version"], one["id"], one) for one in people if [one["version"], one["id"]] > after)
    stream = {"name": "people"}
    for number, (version, person_id, person) in enumerate(rest, 1):
        say("RECORD", "record", {"stream": "people", "data": person, "emitted_at": 0})
        if number % PAGE == 0 or number == len(rest):
            state = {"stream_descriptor": stream, "stream_state": {"after": [version, person_id]}}
            say("STATE", "state", {"type": "STREAM", "stream": state})
    complete = {"stream_descriptor": stream, "status": "COMPLETE"}
    say("TRACE", "trace", {"type": "STREAM_STATUS", "emitted_at": 0, "stream_status": complete})


def write(folder: Path, lines: Iterable[bytes], stream: str) -> None:
    """Append records to the stream's file as they come, but those with a text in `refused.json`, which are counted."""
    refused = [text.encode() for text in json.loads((folder / "refused.json").read_text())]
    rejected = 0
    with (folder / "streams" / stream).open("ab") as file:
        for line in lines:
            if line.startswith(b'{"type":"RECORD"'):
                if any(text in line for text in refused):
                    rejected += 1
                else:
                    file.write(line)
            elif line.startswith(b'{"type":"STATE"'):
                file.flush()
                counts = {"rejectedRecordCount": float(rejected)}
                say("STATE", "state", json.loads(line)["state"] | {"destinationStats": counts})


def main(command: str, *arguments: str) -> None:
    """Carry out one command."""
    files = {
        name[2:]: json.loads(Path(path).read_bytes())
        for name, path in zip(arguments[::2], arguments[1::2], strict=True)
    }
    if command == "spec":
        say("SPEC", "spec", {"connectionSpecification": SPEC})
        return
    folder, token = Path(files["config"]["folder"]), files["config"]["token"]
    if command == "check":
        check(folder, token)
    elif token != (folder / "token").read_text():
        error = {"message": "this token is not known", "failure_type": "config_error"}
        say("TRACE", "trace", {"type": "ERROR", "emitted_at": 0, "error": error})
        sys.exit(1)
    elif command == "discover":
        say("CATALOG", "catalog", {"streams": [PEOPLE]})
    elif command == "read":
        read(folder, files.get("state"))
    elif command == "write":
        write(folder, sys.stdin.buffer, files["catalog"]["streams"][0]["stream"]["name"])


if __name__ == "__main__":
    main(*sys.argv[1:])
