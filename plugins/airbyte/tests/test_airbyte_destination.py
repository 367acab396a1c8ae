"""Batches as RECORD lines, and when they count as delivered."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airbyte_connectors import bridge_connectors
from airbyte_connectors import destination as airbyte
from airbyte_connectors.settings import DestinationSettings
from cdp_bridge import settings as checked
from cdp_bridge.sdk import Audience, Batch, ConfigError, Outcome, TransientError

from .conftest import LoadDestination
from .lines import Json, log, trace_error

Load = Callable[..., Any]
Given = Callable[[], list[Json]]
A, B = b"\x01" * 16, b"\x02" * 16
HASH, OTHER_HASH = "0f" * 32, "1e" * 32
CONFIRM = "!for line in note['stdin']:\n  if line['type'] == 'STATE': print(json.dumps(line), flush=True)"
REFUSE = CONFIRM.replace("print", "line['state']['destinationStats'] = {'rejectedRecordCount': 1.0}; print")
OTHER = CONFIRM.replace("print", "line['state']['stream']['stream_state'] = {'position': 'x'}; print")


def write(settings: Any, operation: Any = "add", marker: str = "vip") -> Outcome:
    identifiers = {"email": [[HASH], []], "phone": [[], [HASH, OTHER_HASH]]}
    with airbyte.open(settings) as writer:
        ref = writer.ensure(Audience(marker=marker, name="VIP"))
        return writer.write(Batch(audience=ref, operation=operation, keys=[A, B], identifiers=identifiers))


def test_a_batch_becomes_records_then_a_state_then_the_end_of_the_stream(
    destination: LoadDestination, given: Given
) -> None:
    assert write(destination(write=[CONFIRM]), "remove") == Outcome()
    ((call),) = given()
    (chosen,) = call["files"]["catalog"]["streams"]
    stream = chosen["stream"]["name"]
    first, second, state, end = call["stdin"]
    common = {"operation": "remove", "audience": stream}
    assert first["record"]["data"] == common | {"key": A.hex(), "email": [HASH], "phone": []}
    assert second["record"]["data"] == common | {"key": B.hex(), "email": [], "phone": [HASH, OTHER_HASH]}
    assert set(chosen["stream"]["json_schema"]["properties"]) == set(first["record"]["data"])
    assert {first["record"]["stream"], second["record"]["stream"]} == {stream}
    assert state["state"]["sourceStats"] == {"recordCount": 2.0}
    assert end["trace"]["stream_status"] == {"stream_descriptor": {"name": stream}, "status": "COMPLETE"}
    assert chosen["destination_sync_mode"] == "append"


@pytest.mark.parametrize(
    ("says", "error", "text"),
    [
        ([], TransientError, "ended without confirming"),
        ([OTHER], TransientError, "ended without confirming"),
        ([CONFIRM, "!sys.exit(1)"], ConfigError, "ended with exit code 1"),
        ([CONFIRM, "!os.kill(os.getpid(), 15)"], TransientError, "ended by SIGTERM"),
        ([CONFIRM, trace_error("disk full", "transient_error")], TransientError, "^source-scripted: disk full$"),
        ([trace_error("no table", "config_error"), CONFIRM], ConfigError, "^source-scripted: no table"),
    ],
)
def test_what_is_not_confirmed_to_the_end_is_not_delivered(
    destination: LoadDestination, says: Any, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        write(destination(write=says))


def test_of_a_batch_with_refused_records_nobody_is_known_to_be_in(destination: LoadDestination) -> None:
    assert write(destination(write=[REFUSE])) == Outcome(unknown=frozenset({A, B}))


def test_a_destination_that_talks_while_it_reads_keeps_nobody_waiting(destination: LoadDestination) -> None:
    chatter = f"!for number in range(5_000): print(json.dumps({log('working ' * 20)!r}))"
    assert write(destination(write=[chatter, CONFIRM])) == Outcome()


def test_audiences_have_streams_of_their_own_under_names_that_any_destination_takes(
    destination: LoadDestination,
) -> None:
    settings = destination()
    with airbyte.open(settings) as writer:
        markers = ["vip", "VIP-1", "a.b", "a_b", "é", "long" * 99, "long" * 98]
        names = {writer.ensure(Audience(marker=marker, name="x")).id for marker in markers}
        again = {writer.ensure(Audience(marker=marker, name="y")).id for marker in markers}
    assert len(names) == len(markers)
    assert names == again
    assert all(name.isascii() and name.isidentifier() and len(name) < 64 for name in names)


def test_another_config_is_another_account_and_fills_streams_of_its_own(destination: LoadDestination) -> None:
    refs = []
    for more in ({"config": {"host": "a", "port": 1}}, {"config": {"port": 1, "host": "a"}}, {"config": {"host": "b"}}):
        with airbyte.open(destination(more)) as writer:
            refs.append(writer.ensure(Audience(marker="vip", name="VIP")))
    same, also_same, other = refs
    assert same == also_same
    assert (same.id != other.id, same.account != other.account) == (True, True)


def test_discover_names_the_chosen_profile_and_check_asks_the_connector(destination: LoadDestination) -> None:
    settings = destination({"profile": "google"})
    (audience,) = airbyte.discover(settings).streams
    assert (audience.profile, audience.operations) == ("google", ("add", "remove"))
    passed = [probe.name for probe in airbyte.check(settings) if probe.passed]
    assert passed == ["connector", "spec", "config", "connection"]


def test_ours_is_one_of_them(tmp_path: Path) -> None:
    command = str(Path(sys.executable).parent / "destination-file")
    raw = {"connector": {"type": "executable", "command": command}, "config": {"path": str(tmp_path / "out")}}
    assert write(checked.load(DestinationSettings, raw)) == Outcome()
    (file,) = (tmp_path / "out").glob("*/*.jsonl")
    first, second = map(json.loads, file.read_text().splitlines())
    assert (first["email"], second["phone"]) == ([HASH], [HASH, OTHER_HASH])


def test_the_package_announces_both() -> None:
    assert [(one.name, one.kind, one.delivery) for one in bridge_connectors()] == [
        ("source-airbyte", "source", "idempotent"),
        ("destination-airbyte", "destination", "append"),
    ]
