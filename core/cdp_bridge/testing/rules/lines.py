"""The MUSTs of a destination's executable: what comes on stdin (39), and in which form it leaves (41)."""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path
from urllib.parse import unquote_plus

import pytest

from cdp_bridge.identity import CLEAR
from cdp_bridge.testing import executable
from cdp_bridge.testing.executable import Completed, Executable
from cdp_bridge.testing.harness import DestinationHarness
from cdp_bridge.testing.people import fields, hidden
from cdp_bridge.testing.rules.hostile_streams import HOSTILE_STREAMS, Item, State, lines

_PEOPLE = range(12)
_RUN = "let `main` be partial(run, CONNECTOR) of the sdk, which does this"
_HASHED = "send the values of Batch.identifiers as they are"


class LineSuite:
    """What every destination does with the lines that its executable gets."""

    @pytest.mark.parametrize("stream", HOSTILE_STREAMS)
    def test_must_39_any_stream_is_taken(self, harness: DestinationHarness, tmp_path: Path, stream: str) -> None:
        """The executable takes any stream: exit code 0, each STATE answered, each record accepted or rejected."""
        items = HOSTILE_STREAMS[stream]
        completed = _write(harness, tmp_path, stream, lines(stream, items))
        errors = [trace["error"]["message"] for trace in completed.of("TRACE") if trace["type"] == "ERROR"]
        assert completed.code == 0, f"exit code {completed.code}; take the stream, reject what is wrong in it: {errors}"
        texts = [*(log["message"] for log in completed.of("LOG")), completed.stderr]
        assert not any("Traceback" in text for text in texts), (
            "a stack trace was printed; raise a ConfigError, TransientError or RejectedError"
        )
        sent = [item for item in items if isinstance(item, State)]
        answered = completed.of("STATE")
        bare = [{name: part for name, part in state.items() if name != "destinationStats"} for state in answered]
        expected = [state.message(stream) for state in sent]
        wrong = next(((want, got) for want, got in zip_longest(expected, bare) if want != got), None)
        assert wrong is None, f"expected the STATE {wrong and wrong[0]}, got {wrong and wrong[1]}; {_RUN}"
        counts = [state["destinationStats"] for state in answered]
        counted = [count["recordCount"] + count["rejectedRecordCount"] for count in counts]
        since = _since_last(items)
        assert counted == since, f"expected {since} records, accepted + rejected, by STATE, got {counted}; {_RUN}"

    def test_must_41_nothing_leaves_in_clear(self, harness: DestinationHarness, tmp_path: Path) -> None:
        """No value that the profile hashes is sent or held in clear."""
        harness.work()
        people = executable.records("people", [fields(person) for person in _PEOPLE])
        completed = _write(harness, tmp_path, "people", people)
        assert completed.code == 0, f"exit code {completed.code}; {_RUN}: {completed.of('TRACE')}"
        private = {value for person in _PEOPLE for value in hidden(person, harness.stream.profile or CLEAR)}
        for request in harness.relay.requests if harness.relay else ():
            text = f"{request.path} {dict(request.headers)} {request.body.decode(errors='replace')}"
            assert not _found(private, text), (
                f"{request.method} {request.path.partition('?')[0]} holds a value in clear; {_HASHED}"
            )
        for audience in harness.twin.audiences():
            held = " ".join(value for member in harness.twin.members(audience) for value in member)
            assert not _found(private, held), f"the platform holds a value in clear; {_HASHED}"


def _write(harness: DestinationHarness, folder: Path, stream: str, stdin: bytes) -> Completed:
    chosen = executable.catalog(stream, destination_object_name=harness.stream.name)
    return Executable(harness.connector, folder).here("write", stdin, config=harness.raw, catalog=chosen)


def _since_last(items: list[Item]) -> list[int]:
    """How many records precede each STATE since the one before."""
    states = [place for place, item in enumerate(items) if isinstance(item, State)]
    return [place - before - 1 for before, place in zip([-1, *states], states, strict=False)]


def _found(private: set[str], text: str) -> bool:
    plain = unquote_plus(text).lower()
    return any(value in plain for value in private)
