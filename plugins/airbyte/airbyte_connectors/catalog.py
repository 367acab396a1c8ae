"""Translates Airbyte's catalogue, and configures a stream of it for a read."""

from __future__ import annotations

from cdp_bridge.sdk import Catalog, ConfigError, Stream

from airbyte_connectors.messages import Json, OfferedStream
from airbyte_connectors.program import Program
from airbyte_connectors.settings import Members


def offered(program: Program) -> tuple[OfferedStream, ...]:
    """The streams that the source offers; ConfigError if it names none."""
    catalog = next((message.catalog for message in program.ask("discover") if message.catalog), None)
    if catalog is None or not catalog.streams:
        remedy = "Check what its credentials may see"
        raise ConfigError("offers no streams", place=program.name, remedy=remedy)
    return catalog.streams


def chosen(streams: tuple[OfferedStream, ...], name: str, place: str) -> OfferedStream:
    """The stream of that name, with its namespace if it has one; ConfigError naming those that there are."""
    match = next((stream for stream in streams if str(stream.full_name) == name), None)
    if match is None:
        known = ", ".join(str(stream.full_name) for stream in streams)
        raise ConfigError(f"there is no stream {name}", place=place, remedy=f"Choose from: {known}")
    return match


def check_members(streams: tuple[OfferedStream, ...], members: Members) -> OfferedStream:
    """The stream of people; ConfigError if it, or the field that names the segment, is not there."""
    stream = chosen(streams, members.stream, "members.stream")
    known = stream.json_schema.get("properties")
    if members.segment_field and known and members.segment_field not in known:
        remedy = f"Choose from: {', '.join(known)}"
        raise ConfigError(f"has no field {members.segment_field}", place="members.segment_field", remedy=remedy)
    return stream


def translated(streams: tuple[OfferedStream, ...], members: Members | None) -> Catalog:
    """Our catalogue; ConfigError if the settings name a stream of people that is not there."""
    people = check_members(streams, members).full_name if members else None
    return Catalog(tuple(_stream(stream, is_people=stream.full_name == people) for stream in streams))


def configured(stream: OfferedStream) -> Json:
    """The configured catalogue to read one stream: incrementally if it can, else everything.

    Without a state an incremental read begins with everything, and it alone gives states to go on from.
    """
    is_incremental = stream.is_incremental
    return {
        "streams": [
            {
                "stream": stream,
                "sync_mode": "incremental" if is_incremental else "full_refresh",
                "cursor_field": stream.default_cursor_field or [],
                "destination_sync_mode": "append",
                "primary_key": stream.source_defined_primary_key or [],
            }
        ]
    }


def _stream(stream: OfferedStream, *, is_people: bool) -> Stream:
    return Stream(
        name=str(stream.full_name),
        schema=stream.json_schema,
        primary_key=tuple(".".join(path) for path in stream.source_defined_primary_key or ()),
        cursor_field=".".join(stream.default_cursor_field or ()) or None if stream.is_incremental else None,
        membership=is_people,
    )
