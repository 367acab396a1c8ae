"""Check, discover and read a Segment space."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from cdp_bridge.sdk import Catalog, Checkpoint, Client, ConfigError, Page, Probe, ReadRequest, Stream

from source_segment import profile_api, public_api
from source_segment.settings import Settings

if TYPE_CHECKING:
    from source_segment.warehouse import Warehouse

Json = dict[str, Any]
PAGE = 200
STALE = timedelta(hours=6)
"""Profiles Sync runs hourly; older tables than this mean that it stands still."""
NO_WAREHOUSE = ConfigError(
    "the members of an audience cannot be read: Segment lists them in no API, only in the tables of Profiles Sync",
    place="warehouse",
    remedy="Set up Unify > Profiles Sync in Segment and give the warehouse's URL",
)


def check(settings: Settings) -> list[Probe]:
    """Findings about the token, the space, the warehouse and, if there is a token for it, the Profile API."""
    probes: list[Probe] = []
    with public_api.connect(settings) as api:
        space = _check_public_api(api, settings, probes)
    _check_warehouse(settings, space, probes)
    if settings.profile_api_token is not None and space is not None:
        probes.append(Probe.of("profile api", lambda: _check_profile_api(settings, space)))
    return probes


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
        _, audiences = _asked_for(api, settings, request)
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
        raise NO_WAREHOUSE
    space, audiences = _asked_for(api, settings, request)

    from source_segment import members, warehouse

    with warehouse.opened(settings.warehouse.url, settings.warehouse.schema or space["slug"]) as opened:
        yield from members.read(opened, audiences, request)


def _asked_for(api: Client, settings: Settings, request: ReadRequest) -> tuple[Json, list[Json]]:
    """The space, and the audiences to read: the one of the request, those of the settings, or all readable ones."""
    space = public_api.find_space(api, settings.space)
    known = list(public_api.audiences(api, space["id"]))
    keys = (request.segment,) if request.segment else settings.audiences
    if keys:
        return space, [public_api.find_audience(known, key) for key in keys]
    return space, [audience for audience in known if not public_api.unreadable(audience)]


def _profiles(api: Client, settings: Settings, request: ReadRequest) -> Iterator[Page]:
    if not request.segment:
        raise ConfigError("no person was named", place="segment", remedy="Ask for one person as type:value")
    with profile_api.connect(settings) as profiles:
        space = public_api.find_space(api, settings.space)
        person = profile_api.look_up(profiles, space["id"], request.segment)
    yield Page(request.stream, [person] if person else [])


def _paged(stream: str, rows: Iterator[Json]) -> Iterator[Page]:
    while page := list(islice(rows, PAGE)):
        yield Page(stream, page)


def _check_public_api(api: Client, settings: Settings, probes: list[Probe]) -> Json | None:
    """Append what is found and return the space, if it was."""
    found: list[Json] = []

    def find_space() -> str:
        found.append(public_api.find_space(api, settings.space))
        return f"{found[0]['name']} ({found[0]['id']})"

    def find_audiences() -> str:
        known = list(public_api.audiences(api, found[0]["id"]))
        for key in settings.audiences:
            public_api.find_audience(known, key)
        readable = sum(not public_api.unreadable(audience) for audience in known)
        return f"{readable} of {len(known)} can be read"

    probes.append(Probe.of("workspace", lambda: str(public_api.workspace(api)["name"])))
    if probes[-1].passed:
        probes.append(Probe.of("space", find_space))
    if found:
        probes.append(Probe.of("audiences", find_audiences))
    return found[0] if found else None


def _check_warehouse(settings: Settings, space: Json | None, probes: list[Probe]) -> None:
    if settings.warehouse is None:
        probes.append(Probe("warehouse", False, NO_WAREHOUSE.problem, NO_WAREHOUSE.remedy))
        return
    schema = settings.warehouse.schema or (space["slug"] if space else None)
    if schema is None:
        return

    from source_segment import warehouse

    url, opened = settings.warehouse.url, []
    with ExitStack() as stack:

        def connect() -> str:
            opened.append(stack.enter_context(warehouse.opened(url, schema)))
            return f"connected, {opened[0].dialect}"

        probes.append(Probe.of("warehouse", connect))
        if opened:
            probes.append(Probe.of("warehouse tables", lambda: _check_tables(opened[0])))
            if probes[-1].passed:
                probes.append(Probe.of("warehouse freshness", lambda: _check_freshness(opened[0])))


def _check_tables(warehouse: Warehouse) -> str:
    warehouse.check_tables()
    return f"schema {warehouse.schema} is complete"


def _check_freshness(warehouse: Warehouse) -> str:
    from source_segment import members

    newest = members.freshness(warehouse)
    late = datetime.now(UTC) - newest > STALE
    return f"newest row {newest:%Y-%m-%d %H:%M} UTC{'; Profiles Sync may stand still' if late else ''}"


def _check_profile_api(settings: Settings, space: Json) -> str:
    """Nobody has the identifier asked for: only a token that is let in is told so (segment.md section 10)."""
    with profile_api.connect(settings) as api:
        profile_api.is_known(api, space["id"], "user_id:cdp-bridge-check")
    return "the token is let in"


def _schema(**fields: str) -> Json:
    properties: Json = {name: {"type": ["null", kind]} for name, kind in fields.items()}
    if "identifiers" in properties:
        properties["identifiers"]["additionalProperties"] = {"type": ["null", "array"], "items": {"type": "string"}}
    return {"type": "object", "properties": properties, "additionalProperties": True}
