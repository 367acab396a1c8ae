"""Implements check, discover and read for Airbyte sources."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator
from typing import Any

from cdp_bridge.sdk import Catalog, Checkpoint, ConfigError, Page, Probe, ReadRequest, TransientError

from airbyte_connectors import catalog, state
from airbyte_connectors.counts import RecordCounts
from airbyte_connectors.messages import Json, Message, OfferedStream, StreamName
from airbyte_connectors.probes import probe
from airbyte_connectors.program import Program
from airbyte_connectors.settings import Members, SourceSettings

ROWS = 5_000
DELETED = "_ab_cdc_deleted_at"
"""The field in which Airbyte's sources of change logs mark a deleted row."""

Judge = Callable[[Json], Json | None]


def config_schema(settings: SourceSettings) -> Json:
    """The JSON schema of the connector's own config."""
    return Program(settings).specification()


def check(settings: SourceSettings) -> list[Probe]:
    """Whether the connector runs, takes its config and connects, and the people are where the settings say."""
    program, members = Program(settings), settings.members
    if members is None:
        return probe(settings, program)

    def people() -> str:
        return f"they are the records of {catalog.check_members(catalog.offered(program), members).full_name}"

    return probe(settings, program, ("members", people))


def discover(settings: SourceSettings) -> Catalog:
    """The connector's own streams."""
    return catalog.translated(catalog.offered(Program(settings)), settings.members)


def read(settings: SourceSettings, request: ReadRequest) -> Generator[Page | Checkpoint, None, None]:
    """One stream; TransientError unless the connector says at its end that the stream is complete.

    Nobody at all in a segment that a field names is a ConfigError: its name may be wrong.
    """
    program = Program(settings)
    stream = catalog.chosen(catalog.offered(program), request.stream, "stream")
    files = {"catalog": catalog.configured(stream)}
    if request.checkpoint is not None:
        if not stream.is_incremental:
            remedy = "Set incremental: false for the audience, and sync again"
            raise ConfigError("cannot tell what changed any more", place=f"stream {request.stream}", remedy=remedy)
        files["state"] = state.given(request.checkpoint)
    is_somebody_in = False
    with contextlib.closing(program.run("read", files)) as messages:
        for item in _items(messages, stream, _judge(settings.members, request)):
            is_somebody_in = is_somebody_in or isinstance(item, Page)
            yield item
    if not is_somebody_in and request.checkpoint is None and _is_by_field(settings.members, request):
        problem = f"no record of {request.stream} names the segment {request.segment}"
        raise ConfigError(problem, place="members.segment_field", remedy="Check the field and the name of the segment")


def _is_by_field(members: Members | None, request: ReadRequest) -> bool:
    """Whether the records themselves hold the membership of the requested segment."""
    if members is None or members.stream != request.stream:
        return False
    return members.segment_field is not None and request.segment is not None


def _items(messages: Iterator[Message], stream: OfferedStream, judge: Judge) -> Iterator[Page | Checkpoint]:
    name, rows, is_complete, counts = str(stream.full_name), list[Json](), False, RecordCounts()
    for message in messages:
        counts.take(message)
        saved = state.kept(message.state) if message.state and stream.is_incremental else None
        if rows and (saved or len(rows) >= ROWS):
            yield Page(name, rows)
            rows = []
        if saved:
            yield Checkpoint(name, saved)
        if message.record and StreamName(message.record.stream, message.record.namespace) == stream.full_name:
            row = judge(message.record.data)
            rows += [row] if row is not None else []
        is_complete = is_complete or _is_complete(message, stream)
    if rows:
        yield Page(name, rows)
    if not is_complete:
        raise TransientError(
            f"the connector ended without saying that the stream {name} is complete, so nothing of it is taken; if it "
            "stays so, use a version of the connector that sends stream statuses"
        )


def _is_complete(message: Message, stream: OfferedStream) -> bool:
    status = message.trace.stream_status if message.trace else None
    return status is not None and status.stream_descriptor == stream.full_name and status.status == "COMPLETE"


def _judge(members: Members | None, request: ReadRequest) -> Judge:
    """Selects records: of a full read the members, of an incremental one everybody, with `is_member`."""
    if members is None or members.stream != request.stream:
        return lambda record: record
    field, segment = members.segment_field, request.segment

    def judge(record: Json) -> Json | None:
        is_in = record.get(DELETED) is None and (not field or segment is None or _names(record.get(field), segment))
        if not is_in and request.checkpoint is None:
            return None
        return {**record, "is_member": is_in and record.get("is_member", True)}

    return judge


def _names(value: Any, segment: str) -> bool:
    return segment in map(str, value) if isinstance(value, list) else str(value) == segment
