"""The commands around connectors, errors and exit codes, and what a cold start must not import."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import Cli, MakeCatalog, Run, Site, Told, WriteScript

COMMANDS = (
    *("connectors", "spec", "check", "discover", "read", "write"),
    *("sync", "plan", "apply", "identity", "runs", "audiences"),
    *("serve", "worker", "keys", "audit", "prune", "doctor", "new", "test"),
)


def test_help_names_every_command(cli: Cli) -> None:
    answer = cli("--help")
    assert answer.code == 0
    listed = [line.split()[0] for line in answer.out.partition("Commands:")[2].splitlines() if line.strip()]
    assert listed == list(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, cli: Cli) -> None:
    answer = cli(command, "--help")
    assert answer.code == 0
    assert "Usage: cdp-bridge" in answer.out


@pytest.mark.parametrize("arguments", [["--help"], ["connectors", "--json"], ["spec", "source-shop"]])
def test_a_cold_start_imports_nothing_heavy(arguments: list[str], shop: Site) -> None:
    heavy = ["duckdb", "pyarrow", "sqlalchemy", "requests", "rich", "yaml", "sqlglot", "shelf_code", "jsonschema"]
    code = f"""
import atexit, sys
sys.path.insert(0, {str(shop.path)!r})
atexit.register(lambda: print([name for name in {heavy!r} if name in sys.modules], file=sys.stderr))
from cdp_bridge.cli import main
main({arguments!r})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "[]"


def test_connectors_lists_what_is_there_and_what_is_not(cli: Cli, site: Site) -> None:
    site.install("bad", {"bad_plugin": "raise RuntimeError('[bold]no[/bold]')"})
    table = cli("connectors")
    assert table.code == 0
    for part in ("source-shop", "1.2.3", "idempotent", "https://example.com/shop", "bad_plugin", "[bold]no[/bold]"):
        assert part in table.out
    found = cli("connectors", "--json").json
    shop = next(one for one in found["connectors"] if one["name"] == "source-shop")
    assert shop == {
        "name": "source-shop",
        "kind": "source",
        "version": "1.2.3",
        "delivery": "idempotent",
        "documentation": "https://example.com/shop",
    }
    reason = "cannot be used: RuntimeError: [bold]no[/bold]"
    assert {"plugin": "bad_plugin", "reason": reason} in found["failures"]


def test_spec_prints_what_the_executable_says(cli: Cli, executable: Run) -> None:
    assert cli("spec", "source-shop").json == executable("source-shop", "spec").of("SPEC")[0]


def test_an_unknown_connector_is_one_line(cli: Cli) -> None:
    answer = cli("spec", "source-nothing")
    assert answer.code == 1
    assert answer.out == ""
    (line,) = answer.err.splitlines()
    assert line.startswith("error: no connector named source-nothing is installed. Installed: ")


def test_check_prints_probes(cli: Cli, tmp_path: Path) -> None:
    config = write_json(tmp_path / "config.json", {"script": str(tmp_path), "healthy": False})
    answer = cli("check", "source-shop", "--config", config)
    assert answer.code == 1
    assert "FAILED" in answer.out
    assert "Rest" in answer.out
    probes = cli("check", "source-shop", "--config", config, "--json").json
    assert [(one["name"], one["passed"]) for one in probes] == [("script", True), ("health", False)]
    config = write_json(tmp_path / "config.json", {"script": str(tmp_path)})
    assert cli("check", "source-shop", "--config", config).code == 0


def test_check_names_every_fault_of_the_settings(cli: Cli, tmp_path: Path) -> None:
    config = write_json(tmp_path / "config.json", {"token": 5, "helthy": 1})
    answer = cli("check", "source-shop", "--config", config, "--json")
    assert answer.code == 1
    assert sorted(one["detail"] for one in answer.json) == [
        "helthy: is not a known setting",
        "token: must be of type string",
    ]


def test_check_needs_exactly_one_origin_of_settings(cli: Cli) -> None:
    assert cli("check", "source-shop").code == 2
    assert cli("check", "source-shop", "--config", "a", "--connection", "b").code == 2


