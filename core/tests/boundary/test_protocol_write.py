"""`write`: STATE lines leave only after everything before them is taken; bad lines are named, never quoted."""

import hashlib
import json
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from cdp_bridge.protocol import audience, intake, writing

from .conftest import MakeCatalog, Run, Told

Send = Callable[..., Any]


def digest(email: str) -> str:
    return hashlib.sha256(email.encode()).hexdigest()


def record(number: int | None = None, /, *, stream: str = "vips", **data: Any) -> bytes:
    row = {"email": f"person{number}@example.com", **data} if number is not None else data
    return json.dumps({"type": "RECORD", "record": {"stream": stream, "data": row, "emitted_at": 1}}).encode()


def state_of(name: Any, value: Any = None) -> dict[str, Any]:
    stream = {"stream_descriptor": {"name": name}, "stream_state": value}
    return {"type": "STREAM", "stream": stream, "id": 7}


def state(value: Any, stream: str = "vips") -> bytes:
    return json.dumps({"type": "STATE", "state": state_of(stream, value)}).encode()


class Shelf:
    """Sends lines to destination-shelf and reads what it noted."""

    def __init__(self, run: Run, notes: Path, catalog: MakeCatalog) -> None:
        self._run, self._notes, self._catalog = run, notes, catalog

    def send(self, *lines: bytes, end: bytes = b"\n", streams: tuple[str, ...] = ("vips",), **settings: Any) -> Any:
        chosen = settings.pop("chosen", {})
        config = {"notes": str(self._notes), **settings}
        stdin = b"\n".join(lines) + end
        return self._run(
            "destination-shelf", "write", stdin=stdin, config=config, catalog=self._catalog(*streams, **chosen)
        )

    @property
    def notes(self) -> list[Any]:
        return [json.loads(line) for line in self._notes.read_text().splitlines()] if self._notes.exists() else []

    def emails(self, operation: str) -> list[str]:
        batches = [note for note in self.notes if note.get("operation") == operation]
        return [value for batch in batches for member in batch["members"] for value in member["email"]]


@pytest.fixture
def shelf(executable: Run, tmp_path: Path, catalog: MakeCatalog) -> Shelf:
    return Shelf(executable, tmp_path / "notes.jsonl", catalog)


def counts(told: Told) -> list[tuple[Any, float, float]]:
    stats = [(one["stream"]["stream_state"], one["destinationStats"]) for one in told.of("STATE")]
    return [(value, one["recordCount"], one["rejectedRecordCount"]) for value, one in stats]


def test_records_are_hashed_and_cut_into_batches(shelf: Shelf) -> None:
    told = shelf.send(*(record(i, first_name="Ann", unknown={"x": 1}) for i in range(7)), state({"at": 7}))
    assert told.code == 0
    assert counts(told) == [({"at": 7}, 7, 0)]
    ensured, *batches = shelf.notes
    assert ensured == {"ensure": "airbyte-vips", "name": "vips"}
    assert [(one["number"], one["last"], one["total"], len(one["members"])) for one in batches] == [
        (1, False, 7, 3),
        (2, False, 7, 3),
        (3, True, 7, 1),
    ]
    assert shelf.emails("add") == [digest(f"person{i}@example.com") for i in range(7)]
    assert all(member["first_name"] == [digest("ann")] for one in batches for member in one["members"])
    assert told.of("STATE")[0]["id"] == 7, "a state comes back as it came, plus counts"


def test_several_values_of_one_person(shelf: Shelf) -> None:
    shelf.send(record(email=["a@example.com", "B@example.com ", None, "a@example.com"]))
    told = shelf.send(record(email=["a@example.com", "B@example.com "]))
    assert told.code == 0
    assert digest("b@example.com") in shelf.emails("add")


def test_a_deleted_record_is_a_removal(shelf: Shelf) -> None:
    told = shelf.send(
        record(1), record(2, _ab_cdc_deleted_at="2026-01-01T00:00:00Z"), record(3, _ab_cdc_deleted_at=None)
    )
    assert told.code == 0
    assert shelf.emails("remove") == [digest("person2@example.com")]
    assert shelf.emails("add") == [digest("person1@example.com"), digest("person3@example.com")]


