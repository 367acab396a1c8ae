"""The MUSTs of a source (17 to 25)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import pytest
from jsonschema import Draft7Validator, ValidationError

from cdp_bridge.errors import ConfigError
from cdp_bridge.mapping.paths import dotted, parse
from cdp_bridge.model import Checkpoint, Page, Stream
from cdp_bridge.testing.harness import Clock, Record, SourceHarness, as_json, pointed_at, records
from cdp_bridge.testing.messages import difference, key_text
from cdp_bridge.testing.relay import PAGE, Fault, Relay
from cdp_bridge.testing.rules.suite import ConnectorSuite
from cdp_bridge.testing.twin import SourceTwin

Key = tuple[Any, ...]
UNKNOWN = "kit-unknown-0123456789"


class SourceSuite(ConnectorSuite):
    """The tests of a source: `class TestAcme(SourceSuite)` with the attribute `connector = CONNECTOR`.

    A fixture `twin`, in the class or in its module, gives the `SourceTwin` that the source reads from.
    """

    @pytest.fixture
    def harness(self, twin: SourceTwin, relay: Relay | None, clock: Clock) -> SourceHarness:
        """The source, pointed at the relay."""
        return SourceHarness(self.connector, pointed_at(relay, twin, twin.settings), relay, clock, twin)

    def test_must_17_records_fit_their_schema_and_have_keys(self, harness: SourceHarness) -> None:
        """Each record of each stream fits the schema of the stream, and its primary key is filled and unique."""
        for stream, rows in _every_stream(harness):
            validator = Draft7Validator(stream.schema)
            faults = {_fault(error) for record in as_json(rows) for error in validator.iter_errors(record)}
            assert not faults, (
                f"{stream.name}: expected records that fit the schema, got {sorted(faults)}; mend the schema or them"
            )
            keys = [tuple(record.get(name) for name in stream.primary_key) for record in rows]
            empty = [key_text(key) for key in keys if any(part in (None, "") for part in key)]
            assert not empty, (
                f"{stream.name}: expected a full primary key {stream.primary_key}, got {empty[0]} and {len(empty) - 1} "
                "more that are not; yield records with a key, or choose another one"
            )
            twice = [key_text(key) for key, count in Counter(keys).items() if count > 1 and stream.primary_key]
            assert not twice, (
                f"{stream.name}: expected each primary key {stream.primary_key} once, got {twice[0]} and "
                f"{len(twice) - 1} more several times; yield each record once, or choose another key"
            )

    def test_must_18_everybody_is_read_and_nobody_else(self, harness: SourceHarness) -> None:
        """Everybody in the segment is read, and nobody else."""
        _assert_same(_keys(harness, records(harness.read())), harness.twin.keys(), "the segment")

    def test_must_19_a_second_read_gives_the_same(self, harness: SourceHarness) -> None:
        """Two reads of a segment that did not change give the same records."""
        first, second = harness.work(), harness.work()
        wrong = harness.differs(first, second)
        assert first == second, f"a second read: {wrong}; yield nothing that depends on the read itself"

    @pytest.mark.parametrize("name", ["segment", "stream"])
    def test_must_20_what_is_unknown_is_a_config_error(self, harness: SourceHarness, name: str) -> None:
        """An unknown segment and an unknown stream are a ConfigError with a remedy, not an empty extract."""
        if name == "segment" and harness.twin.segment is None:
            pytest.skip("has no segments")
        try:
            outcome = f"gives {len(records(harness.read(**{name: UNKNOWN})))} records"
        except ConfigError as error:
            outcome = "" if error.remedy else "raises a ConfigError without a remedy"
        except Exception as error:
            outcome = f"raises a {type(error).__name__}"
        assert not outcome, f"an unknown {name} {outcome}; raise a ConfigError with a remedy"

    @pytest.mark.parametrize("fault", [Fault(kind="cut_before"), Fault(status=200, body=PAGE)], ids=["cut", "page"])
    def test_must_21_a_read_that_is_cut_off_raises(self, harness: SourceHarness, wire: Relay, fault: Fault) -> None:
        """A read that is cut off at any request raises, and one that follows yields everybody."""
        everybody = _keys(harness, records(harness.read()))
        for position in range(len(wire.requests)):
            wire.fail(fault, after=position, times=None)
            fresh = harness.anew()
            try:
                rows = records(fresh.read())
            except Exception:
                wire.heal()
            else:
                pytest.fail(
                    f"cut off from request {position + 1} on, it returned after {len(rows)} of {len(everybody)} "
                    "records; let the error of the request out of read"
                )
            _assert_same(_keys(fresh, records(fresh.read())), everybody, "a read after one that was cut off")

    def test_must_22_a_read_goes_on_from_any_checkpoint(self, harness: SourceHarness) -> None:
        """The records before a checkpoint and those of a read that starts from it are together everybody."""
        items = _with_checkpoints(harness)
        everybody = _keys(harness, records(items))
        for position, item in enumerate(items):
            if isinstance(item, Checkpoint):
                before = _keys(harness, records(items[:position]))
                rest = records(harness.anew().read(checkpoint=_saved(item)))
                still = _keys(harness, [record for record in rest if record.get("is_member") is not False])
                _assert_same((before | still) & everybody, everybody, "a read up to a checkpoint and one from it")

    def test_must_23_changes_are_followed(self, harness: SourceHarness) -> None:
        """A read from the last checkpoint yields who came, changed or left since, each with `is_member`."""
        checkpoint = [item for item in _with_checkpoints(harness) if isinstance(item, Checkpoint)][-1]
        if harness.twin.churn is None:
            pytest.skip("the twin offers no churn")
        before = _by_key(harness, records(harness.anew().read()))
        harness.twin.churn()
        after = _by_key(harness, records(harness.anew().read()))
        assert before.keys() != after.keys(), (
            "the keys are the same after the twin's churn; let it add and remove people"
        )

        changes = records(harness.anew().read(checkpoint=_saved(checkpoint)))
        unsaid = [harness.key(record) for record in changes if not isinstance(record.get("is_member"), bool)]
        assert not unsaid, (
            f"expected is_member in each record of a read from a checkpoint, got {len(unsaid)} without, such as "
            f"{key_text(unsaid[0])}; say in it, as a bool, who is in the segment"
        )
        member = {harness.key(record): record["is_member"] for record in changes}
        left = {key for key, is_member in member.items() if not is_member}
        followed = (before.keys() | member.keys()) - left
        _assert_same(followed, after.keys(), "the people before, with the changes since a checkpoint")
        changed = {key for key in before.keys() & after.keys() if before[key] != after[key]}
        wrong = difference(changed, changed & member.keys(), key_text)
        assert not wrong, f"people who changed: {wrong}; yield them again from a checkpoint"

    def test_must_24_fields_that_were_asked_for_are_there(self, harness: SourceHarness) -> None:
        """A record has at least the fields that were requested, with the values of a read of everything."""
        whole = _by_key(harness, records(harness.read()))
        paths = sorted({path for record in whole.values() for path in _paths(record)})
        for requested in (paths[::2], paths[1::2]):
            for key, record in _by_key(harness, records(harness.anew().read(fields=tuple(requested)))).items():
                wrong = [path for path in requested if key in whole and _at(record, path) != _at(whole[key], path)]
                assert not wrong, (
                    f"the record {key_text(key)} lacks or changes {wrong}; yield all of ReadRequest.fields"
                )

    def test_must_25_pages_come_one_by_one(self, harness: SourceHarness, wire: Relay) -> None:
        """The first page is yielded before the last one is requested."""
        people = harness.twin.keys()
        texts = [str(key[-1]).encode() for key in people]
        harness.work()
        whole = _with_people(wire.answers, texts)
        if whole < 2:
            pytest.skip("its people do not come over HTTP, or in one answer")
        before = len(wire.answers)
        next(page for page in harness.anew().read() if isinstance(page, Page) and len(page.records))
        loaded = _with_people(wire.answers[before:], texts)
        assert loaded < whole, f"all {whole} pages are read before the first is yielded; yield each page as it comes"


def _every_stream(harness: SourceHarness) -> Iterator[tuple[Stream, list[Record]]]:
    """The records of the people, and of those other streams that can be read without naming anything."""
    offered: Sequence[Stream] = harness.code.discover(harness.settings).streams
    for stream in offered:
        segment = harness.twin.segment if stream.membership else None
        try:
            yield stream, records(harness.anew().read(stream=stream.name, segment=segment))
        except ConfigError:
            if stream.name == harness.stream.name:
                raise


def _with_checkpoints(harness: SourceHarness) -> list[Page | Checkpoint]:
    items = list(harness.read())
    if not any(isinstance(item, Checkpoint) for item in items):
        pytest.skip("yields no checkpoints")
    return items


def _saved(checkpoint: Checkpoint) -> Any:
    """A checkpoint's state as a store gives it back."""
    try:
        saved = msgspec.json.decode(msgspec.json.encode(checkpoint.state))
    except (TypeError, msgspec.MsgspecError):
        saved = None
    assert saved == checkpoint.state, "a checkpoint's state is not the same after JSON; use JSON values only"
    return saved


def _keys(harness: SourceHarness, rows: Sequence[Record]) -> set[Key]:
    return {harness.key(record) for record in rows}


def _by_key(harness: SourceHarness, rows: Sequence[Record]) -> dict[Key, Record]:
    return {harness.key(record): record for record in rows}


def _assert_same(got: Collection[Key], expected: Collection[Key], place: str) -> None:
    wrong = difference(expected, got, key_text)
    assert not wrong, f"{place}: {wrong}; yield a record for each of the people, and for nobody else"


def _fault(error: ValidationError) -> str:
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
