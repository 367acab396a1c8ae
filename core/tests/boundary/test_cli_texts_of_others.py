"""What the command line prints of names that others chose, and of text that the terminal's encoding does not have."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

CONTROLS = [
    *(chr(code) for code in (*range(1, 9), *range(0x0B, 0x20), *range(0x7F, 0xA0))),
    *"\u2028\u2029\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069",
]
NASTY = "".join(f"<{character}>" for character in CONTROLS)
Command = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Run `cdp-bridge` in a folder with a bridge.yaml whose segment has a name as no person would choose it."""
    (tmp_path / "people.csv").write_text("id,email\n1,ada@example.com\n")
    bridge = {
        "connections": [{"name": "f", "cdp_provider": "source-file", "api_credentials": {"path": "people.csv"}}],
        "destinations": [{"name": "o", "connector": "destination-file", "settings": {"path": "out"}}],
        "mappings": {"m": [{"omniads_field": name, "cdp_field": field} for name, field in FIELDS]},
        "audiences": [
            {"name": name, "connection": "f", "segment": segment, "destination": "o", "mapping": "m", **more}
            for name, segment, more in (
                ("nasty", NASTY, {"audience_name": NASTY}),
                ("polish", "Gąste Żółź", {"stream": NASTY}),
            )
        ],
    }
    (tmp_path / "bridge.yaml").write_text(json.dumps(bridge))

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-c", "from cdp_bridge.cli import main; main()", *arguments]
        return subprocess.run(command, cwd=tmp_path, env=os.environ | environment, capture_output=True, check=False)

    return run


FIELDS = (("user_id", "id"), ("email", "email"))
COMMANDS = [
    ["plan", "-f", "bridge.yaml"],
    ["plan", "-f", "bridge.yaml", "--json"],
    ["apply", "-f", "bridge.yaml", "--yes"],
    ["sync", "nasty", "polish"],
    ["sync", "nasty", "polish", "--json"],
    ["sync", "nasty", "--dry-run"],
    ["runs"],
    ["runs", "--json"],
    ["audiences"],
    ["audiences", "--json"],
    ["audit"],
]


def test_no_control_character_of_a_name_reaches_the_terminal(command: Command) -> None:
    printed = ""
    for arguments in COMMANDS:
        done = command(*arguments, PYTHONIOENCODING="utf-8")
        text = (done.stdout + done.stderr).decode()
        assert [hex(ord(character)) for character in CONTROLS if character in text] == [], arguments
        assert "bug" not in text
        if "--json" in arguments:
            json.loads(done.stdout)
        printed += text
    assert r"<\x1b>" in printed
    assert r"<\u202e>" in printed


@pytest.mark.parametrize("encoding", ["ascii", "iso-8859-1", "utf-8"])
def test_what_the_encoding_does_not_have_is_replaced(command: Command, encoding: str) -> None:
    for arguments in COMMANDS:
        done = command(*arguments, PYTHONIOENCODING=encoding)
        assert b"bug" not in done.stderr, done.stderr
        assert b"Traceback" not in done.stderr
        text = done.stdout.decode(encoding)
        if "--json" in arguments:
            assert "?" not in text
            json.loads(text)
    assert command("sync", "nasty", PYTHONIOENCODING=encoding).returncode == 0


def test_a_closed_pipe_ends_quietly(command: Command, tmp_path: Path) -> None:
    command("apply", "-f", "bridge.yaml", "--yes")
    process = subprocess.Popen(
        [sys.executable, "-c", "from cdp_bridge.cli import main; main()", "runs"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout
    assert process.stderr
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    process.wait()
    assert b"Traceback" not in errors
