"""/v1/audiences: activations of segments, and the state of their audiences."""

from __future__ import annotations

from collections.abc import Sequence

from litestar import Controller, Response
from litestar.params import JSONBody
from msgspec import Struct
from msgspec.structs import replace

from cdp_bridge.entities import Activation, ApiKey, ConversionFeed, EntryKind, MatchEstimate, RunRequest, SyncLog
from cdp_bridge.errors import ConfigError
from cdp_bridge.model import AudienceRef
from cdp_bridge.server.web.editing import change_entry, create, delete_entry, entry, etag
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


class AudienceView(Struct, frozen=True, kw_only=True):
    """An audience: its activation, its id at the platform, how many members that has acknowledged, its last run.

    `last_run` has funnel and acceptance rate, `match` is the platform's own estimate of whom it knows. `size` is
    counted for a single audience only.
    """

    activation: Activation
    paused: bool
    ref: AudienceRef | None = None
    size: int | None = None
    last_run: SyncLog | None = None
    match: MatchEstimate | None = None


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
        chosen = [
            audience
            for audience in core.store.bridge().audiences
            if connection in (None, audience.connection) and destination in (None, audience.destination)
        ]
        listed = page_of_all(core.page_tokens, chosen, limit, cursor, lambda audience: [audience.name])
        return Listing(items=_views(core, listed.items), next=listed.next)

    @posts("/")
    def activate(self, core: CoreGiven, caller: Caller, data: JSONBody[Activation]) -> Response[Activation]:
        """Activate a segment: keep an audience of a destination in sync with it from now on."""
        create(core, caller, "audience", data.name, data)
        headers = {"ETag": etag(data), "Location": f"/v1/audiences/{data.name}"}
        return Response(data, status_code=201, headers=headers)

    @reads("/{name:str}")
    def audience(self, core: CoreGiven, name: PathText) -> Response[AudienceView]:
        """One audience, with its size."""
        activation = entry(core, "audience", name)
        (view,) = _views(core, [activation])
        view = replace(view, size=core.store.ledger.count(name))
        return Response(view, headers={"ETag": etag(activation)})

    @puts("/{name:str}")
    def replace_audience(
        self, core: CoreGiven, caller: Caller, name: PathText, data: JSONBody[Activation], if_match: IfMatch = None
    ) -> Response[Activation]:
        """Replace the activation; the next run changes the audience accordingly."""
        if data.name != name:
            raise ConfigError("is not the name in the address", place="name", remedy="Names cannot be changed")
        change_entry(core, caller, "audience", name, data, if_match)
        return Response(data, headers={"ETag": etag(data)})

    @deletes("/{name:str}")
    def delete_audience(self, core: CoreGiven, caller: Caller, name: PathText, if_match: IfMatch = None) -> None:
        """Sync it no more; the audience stays at the platform."""
        delete_entry(core, caller, "audience", name, if_match)

    @reads("/{name:str}/match-estimates")
    def list_match_estimates(self, core: CoreGiven, name: PathText, limit: Limit = 50) -> list[MatchEstimate]:
        """What the platform has said of whom it knows in the audience and its uploads, newest first."""
        entry(core, "audience", name)
        return core.store.match_estimates.newest(name, limit)

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
    sync = next((sync for sync in core.store.bridge().syncs if sync.name == name), None)
    if sync is None:
        raise missing("audience")
    kind = "conversion" if isinstance(sync, ConversionFeed) else "audience"
    core.audit(caller, action, kind, name)
    return core.store.requests.add(name, f"api key {caller.id}", approve_removals=action == "approve removals")


def set_paused(core: Core, caller: ApiKey, kind: EntryKind, name: str, paused: bool) -> None:
    """Let a configured audience or conversion feed start on schedule or not."""
    core.audit(caller, "pause" if paused else "resume", kind, name)
    core.store.schedules.pause(name, paused)


def _set_paused(core: Core, caller: ApiKey, name: str, *, paused: bool) -> AudienceView:
    activation = entry(core, "audience", name)
    set_paused(core, caller, "audience", name, paused)
    (view,) = _views(core, [activation])
    return view


def _views(core: Core, activations: Sequence[Activation]) -> list[AudienceView]:
    names = [activation.name for activation in activations]
    refs, runs = core.store.audience_refs(names), core.store.last_runs(names)
    estimates, paused = core.store.match_estimates.last(names), core.store.schedules.paused(names)
    return [
        AudienceView(
            activation=activation,
            paused=name in paused,
            ref=refs.get(name),
            last_run=runs.get(name),
            match=estimates.get(name),
        )
        for name, activation in zip(names, activations, strict=True)
    ]