def test_the_protocol_runs_in_process(
    cli: Cli, tmp_path: Path, script: WriteScript, catalog: MakeCatalog, told: Callable[[int, bytes], Told]
) -> None:
    config = write_json(tmp_path / "config.json", script({"rows": [{"email": "a@example.com"}]}))
    chosen = write_json(tmp_path / "catalog.json", catalog("members"))
    assert '"CATALOG"' in cli("discover", "source-shop", "--config", config).out
    read = cli("read", "source-shop", "--config", config, "--catalog", chosen)
    assert read.code == 0
    shelf = write_json(tmp_path / "shelf.json", {"notes": str(tmp_path / "notes")})
    written = cli("write", "destination-shelf", "--config", shelf, "--catalog", chosen, stdin=read.out.encode())
    assert written.code == 0
    (state,) = told(0, written.out.encode()).of("STATE")
    assert state["destinationStats"]["recordCount"] == 1
    assert cli("read", "destination-shelf", "--config", config, "--catalog", chosen).code == 1
    assert cli("read", "source-shop", "--config", config).code == 2


def test_identity_answers_line_by_line(cli: Cli) -> None:
    questions = b'{"field":"email","raw":" Ann@Example.com"}\n\n{"field":"phone","raw":"555","country":"US"}\n'
    answer = cli("identity", "--profile", "meta", stdin=questions)
    first, second = map(json.loads, answer.out.splitlines())
    assert answer.code == 0
    assert list(first) == ["field", "normalised", "value", "hashed", "rejected"]
    assert (first["normalised"], first["hashed"], first["rejected"]) == ("ann@example.com", True, None)
    assert second["rejected"]
    assert second["value"] is None


@pytest.mark.parametrize(
    "line", [b"nonsense secret@example.com", b"\xff", b'{"raw": 1}', b'{"field": "shoe", "raw": "1"}']
)
def test_identity_answers_every_line_also_after_a_bad_one(line: bytes, cli: Cli) -> None:
    good = b'{"field":"email","raw":"a@example.com"}\n'
    answer = cli("identity", "--profile", "meta", stdin=good + line + b"\n\n" + good + line + b"\n" + good)
    answers = [json.loads(each) for each in answer.out.splitlines()]
    assert [each["normalised"] for each in answers] == ["a@example.com", None, "a@example.com", None, "a@example.com"]
    assert {each["rejected"] for each in answers} < {None, "not_a_question", "unknown_field"}
    assert answers[1] == answers[3]
    assert (answers[1]["field"], answers[1]["value"], answers[1]["hashed"]) == (None, None, False)
    assert answer.code == 1
    assert answer.err.startswith("error: line 2 and 1 more: is no question")
    assert "secret" not in answer.err + answer.out


def test_a_single_bad_line_is_named(cli: Cli) -> None:
    answer = cli("identity", "--profile", "meta", stdin=b'\n{"field": "shoe", "raw": "1"}')
    assert json.loads(answer.out)["rejected"] == "unknown_field"
    assert answer.err.startswith("error: line 2: is no question")


def test_identity_of_an_unknown_profile(cli: Cli) -> None:
    answer = cli("identity", "--profile", "myspace")
    assert answer.code == 1
    assert answer.err.startswith(
        "error: there is no identity profile myspace. There are: clear, generic, google, meta, "
    )


def test_an_unexpected_error_is_one_line_without_values(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise KeyError("ann@example.com")

    monkeypatch.setattr("cdp_bridge.cli.connectors.find_plugins", fail)
    answer = cli("connectors")
    assert answer.code == 1
    assert answer.err.startswith("bug: KeyError at test_cli_commands.py:")
    assert len(answer.err.splitlines()) == 1
    debug = cli("--debug", "connectors")
    assert "Traceback" in debug.err
    assert "<email>" in debug.err
    assert "ann@example.com" not in debug.err


def test_a_reader_that_goes_away_is_no_drama(shop: Site) -> None:
    code = f"import sys; sys.path.insert(0, {str(shop.path)!r}); from cdp_bridge.cli import main; main(['connectors'])"
    command = f"{sys.executable} -c {json.dumps(code)} | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_the_version_is_the_distributions(cli: Cli) -> None:
    answer = cli("--version")
    assert answer.code == 0
    assert "cdp-bridge" in answer.out


def write_json(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value))
    return path