def test_membership_records_of_our_sources_need_no_mapping(shelf: Shelf) -> None:
    told = shelf.send(
        record(user_id="a", identifiers={"email": ["a@example.com"], "phone": [], "x": ["y"]}, traits={"city": "Rom"}),
        record(user_id="b", identifiers={"email": ["b@example.com"]}, traits={"email": "old@example.com"}),
        record(user_id="c", identifiers={"email": []}, traits={"email": "c@example.com"}),
        record(user_id="d", identifiers=["d@example.com"], traits=None),
        record(user_id="e", identifiers={"email": ["e@example.com"]}, is_member=False),
        state(1),
    )
    assert counts(told) == [(1, 4, 1)]
    assert shelf.emails("add") == [digest(f"{name}@example.com") for name in "abc"]
    assert shelf.emails("remove") == [digest("e@example.com")]
    members = [member for note in shelf.notes if note.get("operation") == "add" for member in note["members"]]
    assert members[0]["city"] == [digest("rom")]


def test_a_removal_that_is_not_offered_is_a_rejected_record(shelf: Shelf) -> None:
    told = shelf.send(record(1), record(2, _ab_cdc_deleted_at="now"), state(1), add_only=True)
    assert counts(told) == [(1, 1, 1)]
    assert "remove_not_offered" in told.raw.decode()


@pytest.mark.parametrize("chosen", [{"primary_key": [["id"]]}, {}], ids=["primary key", "user id"])
def test_the_last_record_of_a_person_counts(chosen: Any, shelf: Shelf) -> None:
    key = "id" if chosen else "user_id"
    first: dict[str, Any] = {key: 1}
    second: dict[str, Any] = {key: 2}
    gone: dict[str, Any] = {key: 1, "_ab_cdc_deleted_at": "now"}
    told = shelf.send(record(1, **first), record(2, **second), record(1, **gone), state(1), chosen=chosen)
    assert shelf.emails("add") == [digest("person2@example.com")]
    assert shelf.emails("remove") == [digest("person1@example.com")]
    assert counts(told) == [(1, 3, 0)]


def test_records_without_a_usable_identifier_are_rejected_records(shelf: Shelf) -> None:
    useless = [
        record(),
        record(email="no address"),
        record(email={"a": 1}),
        record(first_name="Ann"),
        record(email=None),
    ]
    told = shelf.send(*useless, record(1), state(1))
    assert told.code == 0
    assert counts(told) == [(1, 1, 5)]
    assert "no address" not in told.raw.decode()


def test_refusals_by_the_platform_are_rejected_records(shelf: Shelf) -> None:
    refuse = [digest("person2@example.com")]
    told = shelf.send(record(1), record(2), state(1), record(3), state(2), refuse=refuse)
    assert counts(told) == [(1, 1, 1), (2, 1, 0)]
    assert "1 records rejected: shelf:refused" in told.raw.decode()


def test_a_refused_batch_is_cut_until_the_culprit_is_alone(shelf: Shelf) -> None:
    told = shelf.send(*(record(i) for i in range(9)), state(1), choke=digest("person4@example.com"))
    assert counts(told) == [(1, 8, 1)]
    assert sorted(shelf.emails("add")) == sorted(digest(f"person{i}@example.com") for i in range(9) if i != 4)


def test_doubt_is_said(shelf: Shelf) -> None:
    told = shelf.send(record(1), state(1), doubt=True)
    assert counts(told) == [(1, 1, 0)]
    assert "did not say which of 1 records it took" in told.raw.decode()


def test_a_pending_batch_is_settled_before_its_state_leaves(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audience, "SETTLE_SECONDS", 0.0)
    told = shelf.send(record(1), state(1), pending=2)
    assert counts(told) == [(1, 1, 0)]
    assert [note for note in shelf.notes if "settle" in note] == [{"settle": "later"}] * 2


def test_a_platform_that_takes_hours_has_the_batch_and_is_not_waited_for(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audience, "SETTLE_SECONDS", 0.0)
    told = shelf.send(record(1), state(1), pending=10_000)
    assert counts(told) == [(1, 1, 0)]
    assert len([note for note in shelf.notes if "settle" in note]) == audience.SETTLE_ATTEMPTS
    assert "did not say which of 1 records it took" in told.raw.decode()


def test_states_leave_in_order_and_only_after_their_records(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "RECORDS_AT_ONCE", 2)
    lines = [line for i in range(5) for line in (record(i), state(i))]
    told = shelf.send(*lines, fail_at=2)
    assert told.code == 1
    assert told.error == {"message": "the shelf is closed. Open it", "failure_type": "config_error"}
    assert counts(told) == [(0, 1, 0)], "the state after record 1 was not there yet when records 0 and 1 were taken"


def test_a_state_does_not_wait_for_ever(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "SECONDS_AT_MOST", 0.0)
    told = shelf.send(record(1), state(1), record(2), state(2), fail_at=2)
    assert counts(told) == [(1, 1, 0)]


