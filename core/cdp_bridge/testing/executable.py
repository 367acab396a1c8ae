"""A connector as a process of its own: its executable of the Airbyte protocol, whether it is installed or not."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from cdp_bridge.model import Connector
from cdp_bridge.protocol import execute

Json = Mapping[str, Any]

# What an installed console script does, for any Connector whose settings type can be imported.
_SCRIPT = """
import functools, importlib, json, sys
module, name, fields = sys.argv[1:4]
settings = functools.reduce(getattr, name.split("."), importlib.import_module(module))
from cdp_bridge.sdk import Connector, Limits, run
fields = json.loads(fields)
run(Connector(settings=settings, limits=Limits(**fields.pop("limits")), **fields), sys.argv[4:])
"""


@dataclass(frozen=True)
class Completed:
    """How a process completed: exit code, messages in their order, and what it wrote to stderr."""

    code: int
    messages: list[dict[str, Any]]
    stderr: str

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The messages of a type (`RECORD`, `STATE`, `SPEC`, ...), each without its envelope."""
        messages = [message for message in self.messages if message["type"] == kind]
        return [next(body for name, body in message.items() if name != "type") for message in messages]


@dataclass(frozen=True)
class Executable:
    """Starts commands of a connector; their files are put into `folder`."""

    connector: Connector
    folder: Path

    def __call__(self, command: str, stdin: bytes = b"", *, interpreter: Sequence[str] = (), **files: Any) -> Completed:
        """Run one command to its end.

        `files` are `config`, `catalog` (a configured catalog) and `state` as JSON values, `stdin` are lines as
        `records` makes them, `interpreter` options of Python. AssertionError if anything but messages came on stdout.
        """
        done = subprocess.run(  # noqa: S603 - the interpreter that runs us
            [sys.executable, *interpreter, "-c", _SCRIPT, *self._identity(), command, *self._write(files)],
            input=stdin,
            capture_output=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            timeout=120,
            check=False,
        )
        return _completed(command, done.returncode, done.stdout, done.stderr.decode(errors="replace"))

    def here(self, command: str, stdin: bytes = b"", **files: Any) -> Completed:
        """The same within this process, which saves the start of another."""
        stdout, stderr = io.BytesIO(), io.StringIO()
        with contextlib.redirect_stderr(stderr):
            code = execute(self.connector, [command, *self._write(files)], io.BytesIO(stdin), stdout)
        return _completed(command, code, stdout.getvalue(), stderr.getvalue())

    def _identity(self) -> tuple[str, str, str]:
        fields = {name: getattr(self.connector, name) for name in self.connector.__struct_fields__}
        settings = fields.pop("settings")
        return settings.__module__, settings.__qualname__, msgspec.json.encode(fields).decode()

    def _write(self, files: Mapping[str, Any]) -> list[str]:
        arguments = []
        for name, content in files.items():
            path = self.folder / f"{name}.json"
            path.write_bytes(msgspec.json.encode(content))
            arguments += [f"--{name}", str(path)]
        return arguments


def _completed(command: str, code: int, stdout: bytes, stderr: str) -> Completed:
    try:
        return Completed(code, [msgspec.json.decode(line) for line in stdout.splitlines()], stderr)
    except msgspec.DecodeError:
        raise AssertionError(f"{command} printed to stdout what is no message; log in place of print") from None


def catalog(*streams: str, **choice: Any) -> Json:
    """A configured catalog of these streams; `choice` says more of each, such as its `sync_mode`."""
    modes = {"sync_mode": "full_refresh", "destination_sync_mode": "append"}
    described = {"json_schema": {"type": "object"}, "supported_sync_modes": ["full_refresh", "incremental"]}
    return {"streams": [{"stream": {"name": name, **described}, **modes, **choice} for name in streams]}


def records(stream: str, rows: Sequence[Json]) -> bytes:
    """The rows as RECORD lines of a stream, for stdin."""
    messages = [{"type": "RECORD", "record": {"stream": stream, "data": row, "emitted_at": 0}} for row in rows]
    return msgspec.json.Encoder().encode_lines(messages)
