"""The MUSTs of a destination about members whom the platform refuses (32 to 35)."""

from __future__ import annotations

import contextlib
import re

import pytest

from cdp_bridge.delivery.sender import Part
from cdp_bridge.errors import RejectedError
from cdp_bridge.model import Batch
from cdp_bridge.testing.bench import DestinationBench, settled
from cdp_bridge.testing.people import key
from cdp_bridge.testing.twin import Refusal
from cdp_bridge.testing.verdict import Listener, Said, Verdict

_REASON = re.compile(r"[\w.:/+-]{1,64}")


class RefusalSuite:
    """What every destination makes of members whom its platform refuses."""

    def test_must_32_the_refused_are_named(self, bench: DestinationBench) -> None:
        """The platform names two members of eight: these are rejected by key, and the others are in."""
        refused, others = [0, 5], [1, 2, 3, 4, 6, 7]
        _refuse(bench, "row", refused)
        verdict = Verdict.of(bench.send("add", range(8)))
        _expect_held(bench, others)
        assert not verdict.open, (
            f"nothing is said of {len(verdict.open)} members, though the platform named whom it refused"
        )
        named = {person for person in range(8) if key(person) in verdict.rejected}
        assert named == set(refused), "Outcome.rejected must hold just the members that the platform named"

    def test_must_33_the_merely_counted_are_not_accepted(self, bench: DestinationBench) -> None:
        """The platform says that one entry of eight is invalid, and not which: that one is not taken for accepted."""
        _refuse(bench, "count", [3])
        verdict = Verdict.of(bench.send("add", range(8)))
        _expect_held(bench, [0, 1, 2, 4, 5, 6, 7])
        assert key(3) not in verdict.accepted, (
            "the platform counted a member as invalid, and the outcome says that it is accepted; where the platform "
            "does not name it, put all whom it may be into Outcome.unknown, or raise RejectedError to have halves tried"
        )

    def test_must_34_a_refused_request_is_a_rejected_error(self, bench: DestinationBench) -> None:
        """The platform refuses any request with a certain member: halves are tried, and the others get in."""
        _refuse(bench, "request", [3])
        with bench.open() as (writer, sender, ref):
            batch = bench.batch(ref, "add", range(8))
            try:
                settled(writer, [Part(batch, writer.write(batch))])
            except RejectedError:
                pass
            except Exception as error:
                pytest.fail(f"a request refused as a whole raised {type(error).__name__}, not RejectedError: {error}")
            else:
                pytest.fail("a request refused as a whole passed for sent; raise RejectedError")
            verdict = Verdict.of(settled(writer, sender.send(batch)))
        assert verdict.rejected.keys() == {key(3)}, "halving did not end at the one member who is refused"
        _expect_held(bench, [0, 1, 2, 4, 5, 6, 7])

    def test_must_35_outcomes_speak_of_members_only(self, bench: DestinationBench) -> None:
        """Keys are those of the batch; reasons are short codes without a value."""
        with bench.open() as (writer, _, ref):
            listener = Listener(writer)
            sender = bench.sender(listener)
            settled(listener, sender.send(bench.batch(ref, "add", range(8))))
            for person, kind in enumerate(sorted(bench.twin.refuse), start=2):
                bench.twin.refuse[kind](bench.value(person))
                # What a refusal may raise is the matter of MUST 34.
                with contextlib.suppress(Exception):
                    settled(listener, sender.send(bench.batch(ref, "add", range(8))))
            settled(listener, sender.send(bench.batch(ref, "remove", [0, 1])))
        for said in listener.said:
            _check(said)


def _refuse(bench: DestinationBench, kind: Refusal, people: list[int]) -> None:
    if kind not in bench.twin.refuse:
        pytest.skip(f"its twin knows no refusal of this kind (DestinationTwin.refuse[{kind!r}])")
    for person in people:
        bench.twin.refuse[kind](bench.value(person))


def _expect_held(bench: DestinationBench, people: list[int]) -> None:
    held, wanted = bench.held(), bench.values(people)
    assert not wanted - held, f"{len(wanted - held)} members are missing whom the platform did not refuse"
    assert not held - wanted, "the twin holds a member whom it was told to refuse: its refusal does not work"


def _check(said: Said) -> None:
    strangers = said.keys - set(said.batch.keys)
    assert not strangers, f"an outcome names {len(strangers)} keys that are not in its batch"
    values = _values(said.batch)
    for reason in said.reasons:
        quoted = [value for value in values if value.lower() in reason.lower()]
        assert not quoted, "a reason holds an identifier or a key; name the platform's code only"
        assert _REASON.fullmatch(reason), (
            f"a reason of {len(reason)} characters is no short code; use at most 64 letters, digits and .:/+-_"
        )


def _values(batch: Batch) -> set[str]:
    values = {value for column in batch.identifiers.values() for some in column for value in some}
    return {value for value in values if len(value) > 3} | {one.hex() for one in batch.keys}