def test_bytes_also_start_a_delivery(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "BYTES_AT_ONCE", 1)
    shelf.send(record(1), record(2))
    assert [note["total"] for note in shelf.notes if "total" in note] == [1, 1]


def test_streams_have_their_own_audiences_and_counts(shelf: Shelf) -> None:
    told = shelf.send(
        record(1, stream="a"),
        record(2, stream="b"),
        record(3, stream="b"),
        state(1, "b"),
        state(2, "a"),
        streams=("a", "b"),
    )
    assert [note["ensure"] for note in shelf.notes if "ensure" in note] == ["airbyte-a", "airbyte-b"]
    assert counts(told) == [(1, 2, 0), (2, 1, 0)]


@pytest.mark.parametrize("body", [{"type": "GLOBAL", "global": {"stream_states": []}}, {"data": {"x": 1}}])
def test_a_state_of_everything_covers_every_stream(body: Any, shelf: Shelf) -> None:
    records = record(1, stream="a"), record(2, stream="b"), record(stream="b")
    told = shelf.send(*records, json.dumps({"type": "STATE", "state": body}).encode(), streams=("a", "b"))
    (back,) = told.of("STATE")
    assert back["destinationStats"] == {"recordCount": 2.0, "rejectedRecordCount": 1.0}


def test_a_namespace_is_part_of_the_name(shelf: Shelf, executable: Run, catalog: MakeCatalog, tmp_path: Path) -> None:
    chosen = catalog("vips")
    chosen["streams"][0]["stream"]["namespace"] = "shop"
    line = json.loads(record(1))
    line["record"]["namespace"] = "shop"
    config = {"notes": str(tmp_path / "notes.jsonl")}
    told = executable("destination-shelf", "write", config=config, catalog=chosen, stdin=json.dumps(line).encode())
    assert told.code == 0
    assert shelf.notes[0] == {"ensure": "airbyte-shop.vips", "name": "shop.vips"}


def test_nothing_to_write_touches_nothing(shelf: Shelf) -> None:
    told = shelf.send(b"", state(1))
    assert counts(told) == [(1, 0, 0)]
    assert shelf.notes == []


def test_overwrite_is_answered_with_a_warning(shelf: Shelf) -> None:
    told = shelf.send(record(1), chosen={"destination_sync_mode": "overwrite"})
    assert told.code == 0
    assert [(log["level"], "overwrite is not offered" in log["message"]) for log in told.of("LOG")] == [("WARN", True)]


def test_an_object_that_is_not_there_is_a_config_error(shelf: Shelf) -> None:
    told = shelf.send(record(1), chosen={"destination_object_name": "table"})
    assert told.error["message"] == (
        "catalog: the stream vips has no object to go to. Choose a destination object of: audience, orders"
    )


PERSON = "ann.canary@example.com"
BAD_LINES = {
    "no json": b'{"type": "RECORD", ' + PERSON.encode(),
    "broken utf-8": record(email=PERSON).replace(b"ann", b"\xff\xfe"),
    "depth bomb": b'{"type":"RECORD","record":{"stream":"vips","data":{"a":' + b"[" * 200_000 + PERSON.encode(),
    "depth bomb in a field we do not read": b'{"type":"LOG","log":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    "an array": b"[1]",
    "no type": b'{"record": {"stream": "vips", "data": {}}}',
    "a record without content": b'{"type": "RECORD"}',
    "a state without content": b'{"type": "STATE"}',
    "data that is no object": b'{"type":"RECORD","record":{"stream":"vips","data":"' + PERSON.encode() + b'"}}',
    "a stream that is not in the catalog": record(email=PERSON, stream=PERSON),
    "a state of another stream": state({"at": PERSON}, stream=PERSON),
    "a state of nothing": b'{"type":"STATE","state":{"type":"STREAM","stream":5}}',
    "a state with a list for a name": json.dumps({"type": "STATE", "state": state_of([])}).encode(),
    "only zero bytes": b"\x00\x00",
}


@pytest.mark.parametrize("line", BAD_LINES.values(), ids=BAD_LINES)
def test_a_bad_line_is_named_and_never_quoted(line: bytes, shelf: Shelf) -> None:
    told = shelf.send(record(1), state(1), line, record(2), state(2))
    assert told.code == 1
    assert told.error["failure_type"] == "config_error"
    assert told.error["message"].startswith("line 3 of the input: ")
    assert b"canary" not in told.raw
    assert counts(told) == [(1, 1, 0)], "what came before the bad line stands"
    assert shelf.emails("add") == [digest("person1@example.com")], "nothing after it is written"


