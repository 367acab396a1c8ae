"""The MUSTs of a destination's executable: what comes on stdin (39), and in which form it leaves (41)."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote_plus

import pytest

from cdp_bridge.identity import CLEAR
from cdp_bridge.testing import executable
from cdp_bridge.testing.bench import DestinationBench
from cdp_bridge.testing.executable import Ended, Executable
from cdp_bridge.testing.hostile_streams import HOSTILE_STREAMS, Item, State, lines
from cdp_bridge.testing.people import fields, hidden

_PEOPLE = range(12)


class LineSuite:
    """What every destination does with the lines that its executable gets."""

    @pytest.mark.parametrize("stream", HOSTILE_STREAMS)
    def test_must_39_any_stream_is_taken(self, bench: DestinationBench, tmp_path: Path, stream: str) -> None:
        """The executable ends well, answers each STATE, and counts each record as accepted or rejected."""
        items = HOSTILE_STREAMS[stream]
        ended = _write(bench, tmp_path, stream, lines(stream, items))
        errors = [trace["error"]["message"] for trace in ended.of("TRACE") if trace["type"] == "ERROR"]
        assert ended.code == 0, f"exit code {ended.code}: {errors}"
        said = [*(log["message"] for log in ended.of("LOG")), ended.stderr]
        assert not any("Traceback" in text for text in said), "a stack trace was printed"
        sent = [item for item in items if isinstance(item, State)]
        answered = ended.of("STATE")
        bare = [{name: part for name, part in one.items() if name != "destinationStats"} for one in answered]
        assert bare == [state.message(stream) for state in sent], "not each STATE was answered as it came, in its order"
        counts = [one["destinationStats"] for one in answered]
        counted = [one["recordCount"] + one["rejectedRecordCount"] for one in counts]
        assert counted == _since_last(items), "accepted + rejected are not the records sent since the last STATE"

    def test_must_41_nothing_leaves_in_clear(self, bench: DestinationBench, tmp_path: Path) -> None:
        """Neither on the wire nor at the platform is a value of those that the profile hashes."""
        bench.work()
        people = executable.records("people", [fields(person) for person in _PEOPLE])
        ended = _write(bench, tmp_path, "people", people)
        assert ended.code == 0, f"exit code {ended.code}: {ended.of('TRACE')}"
        private = {value for person in _PEOPLE for value in hidden(person, bench.stream.profile or CLEAR)}
        for request in bench.relay.requests if bench.relay else ():
            text = f"{request.path} {dict(request.headers)} {request.body.decode(errors='replace')}"
            assert not _found(private, text), (
                f"{request.method} {request.path.partition('?')[0]} holds a value in clear"
            )
        for audience in bench.twin.audiences():
            held = " ".join(value for member in bench.twin.members(audience) for value in member)
            assert not _found(private, held), "the platform holds a value in clear that the profile hashes"


def _write(bench: DestinationBench, folder: Path, stream: str, stdin: bytes) -> Ended:
    chosen = executable.catalog(stream, destination_object_name=bench.stream.name)
    return Executable(bench.connector, folder).here("write", stdin, config=bench.raw, catalog=chosen)


def _since_last(items: list[Item]) -> list[int]:
    """How many records precede each STATE since the one before."""
    states = [place for place, item in enumerate(items) if isinstance(item, State)]
    return [place - before - 1 for before, place in zip([-1, *states], states, strict=False)]


def _found(private: set[str], text: str) -> bool:
    plain = unquote_plus(text).lower()
    return any(value in plain for value in private)
