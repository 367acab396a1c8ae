"""Reads the spaces, audiences, members and profiles of a Segment space."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from typing import Any

from cdp_bridge.sdk import Catalog, Checkpoint, Client, ConfigError, Page, Probe, ReadRequest, Stream, run_probes

from source_segment import profile_api, public_api
from source_segment.check import NO_WAREHOUSE, checks, needs
from source_segment.settings import Settings

Json = dict[str, Any]
PAGE = 200


def check(settings: Settings) -> list[Probe]:
    """Findings about the token, the space, the warehouse and, if there is a token for it, the Profile API."""
    with public_api.connect(settings) as api, ExitStack() as stack:
        return run_probes(checks(api, stack, settings), needs=needs(settings))


def discover(settings: Settings) -> Catalog:
    """The streams; `profiles` only with a token for the Profile API. Needs no network."""
    streams = [
        Stream(name="spaces", schema=_schema(id="string", slug="string", name="string"), primary_key=("id",)),
        Stream(
            name="audiences",
            schema=_schema(
                id="string", key="string", name="string", enabled="boolean", audienceType="string", size="object"
            ),
            primary_key=("id",),
        ),
        Stream(
            name="audience_members",
            schema=_schema(
                segment_id="string",
                canonical_segment_id="string",
                user_id="string",
                identifiers="object",
                traits="object",
                is_member="boolean",
            ),
            primary_key=("segment_id", "canonical_segment_id"),
            membership=True,
        ),
    ]
    if settings.profile_api_token is not None:
        streams.append(Stream(name="profiles", schema=_schema(user_id="string", identifiers="object", traits="object")))
    return Catalog(tuple(streams))


def read(settings: Settings, request: ReadRequest) -> Iterator[Page | Checkpoint]:
    """Pages of one stream; `segment` is an audience's key for `audience_members`, `type:value` for `profiles`."""
    readers = {"spaces": _spaces, "audiences": _audiences, "audience_members": _members, "profiles": _profiles}
    reader = readers.get(request.stream)
    if reader is None:
        known = ", ".join(readers)
        raise ConfigError(f"there is no stream {request.stream}", place="stream", remedy=f"Choose from: {known}")
    with public_api.connect(settings) as api:
        yield from reader(api, settings, request)


def estimate(settings: Settings, request: ReadRequest) -> int | None:
    """How many records a read will yield by Segment's own counts; None where it has none."""
    if request.stream != "audience_members" or request.checkpoint is not None:
        return None
    with public_api.connect(settings) as api:
        _, audiences = _selected(api, settings, request)
    sizes: list[int | None] = [(audience.get("size") or {}).get("count") for audience in audiences]
    counted = [size for size in sizes if size is not None]
    return sum(counted) if len(counted) == len(sizes) else None


def _spaces(api: Client, settings: Settings, request: ReadRequest) -> Iterator[Page]:
    yield from _paged(request.stream, public_api.spaces(api))


def _audiences(api: Client, settings: Settings, request: ReadRequest) -> Iterator[Page]:
    space = public_api.find_space(api, settings.space)
    yield from _paged(request.stream, public_api.audiences(api, space["id"]))


def _members(api: Client, settings: Settings, request: ReadRequest) -> Iterator[Page | Checkpoint]:
    if settings.warehouse is None:
        raise ConfigError(NO_WAREHOUSE.problem, place=NO_WAREHOUSE.place, remedy=NO_WAREHOUSE.remedy)
    space, audiences = _selected(api, settings, request)

    from source_segment import members, warehouse

    with warehouse.opened(settings.warehouse.url, settings.warehouse.schema or space["slug"]) as opened:
        yield from members.read(opened, audiences, request)


def _selected(api: Client, settings: Settings, request: ReadRequest) -> tuple[Json, list[Json]]:
    """The space, and the audiences to read: the one of the request, those of the settings, or all readable ones."""
    space = public_api.find_space(api, settings.space)
    known = list(public_api.audiences(api, space["id"]))
    keys = (request.segment,) if request.segment else settings.audiences
    if keys:
        return space, [public_api.find_audience(known, key) for key in keys]
    return space, [audience for audience in known if not public_api.unreadable(audience)]


def _profiles(api: Client, settings: Settings, request: ReadRequest) -> Iterator[Page]:
    if not request.segment:
        raise ConfigError("no person was named", place="segment", remedy="Name a person as type:value")
    with profile_api.connect(settings) as profiles:
        space = public_api.find_space(api, settings.space)
        person = profile_api.look_up(profiles, space["id"], request.segment)
    yield Page(request.stream, [person] if person else [])


def _paged(stream: str, rows: Iterator[Json]) -> Iterator[Page]:
    while page := list(islice(rows, PAGE)):
        yield Page(stream, page)


def _schema(**fields: str) -> Json:
    properties: Json = {name: {"type": ["null", kind]} for name, kind in fields.items()}
    if "identifiers" in properties:
        properties["identifiers"]["additionalProperties"] = {"type": ["null", "array"], "items": {"type": "string"}}
    return {"type": "object", "properties": properties, "additionalProperties": True}
