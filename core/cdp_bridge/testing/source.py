"""The MUSTs of a source (17 to 25)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import pytest
from jsonschema import Draft7Validator

from cdp_bridge.errors import ConfigError
from cdp_bridge.mapping.paths import dotted, parse
from cdp_bridge.model import Checkpoint, Page, Stream
from cdp_bridge.testing.bench import Clock, Record, SourceBench, as_json, pointed_at, records
from cdp_bridge.testing.relay import PAGE, Fault, Relay
from cdp_bridge.testing.suite import ConnectorSuite
from cdp_bridge.testing.twin import SourceTwin

Key = tuple[Any, ...]
NOBODY = "kit-unknown-0123456789"


class SourceSuite(ConnectorSuite):
    """The kit for a source: `class TestAcme(SourceSuite): connector = CONNECTOR`, and a fixture `twin`."""

    @pytest.fixture
    def bench(self, twin: SourceTwin, relay: Relay | None, clock: Clock) -> SourceBench:
        """The source, pointed at the relay."""
        return SourceBench(self.connector, pointed_at(relay, twin, twin.settings), relay, clock, twin)

    def test_must_17_records_fit_their_schema_and_have_keys(self, bench: SourceBench) -> None:
        """Every record of every stream fits the schema of its stream, and its primary key is filled and unique."""
        for stream, found in _every_stream(bench):
            validator = Draft7Validator(stream.schema)
            faults = {_fault(error) for record in as_json(found) for error in validator.iter_errors(record)}
            assert not faults, f"{stream.name}: records do not fit the schema that was discovered: {sorted(faults)}"
            keys = [tuple(record.get(name) for name in stream.primary_key) for record in found]
            empty = sum(part in (None, "") for key in keys for part in key)
            assert not empty, f"{stream.name}: {empty} parts of primary keys {stream.primary_key} are empty"
            twice = len(keys) - len(set(keys)) if stream.primary_key else 0
            assert not twice, f"{stream.name}: {twice} records have a primary key {stream.primary_key} of another one"

    def test_must_18_everybody_is_read_and_nobody_else(self, bench: SourceBench) -> None:
        """The keys of all records are those of the people in the segment."""
        _assert_same(_keys(bench, records(bench.read())), bench.twin.keys(), "the segment is read")

    def test_must_19_a_second_read_gives_the_same(self, bench: SourceBench) -> None:
        """Two reads of a segment that did not change give the same records."""
        assert bench.work() == bench.work(), "a second read of the same segment gives other records"

    @pytest.mark.parametrize("what", ["segment", "stream"])
    def test_must_20_what_is_unknown_is_a_config_error(self, bench: SourceBench, what: str) -> None:
        """An unknown segment and an unknown stream are a ConfigError with a remedy, not an empty extract."""
        if what == "segment" and bench.twin.segment is None:
            pytest.skip("has no segments")
        try:
            outcome = f"gives {len(records(bench.read(**{what: NOBODY})))} records"
        except ConfigError as error:
            outcome = "" if error.remedy else "raises a ConfigError without a remedy"
        except Exception as error:
            outcome = f"raises a {type(error).__name__}"
        assert not outcome, f"an unknown {what} {outcome}; raise a ConfigError with a remedy"

    @pytest.mark.parametrize("fault", [Fault(kind="cut_before"), Fault(status=200, body=PAGE)], ids=["cut", "page"])
    def test_must_21_a_read_that_is_cut_off_raises(self, bench: SourceBench, wire: Relay, fault: Fault) -> None:
        """Cut off for good at any request it raises; read anew it yields everybody."""
        everybody = _keys(bench, records(bench.read()))
        for position in range(len(wire.requests)):
            wire.fail(fault, after=position, times=None)
            fresh = bench.anew()
            try:
                found = records(fresh.read())
            except Exception:
                wire.heal()
            else:
                pytest.fail(f"cut off from request {position + 1} on it ended normally with {len(found)} records")
            _assert_same(_keys(fresh, records(fresh.read())), everybody, "the segment is read anew")

    def test_must_22_a_read_goes_on_from_any_checkpoint(self, bench: SourceBench) -> None:
        """What came before a checkpoint and what a read from it yields are together everybody."""
        items = _with_checkpoints(bench)
        everybody = _keys(bench, records(items))
        for position, item in enumerate(items):
            if isinstance(item, Checkpoint):
                before = _keys(bench, records(items[:position]))
                rest = records(bench.anew().read(checkpoint=_saved(item)))
                still = _keys(bench, [record for record in rest if record.get("is_member") is not False])
                _assert_same((before | still) & everybody, everybody, "a read goes on from a checkpoint")

    def test_must_23_changes_are_followed(self, bench: SourceBench) -> None:
        """From the last checkpoint it yields who came, changed or left since, each with `is_member`."""
        checkpoint = [item for item in _with_checkpoints(bench) if isinstance(item, Checkpoint)][-1]
        if bench.twin.churn is None:
            pytest.skip("the twin offers no churn")
        before = _by_key(bench, records(bench.anew().read()))
        bench.twin.churn()
        after = _by_key(bench, records(bench.anew().read()))
        assert before.keys() != after.keys(), "the twin's churn let nobody come or leave"

        changes = records(bench.anew().read(checkpoint=_saved(checkpoint)))
        unsaid = sum(not isinstance(record.get("is_member"), bool) for record in changes)
        assert not unsaid, f"{unsaid} records of a read from a checkpoint do not say in is_member (bool) who is in"
        member = {bench.key(record): record["is_member"] for record in changes}
        left = {key for key, is_member in member.items() if not is_member}
        followed = (before.keys() | member.keys()) - left
        _assert_same(followed, after.keys(), "changes are followed from a checkpoint")
        changed = {key for key in before.keys() & after.keys() if before[key] != after[key]}
        assert changed <= member.keys(), f"{len(changed - member.keys())} people who changed were not yielded"

    def test_must_24_fields_that_were_asked_for_are_there(self, bench: SourceBench) -> None:
        """Asked for some fields, a record has at least these, as in a read of everything."""
        whole = _by_key(bench, records(bench.read()))
        paths = sorted({path for record in whole.values() for path in _paths(record)})
        for asked in (paths[::2], paths[1::2]):
            for key, record in _by_key(bench, records(bench.anew().read(fields=tuple(asked)))).items():
                wrong = [path for path in asked if key in whole and _at(record, path) != _at(whole[key], path)]
                assert not wrong, f"asked for {asked}, it leaves out or changes {wrong}"

    def test_must_25_pages_come_one_by_one(self, bench: SourceBench, wire: Relay) -> None:
        """The first page is there before the last answer with people has been asked for."""
        people = bench.twin.keys()
        texts = [str(key[-1]).encode() for key in people]
        bench.work()
        whole = _with_people(wire.answers, texts)
        if whole < 2:
            pytest.skip("its people do not come over HTTP, or in one answer")
        before = len(wire.answers)
        next(page for page in bench.anew().read() if isinstance(page, Page) and len(page.records))
        asked = _with_people(wire.answers[before:], texts)
        assert asked < whole, f"it asks for all {whole} pages before it yields the first; yield each page as it comes"


def _every_stream(bench: SourceBench) -> Iterator[tuple[Stream, list[Record]]]:
    """The records of the people, and of those other streams that can be read without naming anything."""
    offered: Sequence[Stream] = bench.code.discover(bench.settings).streams
    for stream in offered:
        segment = bench.twin.segment if stream.membership else None
        try:
            yield stream, records(bench.anew().read(stream=stream.name, segment=segment))
        except ConfigError:
            if stream.name == bench.stream.name:
                raise


def _with_checkpoints(bench: SourceBench) -> list[Page | Checkpoint]:
    items = list(bench.read())
    if not any(isinstance(item, Checkpoint) for item in items):
        pytest.skip("yields no checkpoints")
    return items


def _saved(checkpoint: Checkpoint) -> Any:
    """A checkpoint's state as a store gives it back."""
    try:
        kept = msgspec.json.decode(msgspec.json.encode(checkpoint.state))
    except (TypeError, msgspec.MsgspecError):
        kept = None
    assert kept == checkpoint.state, "the state of a checkpoint must hold JSON values only"
    return kept