@pytest.mark.parametrize("value", [b"NaN", b"1e400", b'"\\ud800"', b'"\\udc00 and more"'])
def test_what_is_almost_json_does_not_lose_the_record(value: bytes, shelf: Shelf) -> None:
    line = b'{"type":"RECORD","record":{"stream":"vips","data":{"email":"a@example.com","x":' + value + b"}}}"
    told = shelf.send(line, state(1))
    assert (told.code, counts(told), shelf.emails("add")) == (0, [(1, 1, 0)], [digest("a@example.com")])


def test_a_line_beyond_all_measure_is_a_bad_line(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "MAX_LINE_BYTES", 1_000)
    told = shelf.send(record(1), record(2, note="x" * 1_000))
    assert "line 2 of the input: is longer than 1000 bytes" in told.error["message"]


def test_a_line_of_two_million_characters_is_fine(shelf: Shelf) -> None:
    told = shelf.send(record(1, note="x" * 2_000_000), record(email="y" * 2_000_000), state(1))
    assert (told.code, counts(told)) == (0, [(1, 1, 1)])


def test_of_a_key_given_twice_the_last_value_counts(shelf: Shelf) -> None:
    line = b'{"type":"RECORD","record":{"stream":"vips","data":{"email":"a@example.com","email":"b@example.com"}}}'
    assert shelf.send(line).code == 0
    assert shelf.emails("add") == [digest("b@example.com")]


def test_other_messages_and_blank_lines_are_passed_over(shelf: Shelf) -> None:
    others = [b'{"type":"LOG","log":{"level":"INFO","message":"x"}}', b'{"type":"NEWS","news":[1]}', b"", b"  \r"]
    trace = b'{"type":"TRACE","trace":{"type":"STREAM_STATUS","emitted_at":1.0}}'
    told = shelf.send(*others, record(1), trace, state(1))
    assert (told.code, counts(told)) == (0, [(1, 1, 0)])


def test_the_last_line_needs_no_newline(shelf: Shelf) -> None:
    assert counts(shelf.send(record(1), state(1), end=b"")) == [(1, 1, 0)]


def test_huge_numbers_and_hostile_keys_do_no_harm(shelf: Shelf) -> None:
    line = (
        b'{"type":"RECORD","record":{"stream":"vips","data":{"user_id":'
        + b"9" * 400
        + b',"phone":1e400,"":1,"a.b":2}}}'
    )
    told = shelf.send(line, record(1, external_id=2**70, phone=15550100), state(1))
    assert told.code in (0, 1)
    assert b"Traceback" not in told.raw


def test_sigterm_loses_no_acknowledged_state(
    start: Callable[[str, Sequence[str]], subprocess.Popen[bytes]],
    catalog: MakeCatalog,
    tmp_path: Path,
    told: Callable[[int, bytes], Told],
) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"notes": str(tmp_path / "notes")}))
    (tmp_path / "catalog.json").write_text(json.dumps(catalog("vips")))
    files = ["--config", str(tmp_path / "config.json"), "--catalog", str(tmp_path / "catalog.json")]
    process = start("shelf", ["write", *files])
    lines = [line for i in range(writing.RECORDS_AT_ONCE) for line in ([state(0)] if i == 5 else []) + [record(i)]]
    assert process.stdin
    assert process.stdout
    process.stdin.write(b"\n".join(lines) + b"\n")
    process.stdin.flush()
    acknowledged = process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    rest, stderr = process.communicate()
    heard = told(process.returncode, acknowledged + rest)
    assert heard.code == -signal.SIGTERM, "a client that ends us must not take it for a failure"
    assert counts(heard) == [(0, 5, 0)]
    assert heard.error["failure_type"] == "transient_error"
    assert b"Traceback" not in stderr


def test_conversions_are_tracked_by_event_id(shelf: Shelf) -> None:
    orders = [
        {"event_id": f"e{n}", "event_name": "purchase", "occurred_at": f"{time.time():.0f}", "value": "9.5"}
        for n in range(3)
    ]
    lines = [record(n, **order) for n, order in enumerate(orders)]
    lines += [record(0, **orders[0] | {"value": "10"}), record(5, event_name="purchase"), record(**orders[1])]
    told = shelf.send(*lines, state(1), chosen={"destination_object_name": "orders"})
    assert (told.code, counts(told)) == (0, [(1, 3, 3)])
    sent = [(event["event_id"], event["value"]) for note in shelf.notes for event in note["events"]]
    assert sorted(sent) == [("e0", 10), ("e2", 9.5)]
    assert [(note["operation"], note["last"]) for note in shelf.notes] == [("track", True)]
    assert shelf.emails("track") == [digest(f"person{n}@example.com") for n in (2, 0)]
