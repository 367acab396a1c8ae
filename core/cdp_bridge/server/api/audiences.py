"""/v1/audiences: segments that are kept equal to audiences, and how they are."""

from __future__ import annotations

from collections.abc import Sequence

from litestar import Controller, Response
from litestar.params import JSONBody
from msgspec import Struct
from msgspec.structs import replace

from cdp_bridge.entities import Activation, ApiKey, ConversionFeed, RunRequest, SyncLog
from cdp_bridge.errors import ConfigError
from cdp_bridge.model import AudienceRef
from cdp_bridge.server.api.editing import What, change_entry, create, delete_entry, entry, etag
from cdp_bridge.server.web.access import who
from cdp_bridge.server.web.endpoint import (
    Caller,
    Core,
    CoreGiven,
    Filter,
    IfMatch,
    Limit,
    PageToken,
    PathText,
    deletes,
    posts,
    puts,
    reads,
)
from cdp_bridge.server.web.paging import Listing, page_of_all
from cdp_bridge.server.web.problems import missing
from cdp_bridge.store.access.audit import AuditRecord


class AudienceView(Struct, frozen=True, kw_only=True):
    """An audience: what is configured, what the platform calls it, how many members it has acknowledged, its last run.

    `last_run` has funnel and match rate. `size` is counted where one audience is asked for.
    """

    activation: Activation
    paused: bool
    ref: AudienceRef | None = None
    size: int | None = None
    last_run: SyncLog | None = None


class Audiences(Controller):
    """Activations and their audiences."""

    path = "/audiences"
    tags = ("audiences",)

    @reads("/")
    def list_audiences(
        self,
        core: CoreGiven,
        connection: Filter = None,
        destination: Filter = None,
        limit: Limit = 50,
        cursor: PageToken = None,
    ) -> Listing[AudienceView]:
        """List audiences, by name."""
        found = [
            one
            for one in core.store.bridge().audiences
            if connection in (None, one.connection) and destination in (None, one.destination)
        ]
        listed = page_of_all(core.page_tokens, found, limit, cursor, lambda one: [one.name])
        return Listing(items=_views(core, listed.items), next=listed.next)

    @posts("/")
    def activate(self, core: CoreGiven, caller: Caller, data: JSONBody[Activation]) -> Response[Activation]:
        """Activate a segment: keep an audience of a destination equal to it from now on."""
        create(core, caller, "audience", data.name, data)
        headers = {"ETag": etag(data), "Location": f"/v1/audiences/{data.name}"}
        return Response(data, status_code=201, headers=headers)

    @reads("/{name:str}")
    def audience(self, core: CoreGiven, name: PathText) -> Response[AudienceView]:
        """One audience, with its size."""
        found = entry(core, "audience", name)
        (view,) = _views(core, [found])
        view = replace(view, size=core.store.ledger.count(name))
        return Response(view, headers={"ETag": etag(found)})

    @puts("/{name:str}")
    def replace_audience(
        self, core: CoreGiven, caller: Caller, name: PathText, data: JSONBody[Activation], if_match: IfMatch = None
    ) -> Response[Activation]:
        """Replace what is configured; the next run makes the audience so."""
        if data.name != name:
            raise ConfigError("is not the name in the address", place="name", remedy="Names cannot be changed")
        change_entry(core, caller, "audience", name, data, if_match)
        return Response(data, headers={"ETag": etag(data)})

    @deletes("/{name:str}")
    def delete_audience(self, core: CoreGiven, caller: Caller, name: PathText, if_match: IfMatch = None) -> None:
        """Keep it equal no more; what the platform has stays there."""
        delete_entry(core, caller, "audience", name, if_match)

    @posts("/{name:str}/sync", status_code=202)
    def sync_now(self, core: CoreGiven, caller: Caller, name: PathText) -> RunRequest:
        """Ask for a run now."""
        entry(core, "audience", name)
        return ask(core, caller, name, "sync")

    @posts("/{name:str}/approve-removals", status_code=202)
    def approve_removals(self, core: CoreGiven, caller: Caller, name: PathText) -> RunRequest:
        """Ask for a run now that carries out removals above the audience's limit."""
        entry(core, "audience", name)
        return ask(core, caller, name, "approve removals")

    @posts("/{name:str}/pause", status_code=200)
    def pause(self, core: CoreGiven, caller: Caller, name: PathText) -> AudienceView:
        """Start it on schedule no more."""
        return _set_paused(core, caller, name, paused=True)

    @posts("/{name:str}/resume", status_code=200)
    def resume(self, core: CoreGiven, caller: Caller, name: PathText) -> AudienceView:
        """Start it on schedule again, with the next slot."""
        return _set_paused(core, caller, name, paused=False)


def ask(core: Core, caller: ApiKey, name: str, action: str) -> RunRequest:
    """Ask for a run of a configured audience or conversion feed; problem 404."""
    found = next((one for one in core.store.bridge().syncs if one.name == name), None)
    if found is None:
        raise missing("audience")
    what = "conversion" if isinstance(found, ConversionFeed) else "audience"
    core.store.audit.add(AuditRecord(who=who(caller), action=action, what=what, name=name))
    return core.store.requests.add(name, f"api key {caller.id}", approve_removals=action == "approve removals")


def set_paused(core: Core, caller: ApiKey, what: What, name: str, paused: bool) -> None:
    """Let a configured audience or conversion feed start on schedule or not."""
    core.store.audit.add(AuditRecord(who=who(caller), action="pause" if paused else "resume", what=what, name=name))
    core.store.schedules.pause(name, paused)


def _set_paused(core: Core, caller: ApiKey, name: str, *, paused: bool) -> AudienceView:
    found = entry(core, "audience", name)
    set_paused(core, caller, "audience", name, paused)
    (view,) = _views(core, [found])
    return view


def _views(core: Core, activations: Sequence[Activation]) -> list[AudienceView]:
    names = [one.name for one in activations]
    refs, runs = core.store.audience_refs(names), core.store.last_runs(names)
    paused = core.store.schedules.paused(names)
    return [
        AudienceView(activation=one, paused=one.name in paused, ref=refs.get(one.name), last_run=runs.get(one.name))
        for one in activations
    ]
