"""`read`: pages become RECORD lines, checkpoints STATE lines, failures one honest TRACE."""

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import MakeCatalog, Process, Run, Start, Told, WriteScript

ROWS = [{"user_id": "1", "tags": ["a"]}, {"user_id": "2", "tags": []}]


def states(told: Told) -> list[tuple[Any, float]]:
    return [(one["stream"]["stream_state"], one["sourceStats"]["recordCount"]) for one in told.of("STATE")]


def test_records_states_and_statuses_in_order(executable: Run, script: WriteScript, catalog: MakeCatalog) -> None:
    config = script({"rows": ROWS}, {"checkpoint": {"at": 1}}, {"arrow": ROWS}, {"rows": ROWS[:1]})
    told = executable("source-shop", "read", config=config, catalog=catalog("members", "snapshot"))
    assert told.code == 0
    records = [(one["stream"], one["data"]) for one in told.of("RECORD")]
    assert records == [(stream, row) for stream in ("members", "snapshot") for row in (*ROWS, *ROWS, ROWS[0])]
    assert states(told) == [({"at": 1}, 2), ({"at": 1}, 3)] * 2
    status = ["STARTED", "RUNNING", "COMPLETE"]
    assert told.statuses == [("members", one) for one in status] + [("snapshot", one) for one in status]
    kinds = [message["type"] for message in told.messages]
    assert kinds[:4] == ["TRACE", "TRACE", "TRACE", "RECORD"]
    assert kinds[-2:] == ["STATE", "TRACE"]


def test_the_estimate_of_a_source_that_has_one(executable: Run, script: WriteScript, catalog: MakeCatalog) -> None:
    told = executable("source-shop", "read", config=script(), catalog=catalog("members", "snapshot"))
    estimates = [trace["estimate"] for trace in told.of("TRACE") if trace["type"] == "ESTIMATE"]
    assert estimates == [{"name": "members", "type": "STREAM", "row_estimate": 1_000}]


def test_a_stream_without_checkpoints_still_has_a_state(
    executable: Run, script: WriteScript, catalog: MakeCatalog
) -> None:
    told = executable("source-shop", "read", config=script(), catalog=catalog("snapshot"))
    assert states(told) == [({"__ab_no_cursor_state_message": True}, 0)]
    assert told.statuses == [("snapshot", "STARTED"), ("snapshot", "COMPLETE")]


@pytest.mark.parametrize(
    ("mode", "saved", "continues"),
    [
        ("incremental", {"at": 7}, True),
        ("full_refresh", {"at": 7}, False),
        ("incremental", {"__ab_no_cursor_state_message": True}, False),
        ("incremental", None, False),
    ],
)
@pytest.mark.parametrize("whole", [False, True])
def test_only_an_incremental_read_continues(
    mode: str, saved: Any, continues: bool, whole: bool, executable: Run, script: WriteScript, catalog: MakeCatalog
) -> None:
    entry = {"stream_descriptor": {"name": "members"}, "stream_state": saved}
    state = [{"type": "GLOBAL", "global": {"stream_states": [entry]}} if whole else {"type": "STREAM", "stream": entry}]
    told = executable("source-shop", "read", config=script(), catalog=catalog("members", sync_mode=mode), state=state)
    assert [one["data"] for one in told.of("RECORD")] == ([{"continued_from": saved}] if continues else [])


def test_our_own_states_are_a_state_file(executable: Run, script: WriteScript, catalog: MakeCatalog) -> None:
    config, chosen = script({"checkpoint": {"at": 3}}), catalog("members", sync_mode="incremental")
    told = executable("source-shop", "read", config=config, catalog=chosen)
    again = executable("source-shop", "read", config=config, catalog=chosen, state=told.of("STATE"))
    assert again.of("RECORD")[0]["data"] == {"continued_from": {"at": 3}}


def test_an_empty_legacy_state_is_no_state(executable: Run, script: WriteScript, catalog: MakeCatalog) -> None:
    told = executable("source-shop", "read", config=script(), catalog=catalog("members"), state={})
    assert told.code == 0


def test_values_that_json_cannot_hold_become_text(executable: Run, script: WriteScript, catalog: MakeCatalog) -> None:
    told = executable("source-shop", "read", config=script({"odd": True}), catalog=catalog("members"))
    (record,) = told.of("RECORD")
    assert record["data"] == {"huge": str(2**200), "lone": "?", "object": str(object), "nan": None, "set": [1]}


@pytest.mark.parametrize(
    ("step", "failure_type", "message"),
    [
        ({"config": "no shop"}, "config_error", "shop: no shop. Mend it"),
        ({"transient": "the shop is shut"}, "transient_error", "the shop is shut"),
        ({"bug": "ann@example.com"}, "system_error", "source-shop failed with ValueError; "),
        ({"config": "ann@example.com is wrong"}, "config_error", "shop: <email> is wrong. Mend it"),
    ],
)
def test_a_failure_is_one_trace(
    step: Any, failure_type: str, message: str, executable: Run, script: WriteScript, catalog: MakeCatalog
) -> None:
    config = script({"rows": ROWS}, {"checkpoint": {"at": 1}}, {"rows": ROWS}, step)
    told = executable("source-shop", "read", config=config, catalog=catalog("members", "snapshot"))
    assert told.code == 1
    assert told.error["failure_type"] == failure_type
    assert told.error["message"].startswith(message)
    assert "stack_trace" not in told.error
    assert b"ann@example.com" not in told.raw
    assert told.statuses[-1] == ("members", "INCOMPLETE")
    assert states(told) == [({"at": 1}, 2)], "the records after the checkpoint are not covered"


def test_an_unknown_stream_is_found_before_anything_is_read(
    executable: Run, script: WriteScript, catalog: MakeCatalog
) -> None:
    told = executable("source-shop", "read", config=script({"rows": ROWS}), catalog=catalog("members", "nothing"))
    assert told.error["message"] == "catalog: there is no stream nothing. Choose from: members, snapshot"
    assert told.of("RECORD") == []


def test_sigterm_ends_between_two_lines(
    start: Start,
    script: WriteScript,
    catalog: MakeCatalog,
    tmp_path: Path,
    told: Callable[[int, bytes], Told],
) -> None:
    process = begin_endless(start, script, catalog, tmp_path)
    first = process.stdout.read(100_000)
    process.send_signal(signal.SIGTERM)
    rest, stderr = process.communicate()
    heard = told(process.returncode, first + rest)
    assert heard.code == -signal.SIGTERM, "a client that ends us must not take it for a failure"
    assert heard.error["failure_type"] == "transient_error"
    assert heard.statuses[-1] == ("members", "INCOMPLETE")
    assert b"Traceback" not in stderr


def test_a_closed_stdout_ends_quietly(
    start: Start,
    script: WriteScript,
    catalog: MakeCatalog,
    tmp_path: Path,
) -> None:
    process = begin_endless(start, script, catalog, tmp_path)
    process.stdout.readline()
    process.stdout.close()
    process.stdin.close()
    assert process.wait() == 1
    assert set(process.stderr.read().splitlines()) <= {b"a connector that prints by itself"}


def begin_endless(start: Start, script: WriteScript, catalog: MakeCatalog, tmp_path: Path) -> Process:
    (tmp_path / "config.json").write_text(json.dumps(script({"endless": {"user_id": "x" * 1000}})))
    (tmp_path / "catalog.json").write_text(json.dumps(catalog("members")))
    files = ["--config", str(tmp_path / "config.json"), "--catalog", str(tmp_path / "catalog.json")]
    return start("shop", ["read", *files])
