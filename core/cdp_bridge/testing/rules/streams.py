"""Checks that a discovered stream is complete."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import get_args

from jsonschema import Draft7Validator, SchemaError

from cdp_bridge.errors import ConfigError
from cdp_bridge.identity import CLEAR
from cdp_bridge.model import Kind, Operation, Stream
from cdp_bridge.testing.hashed import columns_of


def complaints(streams: Sequence[Stream], kind: Kind) -> list[str]:
    """What is wrong with the streams of a connector of that kind, one sentence each."""
    names = [stream.name for stream in streams]
    complaints = [f"the name {name!r} is there {names.count(name)} times" for name in {*names} if names.count(name) > 1]
    if not all(names):
        complaints.append("a stream has no name")
    of_kind = _of_source if kind == "source" else _of_destination
    return complaints + [f"{stream.name}: {wrong}" for stream in streams for wrong in of_kind(stream)]


def _of_source(stream: Stream) -> Iterator[str]:
    try:
        Draft7Validator.check_schema(stream.schema)
    except SchemaError as error:
        yield f"its schema is no JSON schema (draft 7): {error.message}"
    known = stream.schema.get("properties", {})
    if stream.schema.get("type") != "object" or not known:
        yield "its schema must be of type object and name the properties of a record"
    if stream.membership and not stream.primary_key:
        yield "its records are people, so it needs a primary_key"
    for name in stream.primary_key:
        if name not in known:
            yield f"the primary key {name} is no property of its schema"


def _of_destination(stream: Stream) -> Iterator[str]:
    try:
        columns = columns_of(stream.profile or CLEAR)
    except ConfigError as error:
        yield str(error)
        return
    if not stream.operations or not set(stream.operations) <= set(get_args(Operation)):
        yield f"operations must be some of {', '.join(get_args(Operation))}"
    for key in stream.matching_keys:
        if key not in columns:
            yield f"the matching key {key} is no column of the profile {stream.profile or CLEAR}: {', '.join(columns)}"