def _keys(bench: SourceBench, found: Sequence[Record]) -> set[Key]:
    return {bench.key(record) for record in found}


def _by_key(bench: SourceBench, found: Sequence[Record]) -> dict[Key, Record]:
    return {bench.key(record): record for record in found}


def _assert_same(found: Collection[Key], expected: Collection[Key], when: str) -> None:
    missing, others = set(expected) - set(found), set(found) - set(expected)
    assert not missing, f"{len(missing)} of {len(set(expected))} people are missing when {when}"
    assert not others, f"{len(others)} people who are not in the segment come when {when}"


def _fault(error: Any) -> str:
    """Where a record breaks which rule, without its value."""
    return f"{'.'.join(map(str, error.absolute_path)) or 'the record'}: {error.validator} {error.validator_value!r}"


def _paths(value: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    """The dotted paths of everything in a record that is no group."""
    if isinstance(value, Mapping) and value:
        for name, part in value.items():
            yield from _paths(part, (*path, name))
    elif path:
        yield dotted(path)


def _at(record: Any, path: str) -> Any:
    for name in parse(path):
        record = record.get(name) if isinstance(record, Mapping) else None
    return record


def _with_people(answers: Sequence[bytes], texts: Sequence[bytes]) -> int:
    """How many answers brought people."""
    return sum(any(text in answer for text in texts) for answer in answers)
