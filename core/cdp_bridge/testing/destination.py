"""The MUSTs of a destination: its audiences (26, 27), who is in them (28 to 31), what it shows beforehand (38), and its
conversions (42).
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from msgspec.structs import replace

from cdp_bridge.delivery.sender import Part, Sender
from cdp_bridge.errors import TransientError
from cdp_bridge.model import Audience, AudienceRef, Batch, Operation
from cdp_bridge.testing.batches import BatchSuite
from cdp_bridge.testing.bench import IDENTIFYING, Clock, DestinationBench, new_audience, pointed_at, settled
from cdp_bridge.testing.leaks import secrets
from cdp_bridge.testing.lines import LineSuite
from cdp_bridge.testing.refusals import RefusalSuite
from cdp_bridge.testing.relay import Fault, Kind, Relay
from cdp_bridge.testing.suite import ConnectorSuite
from cdp_bridge.testing.twin import DestinationTwin
from cdp_bridge.testing.verdict import Verdict


class DestinationSuite(RefusalSuite, BatchSuite, LineSuite, ConnectorSuite):
    """The kit for a destination: `class TestAcme(DestinationSuite): connector = CONNECTOR`, and a fixture `twin`."""

    @pytest.fixture
    def bench(self, twin: DestinationTwin, relay: Relay | None, clock: Clock) -> DestinationBench:
        """The destination, pointed at the relay, with an audience of its own."""
        raw = pointed_at(relay, twin, twin.settings)
        return DestinationBench(self.connector, raw, relay, clock, twin, new_audience())

    def test_must_26_an_audience_is_found_again(self, bench: DestinationBench) -> None:
        """By marker and by reference, in a later run, among others with like markers and the same name."""
        before = set(bench.twin.audiences())
        wanted = bench.audience
        marker = wanted.marker
        like = [f"{marker}0", marker[:-1], f"{marker} ", marker.upper(), f"x{marker}"]
        others = [_ensured(bench, replace(wanted, marker=other)) for other in like]
        first = _ensured(bench, wanted)
        later = [_ensured(bench, replace(wanted, marker=other)) for other in like]
        shared = [other for other, ref in zip(like, others, strict=True) if ref.id == first.id]
        assert not shared, f"one audience for two markers: {marker!r} and {shared}; compare the whole marker"
        assert len({ref.id for ref in others}) == len(like), "one audience for two markers that differ little"
        again = _ensured(bench, wanted)
        assert again.id == first.id, "a later run did not find the audience by its marker; keep the marker with it"
        assert [ref.id for ref in later] == [ref.id for ref in others], "a later run found another's audience"
        renamed = _ensured(bench, replace(wanted, name="Renamed", ref=first))
        assert renamed.id == first.id, "the audience was not found by its reference after it got another name"
        made = set(bench.twin.audiences()) - before
        assert len(made) <= len(like) + 1, f"{len(made)} audiences were made for {len(like) + 1} markers"

    @pytest.mark.parametrize("kind", ["cut_after", "half"])
    def test_must_27_a_lost_answer_makes_no_second_audience(
        self, bench: DestinationBench, wire: Relay, kind: Kind
    ) -> None:
        """Whichever answer gets lost on the way to a new audience, in the end there is one."""
        bench.anew().prepare()
        asked = len(wire.requests)
        assert asked, "no request came: ensure must make the audience, so that its reference can be kept"
        for position in range(asked):
            trial = bench.anew()
            before = set(bench.twin.audiences())
            wire.fail(Fault(kind=kind), after=position)
            _prepare_in_the_end(trial)
            wire.heal()
            made = set(bench.twin.audiences()) - before
            assert len(made) == 1, (
                f"{len(made)} new audiences, where the answer to request {position + 1} of ensure got lost ({kind}); "
                "search for the marker before each try to create"
            )
            assert trial.ref is not None
            assert trial.ref.id in made, "ensure named another audience than the new one"

    def test_must_28_who_was_added_and_not_removed_is_there(self, bench: DestinationBench) -> None:
        """Also when they come in several batches, have several values of a kind, or only some kinds."""
        with bench.open() as (writer, sender, ref):
            for number in range(1, 5):
                people = range(10 * number - 10, 10 * number)
                batch = bench.batch(ref, "add", people, number=number, last=number == 4, total=40)
                settled(writer, sender.send(batch))
        _expect(bench, bench.values(range(40)))
        bench.send("remove", range(5, 15))
        _expect(bench, bench.values([*range(5), *range(15, 40)]))
        bench.send("remove", [*range(5), *range(15, 40)])
        several = [_together(bench, pair) for pair in ((40, 44), (41, 45), (42, 46))]
        some = [_only(bench, person, column) for person, column in enumerate(_identifying(bench), start=50)]
        for unusual in (several, some):
            batch = _joined(unusual)
            _send(bench, "add", batch)
            there = {value for member in bench.held() for value in member}
            missing = _values(batch) - there
            assert not missing, "not all values of members with several values, or only some kinds, arrived"
            assert not there - _values(batch), "something is there that nobody sent"
            _send(bench, "remove", batch)
            assert not bench.held(), "members with several values, or only some kinds, stayed after their removal"

    def test_must_29_changes_and_returns_are_followed(self, bench: DestinationBench) -> None:
        """A change is, as in a run, the removal of the old identifiers and then the addition of the new ones."""
        bench.send("add", range(6))
        with bench.open() as (writer, sender, ref):
            settled(writer, sender.send(bench.batch(ref, "remove", [2, 4])))
            settled(writer, sender.send(bench.batch(ref, "add", [(2, 1), (4, 1)])))
        _expect(bench, bench.values([0, 1, (2, 1), 3, (4, 1), 5]))
        bench.send("remove", [0, (2, 1)])
        bench.send("add", [0, 2])
        _expect(bench, bench.values([0, 1, 2, 3, (4, 1), 5]))

    @pytest.mark.parametrize("operation", ["add", "remove"])
    def test_must_30_a_repeat_changes_nothing(self, bench: DestinationBench, operation: Operation) -> None:
        """The same batch once more, by the same writer and by that of a later run."""
        if self.connector.delivery == "append":
            pytest.skip("its delivery is append: a repeat counts twice, and it says so")
        bench.send("add", range(8))
        with bench.open() as (writer, sender, ref):
            batch = bench.batch(ref, operation, range(4, 12) if operation == "add" else range(4))
            settled(writer, sender.send(batch))
            once = bench.rows()
            repeats = settled(writer, sender.send(batch))
        with bench.open() as (writer, sender, _):
            repeats += settled(writer, sender.send(batch))
        assert bench.rows() == once, f"the audience differs after a repeated {operation}; is its delivery append?"
        refused = Verdict.of(repeats).rejected
        assert not refused, f"a repeated {operation} is reported as refused: {sorted(set(refused.values()))}"

    @pytest.mark.parametrize("writers", ["one writer", "a writer each"])
    def test_must_31_the_last_operation_wins(self, bench: DestinationBench, writers: str) -> None:
        """Who is removed last is out, whatever went before; others come meanwhile. Returns are MUST 29."""
        orders = {0: "+-", 1: "-+-", 2: "+-+-", 3: "+", 4: " +", 5: "  +", 6: "   -"}
        with bench.open() as (writer, sender, ref):
            for step in range(4):
                for sign, operation in _SIGNS.items():
                    people = [person for person, order in orders.items() if order[step : step + 1] == sign]
                    if people and writers == "one writer":
                        settled(writer, sender.send(bench.batch(ref, operation, people)))
                    elif people:
                        bench.send(operation, people)
        _expect(bench, bench.values([person for person, order in orders.items() if order.endswith("+")]))

    def test_must_38_a_preview_sends_nothing(self, bench: DestinationBench) -> None:
        """The request that `write` would send, as JSON values, without a secret."""
        if not hasattr(bench.code, "preview"):
            pytest.skip("has no preview")
        bench.send("add", range(2))
        ref, before = bench.ref or _NOWHERE, bench.rows()
        asked = len(bench.relay.requests) if bench.relay else 0
        for operation in _SIGNS.values():
            shown = bench.code.preview(bench.settings, bench.batch(ref, operation, range(4)))
            assert isinstance(shown, Mapping), "preview must return a mapping: the request's parts by name"
            assert shown, "preview shows nothing"
            text = json.dumps(shown, default=_refuse)
            assert not [secret for secret in secrets(bench) if secret in text], "preview shows a secret; mask it"
        assert len(bench.relay.requests if bench.relay else ()) == asked, "preview sent a request"
        assert bench.rows() == before, "preview changed the audience"

    def test_must_42_a_conversion_is_told_once(self, bench: DestinationBench) -> None:
        """Under its event id, by which the platform knows a repeat, also by the writer of a later run."""
        if (made := bench.conversions(range(6))) is None:
            pytest.skip("takes no conversions")
        batch, limits = made
        wanted = {event.event_id: 1 for event in batch.events}
        assert bench.twin.conversions, "it offers to track conversions: give DestinationTwin.conversions"
        for _ in range(2):
            with bench.code.open(bench.settings) as writer:
                parts = settled(writer, Sender(writer, limits, sleep=bench.clock.sleep).send(batch))
            refused = Verdict.of(parts).rejected
            assert not refused, f"sound conversions are refused: {sorted(set(refused.values()))}"
            counted = bench.twin.conversions()
            found = {event: counted.get(event, 0) for event in wanted}
            assert found == wanted, "not each conversion is counted once; send its event_id, the same with each try"


_NOWHERE = AudienceRef(id="", account="")
_SIGNS: dict[str, Operation] = {"+": "add", "-": "remove"}


def _ensured(bench: DestinationBench, audience: Audience) -> AudienceRef:
    """What a run of its own finds or makes."""
    with bench.code.open(bench.settings) as writer:
        return bench.sender(writer).ensure(audience)


def _prepare_in_the_end(bench: DestinationBench) -> None:
    """Make the audience, by a second run if the first one gave up."""
    try:
        bench.prepare()
    except TransientError:
        bench.prepare()


def _expect(bench: DestinationBench, wanted: set[frozenset[str]]) -> None:
    held = bench.held()
    assert held == wanted, f"{len(wanted - held)} members are missing, and {len(held - wanted)} should not be there"


def _send(bench: DestinationBench, operation: Operation, batch: Batch) -> list[Part]:
    with bench.open() as (writer, sender, ref):
        return settled(writer, sender.send(replace(batch, audience=ref, operation=operation)))


def _identifying(bench: DestinationBench) -> list[str]:
    return [column for column in IDENTIFYING if column in bench.columns]


def _together(bench: DestinationBench, people: tuple[int, int]) -> Batch:
    """One member who has the values of two people."""
    one, other = (bench.batch(_NOWHERE, "add", [person]) for person in people)
    both = {column: [[*values[0], *other.identifiers[column][0]]] for column, values in one.identifiers.items()}
    return replace(one, identifiers={column: [list(dict.fromkeys(values[0]))] for column, values in both.items()})


def _only(bench: DestinationBench, person: int, column: str) -> Batch:
    """One member of whom nothing but one identifier is known."""
    batch = bench.batch(_NOWHERE, "add", [person])
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
    pytest.fail(f"preview holds a {type(value).__name__}, which JSON cannot; show it as text")
