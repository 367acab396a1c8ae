"""The MUSTs of a destination: its audiences (26, 27), who is in them (28 to 31), what it shows beforehand (38), and its
conversions (42).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import pytest
from msgspec.structs import replace

from cdp_bridge.delivery.sender import Part, Sender
from cdp_bridge.errors import TransientError
from cdp_bridge.model import Audience, AudienceRef, Batch, Operation
from cdp_bridge.testing.harness import IDENTIFYING, Clock, DestinationHarness, new_audience, pointed_at, settled
from cdp_bridge.testing.leaks import secrets
from cdp_bridge.testing.messages import difference, member_difference, short, value_text
from cdp_bridge.testing.people import Person
from cdp_bridge.testing.relay import Fault, FaultKind, Relay
from cdp_bridge.testing.rules.batches import BatchSuite
from cdp_bridge.testing.rules.lines import LineSuite
from cdp_bridge.testing.rules.refusals import RefusalSuite
from cdp_bridge.testing.rules.suite import ConnectorSuite
from cdp_bridge.testing.rules.verdict import Verdict
from cdp_bridge.testing.twin import DestinationTwin


class DestinationSuite(RefusalSuite, BatchSuite, LineSuite, ConnectorSuite):
    """The tests of a destination: `class TestAcme(DestinationSuite)` with the attribute `connector = CONNECTOR`.

    A fixture `twin`, in the class or in its module, gives the `DestinationTwin` that the destination writes to.
    """

    @pytest.fixture
    def harness(self, twin: DestinationTwin, relay: Relay | None, clock: Clock) -> DestinationHarness:
        """The destination, pointed at the relay, with an audience of its own."""
        raw = pointed_at(relay, twin, twin.settings)
        return DestinationHarness(self.connector, raw, relay, clock, twin, new_audience())

    def test_must_26_an_audience_is_found_again(self, harness: DestinationHarness) -> None:
        """An audience is found again, by its whole marker and by its reference, also under another name."""
        before = set(harness.twin.audiences())
        wanted = harness.audience
        marker = wanted.marker
        like = [f"{marker}0", marker[:-1], f"{marker} ", marker.upper(), f"x{marker}"]
        others = [_ensured(harness, replace(wanted, marker=other)) for other in like]
        first = _ensured(harness, wanted)
        later = [_ensured(harness, replace(wanted, marker=other)) for other in like]
        shared = [other for other, ref in zip(like, others, strict=True) if ref.id == first.id]
        assert not shared, (
            f"expected an audience of its own for {marker!r}, got that of {shared}; compare the whole marker"
        )
        several = len({ref.id for ref in others})
        assert several == len(like), f"{len(like)} markers that differ little got {several} audiences; {_WHOLE}"
        again = _ensured(harness, wanted)
        assert again.id == first.id, (
            f"a later run expected {first.id!r}, got {again.id!r}; keep the marker with the audience"
        )
        for marker, expected, got in zip(like, others, later, strict=True):
            assert got.id == expected.id, f"for {marker!r} expected {expected.id!r}, got {got.id!r}; {_WHOLE}"
        renamed = _ensured(harness, replace(wanted, name="Renamed", ref=first))
        assert renamed.id == first.id, (
            f"renamed, expected {first.id!r}, got {renamed.id!r}; look for Audience.ref first"
        )
        made = set(harness.twin.audiences()) - before
        assert len(made) <= len(like) + 1, (
            f"{len(made)} audiences were made for {len(like) + 1} markers; search before you create"
        )

    @pytest.mark.parametrize("kind", ["cut_after", "half"])
    def test_must_27_a_lost_answer_makes_no_second_audience(
        self, harness: DestinationHarness, wire: Relay, kind: FaultKind
    ) -> None:
        """There is one audience in the end, whichever answer gets lost on the way to it."""
        harness.anew().prepare()
        asked = len(wire.requests)
        assert asked, "ensure sent no request; make the audience in ensure, so that the core can keep its reference"
        for position in range(asked):
            trial = harness.anew()
            before = set(harness.twin.audiences())
            wire.fail(Fault(kind=kind), after=position)
            _prepare_in_the_end(trial)
            wire.heal()
            made = set(harness.twin.audiences()) - before
            assert len(made) == 1, (
                f"{len(made)} new audiences, where the answer to request {position + 1} of ensure got lost ({kind}); "
                "search for the marker before each try to create"
            )
            named = trial.ref.id if trial.ref else ""
            assert named in made, f"expected {made.pop()!r}, got {named!r}; return the audience that was made"

    def test_must_28_who_was_added_and_not_removed_is_there(self, harness: DestinationHarness) -> None:
        """Who was added and not removed is there, also with several values of a kind, or only some kinds."""
        with harness.open() as (writer, sender, ref):
            for number in range(1, 5):
                people = range(10 * number - 10, 10 * number)
                batch = harness.batch(ref, "add", people, number=number, last=number == 4, total=40)
                settled(writer, sender.send(batch))
        _expect(harness, range(40))
        harness.send("remove", range(5, 15))
        _expect(harness, [*range(5), *range(15, 40)])
        harness.send("remove", [*range(5), *range(15, 40)])
        several = [_household(harness, pair) for pair in ((40, 44), (41, 45), (42, 46))]
        some = [_only(harness, person, column) for person, column in enumerate(_identifying(harness), start=50)]
        for unusual in (several, some):
            batch = _joined(unusual)
            _send(harness, "add", batch)
            there = {value for member in harness.held() for value in member}
            wrong = difference(_values(batch), there, value_text)
            assert not wrong, (
                f"values of members with several, or only some kinds: {wrong}; send all of a batch's columns"
            )
            _send(harness, "remove", batch)
            wrong = member_difference((), harness.held())
            assert not wrong, f"after the removal of members with several values, or only some kinds: {wrong}; {_ALL}"

    def test_must_29_changes_and_returns_are_followed(self, harness: DestinationHarness) -> None:
        """A member who changes (old identifiers removed, new ones added) or returns is there as of now."""
        harness.send("add", range(6))
        with harness.open() as (writer, sender, ref):
            settled(writer, sender.send(harness.batch(ref, "remove", [2, 4])))
            settled(writer, sender.send(harness.batch(ref, "add", [(2, 1), (4, 1)])))
        _expect(harness, [0, 1, (2, 1), 3, (4, 1), 5])
        harness.send("remove", [0, (2, 1)])
        harness.send("add", [0, 2])
        _expect(harness, [0, 1, 2, 3, (4, 1), 5])

    @pytest.mark.parametrize("operation", ["add", "remove"])
    def test_must_30_a_repeat_changes_nothing(self, harness: DestinationHarness, operation: Operation) -> None:
        """A batch that is sent again, by the same writer or by that of a later run, changes nothing."""
        if self.connector.delivery == "append":
            pytest.skip("its delivery is append: a repeat counts twice, and it says so")
        harness.send("add", range(8))
        with harness.open() as (writer, sender, ref):
            batch = harness.batch(ref, operation, range(4, 12) if operation == "add" else range(4))
            settled(writer, sender.send(batch))
            once = harness.rows()
            repeated = settled(writer, sender.send(batch))
        with harness.open() as (writer, sender, _):
            repeated += settled(writer, sender.send(batch))
        rows = harness.rows()
        wrong = member_difference(once, rows) or f"expected {once.total()} members, got {rows.total()}"
        assert rows == once, f"after a repeated {operation}: {wrong}; say so by Connector.delivery, or send a key"
        refused = Verdict.of(repeated).rejected
        assert not refused, (
            f"after a repeated {operation} {_refusal(refused)}; take who is there, or gone, for accepted"
        )

    @pytest.mark.parametrize("writers", ["one writer", "a writer each"])
    def test_must_31_the_last_operation_wins(self, harness: DestinationHarness, writers: str) -> None:
        """Who is removed last is out, and who is added is in, whatever went before. (Returns are MUST 29.)"""
        orders = {0: "+-", 1: "-+-", 2: "+-+-", 3: "+", 4: " +", 5: "  +", 6: "   -"}
        with harness.open() as (writer, sender, ref):
            for step in range(4):
                for sign, operation in _SIGNS.items():
                    people = [person for person, order in orders.items() if order[step : step + 1] == sign]
                    if people and writers == "one writer":
                        settled(writer, sender.send(harness.batch(ref, operation, people)))
                    elif people:
                        harness.send(operation, people)
        _expect(harness, [person for person, order in orders.items() if order.endswith("+")])

    def test_must_38_a_preview_sends_nothing(self, harness: DestinationHarness) -> None:
        """A preview is the request that `write` would send, as JSON values, without a secret; it sends nothing."""
        if not hasattr(harness.code, "preview"):
            pytest.skip("has no preview")
        harness.send("add", range(2))
        ref, before = harness.ref or _NOWHERE, harness.rows()
        asked = len(harness.relay.requests) if harness.relay else 0
        for operation in _SIGNS.values():
            shown = harness.code.preview(harness.settings, harness.batch(ref, operation, range(4)))
            assert isinstance(shown, Mapping), (
                f"preview gave a {type(shown).__name__}; return the request's parts by name"
            )
            assert shown, "preview gave an empty mapping; return the request's parts by name"
            text = json.dumps(shown, default=_refuse)
            assert not [secret for secret in secrets(harness) if secret in text], (
                "preview shows a secret of the settings; mask it"
            )
        sent = len(harness.relay.requests if harness.relay else ()) - asked
        assert not sent, f"preview sent {sent} requests; only build what write would send"
        wrong = member_difference(before, harness.rows())
        assert not wrong, f"preview changed the audience: {wrong}; only build what write would send"

    def test_must_42_a_conversion_is_told_once(self, harness: DestinationHarness) -> None:
        """Each conversion counts once: its event id is sent, the same with each try and by a later run."""
        if (made := harness.conversions(range(6))) is None:
            pytest.skip("takes no conversions")
        batch, limits = made
        wanted = [event.event_id for event in batch.events]
        assert harness.twin.conversions, (
            "a stream tracks conversions and the twin counts none; give DestinationTwin.conversions"
        )
        for _ in range(2):
            with harness.code.open(harness.settings) as writer:
                parts = settled(writer, Sender(writer, limits, sleep=harness.clock.sleep).send(batch))
            refused = Verdict.of(parts).rejected
            assert not refused, f"of valid conversions {_refusal(refused)}; send all that the platform wants"
            counted = harness.twin.conversions()
            wrong = [
                f"expected {event[:8]}... once, got it {counted.get(event, 0)} times"
                for event in wanted
                if counted.get(event, 0) != 1
            ]
            assert not wrong, (
                f"{len(wrong)} of {len(wanted)}: {wrong[0]}; send Conversion.event_id, the same with each try"
            )


_NOWHERE = AudienceRef(id="", account="")
_WHOLE = "compare the whole marker"
_ALL = "write each member of a batch with all its columns, and remove who is in a batch to remove"
_SIGNS: dict[str, Operation] = {"+": "add", "-": "remove"}


def _ensured(harness: DestinationHarness, audience: Audience) -> AudienceRef:
    """What a run of its own finds or makes."""
    with harness.code.open(harness.settings) as writer:
        return harness.sender(writer).ensure(audience)


def _prepare_in_the_end(harness: DestinationHarness) -> None:
    """Make the audience, by a second run if the first one gave up."""
    try:
        harness.prepare()
    except TransientError:
        harness.prepare()


def _expect(harness: DestinationHarness, people: Sequence[Person]) -> None:
    expected = harness.member_keys(people)
    wrong = member_difference(expected.keys(), harness.held(), expected)
    assert not wrong, f"{wrong}; {_ALL}"


def _refusal(refused: Mapping[bytes, str]) -> str:
    return f"expected {short(min(refused))} accepted, got it refused as {refused[min(refused)]}"


def _send(harness: DestinationHarness, operation: Operation, batch: Batch) -> list[Part]:
    with harness.open() as (writer, sender, ref):
        return settled(writer, sender.send(replace(batch, audience=ref, operation=operation)))


def _identifying(harness: DestinationHarness) -> list[str]:
    return [column for column in IDENTIFYING if column in harness.columns]


def _household(harness: DestinationHarness, people: tuple[int, int]) -> Batch:
    """One member who has the values of two people."""
    first, second = (harness.batch(_NOWHERE, "add", [person]) for person in people)
    both = {column: [[*values[0], *second.identifiers[column][0]]] for column, values in first.identifiers.items()}
    return replace(first, identifiers={column: [list(dict.fromkeys(values[0]))] for column, values in both.items()})


def _only(harness: DestinationHarness, person: int, column: str) -> Batch:
    """One member of whom nothing but one identifier is known."""
    batch = harness.batch(_NOWHERE, "add", [person])
    return replace(batch, identifiers={column: batch.identifiers[column]})


def _joined(members: list[Batch]) -> Batch:
    """The members of several batches in one."""
    columns = dict.fromkeys(column for batch in members for column in batch.identifiers)
    return replace(
        members[0],
        keys=[key for batch in members for key in batch.keys],
        identifiers={column: [batch.identifiers.get(column, [[]])[0] for batch in members] for column in columns},
        total=len(members),
    )


def _values(batch: Batch) -> set[str]:
    return {value for column in batch.identifiers.values() for values in column for value in values}


def _refuse(value: object) -> None:
    pytest.fail(f"preview holds a {type(value).__name__}, which JSON has not; give it as text")
