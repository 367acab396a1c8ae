"""The MUSTs of a destination about members whom the platform refuses (32 to 35)."""

from __future__ import annotations

import contextlib
import re

import pytest

from cdp_bridge.delivery.sender import Part
from cdp_bridge.errors import RejectedError
from cdp_bridge.model import Batch
from cdp_bridge.testing.harness import DestinationHarness, settled
from cdp_bridge.testing.messages import difference, member_difference, short
from cdp_bridge.testing.people import key
from cdp_bridge.testing.rules.verdict import RecordingWriter, Statement, Verdict
from cdp_bridge.testing.twin import Refusal

_REASON = re.compile(r"[\w.:/+-]{1,64}")


class RefusalSuite:
    """What every destination makes of members whom its platform refuses."""

    def test_must_32_the_refused_are_named(self, harness: DestinationHarness) -> None:
        """Members whom the platform names as refused are rejected by their key, and the others are in."""
        refused, others = [0, 5], [1, 2, 3, 4, 6, 7]
        _refuse(harness, "row", refused)
        verdict = Verdict.of(harness.send("add", range(8)))
        _expect_held(harness, others)
        assert not verdict.open, (
            f"expected each member rejected or accepted, got nothing on {len(verdict.open)}, such as "
            f"{short(min(verdict.open))}; the platform named whom it refused, so take the others for accepted"
        )
        wrong = difference({key(person) for person in refused}, verdict.rejected, short)
        assert not wrong, f"rejected: {wrong}; put just the keys that the platform named into Outcome.rejected"

    def test_must_33_the_merely_counted_are_not_accepted(self, harness: DestinationHarness) -> None:
        """A member whom the platform counted as invalid, and did not name, is not taken for accepted."""
        _refuse(harness, "count", [3])
        verdict = Verdict.of(harness.send("add", range(8)))
        _expect_held(harness, [0, 1, 2, 4, 5, 6, 7])
        assert key(3) not in verdict.accepted, (
            f"expected {short(key(3))} in doubt or rejected, got it accepted, though the platform counted it as "
            "invalid; put all whom it may be into Outcome.unknown, or raise RejectedError to have halves tried"
        )

    def test_must_34_a_refused_request_is_a_rejected_error(self, harness: DestinationHarness) -> None:
        """A request that is refused as a whole is a RejectedError, so that halves are tried and the others get in."""
        _refuse(harness, "request", [3])
        with harness.open() as (writer, sender, ref):
            batch = harness.batch(ref, "add", range(8))
            try:
                settled(writer, [Part(batch, writer.write(batch))])
            except RejectedError:
                pass
            except Exception as error:
                pytest.fail(f"a request refused as a whole raised {type(error).__name__}; raise RejectedError: {error}")
            else:
                pytest.fail("a request refused as a whole passed for sent; raise RejectedError")
            verdict = Verdict.of(settled(writer, sender.send(batch)))
        wrong = difference({key(3)}, verdict.rejected, short)
        assert not wrong, f"halving did not end at the refused member: {wrong}; write each batch you get, also of one"
        _expect_held(harness, [0, 1, 2, 4, 5, 6, 7])

    def test_must_35_outcomes_speak_of_members_only(self, harness: DestinationHarness) -> None:
        """An outcome names keys of its batch only, and gives reasons that are short codes without a value."""
        with harness.open() as (writer, _, ref):
            recorder = RecordingWriter(writer)
            sender = harness.sender(recorder)
            settled(recorder, sender.send(harness.batch(ref, "add", range(8))))
            for person, kind in enumerate(sorted(harness.twin.refuse), start=2):
                harness.twin.refuse[kind](harness.value(person))
                # What a refusal may raise is the matter of MUST 34.
                with contextlib.suppress(Exception):
                    settled(recorder, sender.send(harness.batch(ref, "add", range(8))))
            settled(recorder, sender.send(harness.batch(ref, "remove", [0, 1])))
        for statement in recorder.statements:
            _check(statement)


def _refuse(harness: DestinationHarness, kind: Refusal, people: list[int]) -> None:
    if kind not in harness.twin.refuse:
        pytest.skip(f"its twin knows no refusal of this kind (DestinationTwin.refuse[{kind!r}])")
    for person in people:
        harness.twin.refuse[kind](harness.value(person))


def _expect_held(harness: DestinationHarness, people: list[int]) -> None:
    held, expected = harness.held(), harness.member_keys(people)
    lost = member_difference(expected.keys(), held & expected.keys(), expected)
    assert not lost, f"of those whom the platform did not refuse: {lost}; send them also where others are refused"
    stays = member_difference(expected.keys(), held | expected.keys(), expected)
    assert not stays, f"the twin holds whom it was told to refuse: {stays}; mend the twin's `refuse`"


def _check(statement: Statement) -> None:
    strangers = statement.keys - set(statement.batch.keys)
    assert not strangers, (
        f"an outcome names {len(strangers)} keys that are not in its batch: expected one like "
        f"{short(statement.batch.keys[0])}, got {short(min(strangers))}; use the keys of Batch.keys"
    )
    values = _values(statement.batch)
    for reason in statement.reasons:
        quoted = [value for value in values if value.lower() in reason.lower()]
        assert not quoted, "a reason holds an identifier or a key; give the platform's code only"
        assert _REASON.fullmatch(reason), (
            f"a reason of {len(reason)} characters is no short code; use at most 64 letters, digits and .:/+-_"
        )


def _values(batch: Batch) -> set[str]:
    values = {value for column in batch.identifiers.values() for some in column for value in some}
    return {value for value in values if len(value) > 3} | {key.hex() for key in batch.keys}
