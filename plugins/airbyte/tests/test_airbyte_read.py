"""Records as pages, STATE as checkpoints and back, membership, and no extract that only looks complete."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airbyte_connectors import source as airbyte
from airbyte_connectors.settings import SourceSettings
from cdp_bridge import settings as checked
from cdp_bridge.sdk import Checkpoint, ConfigError, Page, ReadRequest, TransientError

from .conftest import Lines, LoadSource
from .lines import Json, offers, record, state, status, trace_error, users

Load = Callable[..., Any]
Given = Callable[[], list[Json]]
PEOPLE = [record(id=1, plan="gold"), record(id=2, plan=["free", "gold"]), record(id=3, plan="free"), record(id=4)]


def read(settings: Any, stream: str = "users", **request: Any) -> list[Page | Checkpoint]:
    return list(airbyte.read(settings, ReadRequest(stream=stream, **request)))


def rows(items: list[Page | Checkpoint]) -> list[Any]:
    return [row for item in items if isinstance(item, Page) for row in item.records]


def test_records_become_pages_and_a_checkpoint_comes_after_what_it_covers(source: LoadSource) -> None:
    said: Lines = [record(id=1), record("others", id=9), state({"at": 1}), record(id=2), status(), "noise"]
    assert read(source(read=said)) == [
        Page("users", [{"id": 1}]),
        Checkpoint("users", {"type": "STREAM", "stream": state({"at": 1})["state"]["stream"]}),
        Page("users", [{"id": 2}]),
    ]


def test_pages_are_bounded(source: LoadSource) -> None:
    flood = f"!print((json.dumps({record(id=1)!r}) + '\\n') * {airbyte.ROWS * 2 + 1}, end='')"
    assert [len(page.records) for page in read(source(read=[flood, status()])) if isinstance(page, Page)] == [
        5_000,
        5_000,
        1,
    ]


@pytest.mark.parametrize(
    ("said", "state_file"),
    [
        ({"type": "STREAM", "stream": {"stream_descriptor": {"name": "users"}, "stream_state": {"at": 1}}}, ...),
        ({"type": "GLOBAL", "global": {"shared_state": {"lsn": 7}, "stream_states": []}}, ...),
        ({"type": "LEGACY", "data": {"users": {"at": 1}}}, {"users": {"at": 1}}),
        ({"data": {"users": {"at": 1}}}, {"users": {"at": 1}}),
    ],
)
def test_a_state_comes_back_as_it_was_said(source: LoadSource, given: Given, said: Json, state_file: Any) -> None:
    settings = source(read=[{"type": "STATE", "state": said | {"sourceStats": {"recordCount": 0.0}}}, status()])
    (checkpoint,) = read(settings)
    assert isinstance(checkpoint, Checkpoint)
    read(settings, checkpoint=checkpoint.state)
    assert "state" not in given()[1]["files"]
    assert given()[-1]["files"]["state"] == ([said] if state_file is ... else state_file)


@pytest.mark.parametrize("value", [{}, None, {"__ab_no_cursor_state_message": True}])
def test_a_state_that_leads_nowhere_is_no_checkpoint(source: LoadSource, value: Any) -> None:
    assert read(source(read=[state(value), status()])) == []


@pytest.mark.parametrize(
    ("stream", "mode"),
    [
        (users(), "incremental"),
        (users(supported_sync_modes=["full_refresh"]), "full_refresh"),
        (users(source_defined_cursor=None, default_cursor_field=None), "full_refresh"),
        (users(source_defined_cursor=True, default_cursor_field=None), "incremental"),
    ],
)
def test_only_a_stream_that_can_tell_what_changed_is_read_incrementally(
    source: LoadSource, given: Given, stream: Json, mode: str
) -> None:
    items = read(source(discover=[offers(stream)], read=[state({"at": 1}), status()]))
    (chosen,) = given()[-1]["files"]["catalog"]["streams"]
    assert (chosen["sync_mode"], chosen["destination_sync_mode"]) == (mode, "append")
    assert [chosen["stream"][name] for name in ("name", "json_schema")] == [stream["name"], stream["json_schema"]]
    assert len(items) == (mode == "incremental")


def test_a_change_is_not_asked_of_a_stream_that_cannot_tell(source: LoadSource) -> None:
    settings = source(discover=[offers(users(supported_sync_modes=["full_refresh"]))], read=[status()])
    with pytest.raises(ConfigError, match=r"stream users: cannot tell what changed any more\. Set incremental: false"):
        read(settings, checkpoint={"type": "STREAM", "stream": {}})


@pytest.mark.parametrize(
    ("members", "checkpoint", "expected"),
    [
        ({"stream": "users"}, None, {1: True, 2: True, 3: True, 4: True}),
        ({"stream": "users", "segment_field": "plan"}, None, {1: True, 2: True}),
        ({"stream": "users", "segment_field": "plan"}, {}, {1: True, 2: True, 3: False, 4: False, 5: False}),
        ({"stream": "users"}, {}, {1: True, 2: True, 3: True, 4: True, 5: False}),
    ],
)
def test_who_is_in(source: LoadSource, members: Json, checkpoint: Json | None, expected: dict[int, bool]) -> None:
    deleted = record(id=5, plan="gold", _ab_cdc_deleted_at="2026-01-01T00:00:00Z")
    asked = checkpoint if checkpoint is None else {"type": "STREAM", "stream": {}}
    items = read(source({"members": members}, read=[*PEOPLE, deleted, status()]), segment="gold", checkpoint=asked)
    assert {row["id"]: row["is_member"] for row in rows(items)} == expected


@pytest.mark.parametrize("said", [[], PEOPLE[2:]], ids=["nobody at all", "others"])
def test_a_segment_that_no_record_names_is_not_taken_for_an_empty_one(source: LoadSource, said: Any) -> None:
    settings = source({"members": {"stream": "users", "segment_field": "plan"}}, read=[*said, state({}), status()])
    with pytest.raises(ConfigError, match=r"members.segment_field: no record of users names the segment gold\. Check"):
        read(settings, segment="gold")
    changes = rows(read(settings, segment="gold", checkpoint={"type": "STREAM", "stream": {}}))
    assert [row["is_member"] for row in changes] == [False] * len(said)


def test_what_a_record_says_of_itself_counts_too(source: LoadSource) -> None:
    said = [record(id=1, is_member=False), record(id=2, is_member=True), status()]
    assert [row["is_member"] for row in rows(read(source({"members": {"stream": "users"}}, read=said)))] == [
        False,
        True,
    ]


def test_other_streams_stay_as_they_are(source: LoadSource) -> None:
    settings = source(
        {"members": {"stream": "users"}},
        discover=[offers(users(), users(name="orders"))],
        read=[record("orders", id=1), status("orders")],
    )
    assert rows(read(settings, "orders")) == [{"id": 1}]


GLOBAL: Json = {"type": "STATE", "state": {"type": "GLOBAL", "global": {"shared_state": {"lsn": 7}}}}
INCOMPLETE: list[tuple[list[Json | str], type[Exception], str]] = [
    ([], TransientError, "without saying that the stream users is complete"),
    ([status(status="INCOMPLETE")], TransientError, "without saying that the stream users is complete"),
    ([status("others")], TransientError, "without saying"),
    ([status(namespace="crm")], TransientError, "without saying"),
    ([status(), "!sys.exit(2)"], ConfigError, "source-scripted: ended with exit code 2"),
    ([status(), "!os.kill(os.getpid(), 9)"], TransientError, "was ended by SIGKILL"),
    ([trace_error("bad key", "config_error"), status()], ConfigError, r"^source-scripted: bad key\. Check config"),
    ([trace_error("busy.", "transient_error"), status()], TransientError, "^source-scripted: busy$"),
    ([trace_error("oops\nTraceback of Ann", "system_error"), status()], ConfigError, r"oops\. Look at its log"),
    ([trace_error(""), status()], ConfigError, "it did not say why it failed"),
    (['{"type": "RECORD", "record": {"stream": "users", "da', status()], ConfigError, "line 2: is no message"),
    (
        [{"type": "RECORD", "record": {"stream": "users", "data": "Ann"}}, status()],
        ConfigError,
        "line 2: is no message",
    ),
    (["progress 50 %" + json.dumps(record(id="Ann")), status()], ConfigError, "line 2: has a message .* among other"),
    (["\x1b[32m" + json.dumps(status()), status()], ConfigError, "line 2: has a message .* among other text"),
    (['[{"record": null, "type" : "RECORD"}]', status()], ConfigError, "line 2: has a message"),
    ([json.dumps(record(id="Ann")) + " done", status()], ConfigError, "line 2: is no message"),
    ([{"type": "RECORD"}, status()], ConfigError, "line 2: is a RECORD without its content"),
    ([{"type": "STATE", "state": None}, status()], ConfigError, "line 2: is a STATE without its content"),
    ([state({"at": 1}, count=2.0), status()], TransientError, "printed 2 records of the stream users .* 1 arrived"),
    ([state({"at": 1}, count=0), status()], TransientError, "printed 0 records of the stream users .* 1 arrived"),
    (
        [{"type": "STATE", "state": GLOBAL["state"] | {"sourceStats": {"recordCount": 3.0}}}, status()],
        TransientError,
        "printed 3 records of all .* 1 arr",
    ),
    (
        [state({}, count=1.0), record(id=2), record("others", id=9), state({}, "others", 1.0), state({}, count=2.0)],
        TransientError,
        "printed 2 records of the stream users before a STATE, and 1 arrived",
    ),
]


@pytest.mark.parametrize(("said", "error", "text"), INCOMPLETE)
def test_an_extract_that_is_not_complete_raises(
    source: LoadSource, said: Any, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text) as raised:
        read(source(read=[record(id=1), *said]))
    assert "Ann" not in str(raised.value)


def test_what_was_counted_and_arrived_is_taken(source: LoadSource) -> None:
    said: Lines = [
        record(id=1),
        record("others", id=9),
        state({"at": 1}, count=1.0),
        *(record(id=number) for number in (2, 3)),
        state({}, "others", 1),
        state({"at": 2}, count=2),
        record(id=4),
        "a line that says type: RECORD",
        state({"at": 3}),
        state({"at": 4}, count=0.0),
        record("others", id=8),
        record(id=5),
        {"type": "STATE", "state": GLOBAL["state"] | {"sourceStats": {"recordCount": 2.0}}},
        status(),
    ]
    assert [row["id"] for row in rows(read(source(read=said)))] == [1, 2, 3, 4, 5]


def test_a_byte_order_mark_is_no_text_before_the_message(source: LoadSource) -> None:
    assert rows(read(source(read=["\ufeff" + json.dumps(record(id=1)), status()]))) == [{"id": 1}]


def test_namespaces_tell_streams_apart(source: LoadSource) -> None:
    said = [
        record(id=1),
        {**record(), "record": record(id=2)["record"] | {"namespace": "crm"}},
        status(namespace="crm"),
    ]
    settings = source(discover=[offers(users(), users(namespace="crm"))], read=said)
    assert [stream.name for stream in airbyte.discover(settings).streams] == ["users", "crm.users"]
    assert rows(read(settings, "crm.users")) == [{"id": 2}]


def test_discover_translates_what_is_offered(source: LoadSource) -> None:
    nested = users(
        name="orders", source_defined_primary_key=[["id"], ["meta", "shop"]], supported_sync_modes=["full_refresh"]
    )
    settings = source({"members": {"stream": "users"}}, discover=[offers(users(), nested)])
    people, orders = airbyte.discover(settings).streams
    assert (people.primary_key, people.cursor_field, people.membership) == (("id",), "updated_at", True)
    assert people.schema == users()["json_schema"]
    assert (orders.primary_key, orders.cursor_field, orders.membership) == (("id", "meta.shop"), None, False)


def test_a_stream_that_is_not_offered(source: LoadSource) -> None:
    with pytest.raises(ConfigError, match=r"there is no stream nothing\. Choose from: users"):
        read(source(), "nothing")


def test_ours_is_one_of_them(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("user_id,email\n1,ann@example.com\n2,bob@example.com\n")
    command = str(Path(sys.executable).with_name("source-file"))
    raw = {
        "connector": {"type": "executable", "command": command},
        "config": {"path": str(tmp_path / "people.csv")},
        "members": {"stream": "members"},
    }
    items = read(checked.load(SourceSettings, raw), "members", segment="all")
    assert [(row["user_id"], row["is_member"]) for row in rows(items)] == [("1", True), ("2", True)]
