"""/v1/audiences: activations of segments, and the state of their audiences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated, Any, TypeVar

from litestar import Controller, Response
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter
from msgspec import Struct

from cdp_bridge.entities import Activation, ApiKey, ConversionFeed, EntryKind, MatchEstimate, RunRequest, Sync, SyncLog
from cdp_bridge.model import AudienceRef
from cdp_bridge.server.web.editing import entry
from cdp_bridge.server.web.endpoint import (
    Caller,
    Core,
    CoreGiven,
    Filter,
    IfMatch,
    PathText,
    deletes,
    patches,
    posts,
    puts,
    reads,
)
from cdp_bridge.server.web.paging import Limit, Listing, LogPageGiven, PageRequest, PageToken
from cdp_bridge.server.web.problems import missing
from cdp_bridge.server.web.resources import READ_ONLY, Patch, Resources, Sort

S = TypeVar("S", bound=Sync)


class AudienceResource(Activation, kw_only=True, forbid_unknown_fields=True, omit_defaults=False):
    """A segment that is kept in sync with an audience of a destination, and how that goes.

    `ref` is the audience at the platform, `size` how many members that has acknowledged, counted for a single audience
    only. `last_run` has funnel and acceptance rate, `match` is the platform's own estimate of whom it knows. A `paused`
    one is started by hand only.
    """

    created_at: Annotated[datetime | None, READ_ONLY] = None
    updated_at: Annotated[datetime | None, READ_ONLY] = None
    paused: Annotated[bool, READ_ONLY] = False
    ref: Annotated[AudienceRef | None, READ_ONLY] = None
    size: Annotated[int | None, READ_ONLY] = None
    last_run: Annotated[SyncLog | None, READ_ONLY] = None
    match: Annotated[MatchEstimate | None, READ_ONLY] = None


class _Audiences(Resources[AudienceResource]):
    def state(self, core: Core, names: Sequence[str], *, whole: bool) -> dict[str, dict[str, Any]]:
        """How the audiences are."""
        refs, runs = core.store.audience_refs(names), core.store.last_runs(names)
        estimates, paused = core.store.match_estimates.last(names), core.store.schedules.paused(names)
        return {
            name: {
                "paused": name in paused,
                "ref": refs.get(name),
                "size": core.store.ledger.count(name) if whole else None,
                "last_run": runs.get(name),
                "match": estimates.get(name),
            }
            for name in names
        }


AUDIENCES = _Audiences("audience", AudienceResource, Activation)


class SyncFilter(Struct, frozen=True, kw_only=True):
    """Which audiences or conversion feeds a list has; None stands for any."""

    connection: Filter = None
    destination: Filter = None
    mapping: Filter = None
    paused: Annotated[bool | None, QueryParameter()] = None

    def chosen(self, core: Core, syncs: Iterable[S]) -> list[S]:
        """Those of them that are wanted."""
        chosen = [
            sync
            for sync in syncs
            if self.connection in (None, sync.connection)
            and self.destination in (None, sync.destination)
            and self.mapping in (None, sync.mapping)
        ]
        paused = core.store.schedules.paused([sync.name for sync in chosen]) if self.paused is not None else ()
        return [sync for sync in chosen if self.paused in (None, sync.name in paused)]


SyncFilterGiven = NamedDependency[SyncFilter]


class Audiences(Controller):
    """Activations and their audiences."""

    path = "/audiences"
    tags = ("audiences",)

    @reads("/")
    def list_audiences(
        self,
        core: CoreGiven,
        of: SyncFilterGiven,
        segment: Filter = None,
        sort: Sort = "name",
        limit: Limit = 50,
        cursor: PageToken = None,
    ) -> Listing[AudienceResource]:
        """List audiences."""
        chosen = {
            audience.name: audience
            for audience in of.chosen(core, core.store.bridge().audiences)
            if segment in (None, audience.segment)
        }
        return AUDIENCES.page(core, chosen, PageRequest(limit, cursor, sort))

    @posts("/")
    def activate(self, core: CoreGiven, caller: Caller, data: JSONBody[AudienceResource]) -> Response[AudienceResource]:
        """Activate a segment: keep an audience of a destination in sync with it from now on."""
        return AUDIENCES.create(core, caller, data)

    @reads("/{name:str}")
    def audience(self, core: CoreGiven, name: PathText) -> Response[AudienceResource]:
        """One audience, with its size."""
        return AUDIENCES.read(core, name)

    @puts("/{name:str}")
    def replace_audience(
        self,
        core: CoreGiven,
        caller: Caller,
        name: PathText,
        data: JSONBody[AudienceResource],
        if_match: IfMatch = None,
    ) -> Response[AudienceResource]:
        """Replace the activation; the next run changes the audience accordingly."""
        return AUDIENCES.replace(core, caller, name, data, if_match)

    @patches("/{name:str}")
    def patch_audience(
        self, core: CoreGiven, caller: Caller, name: PathText, data: Patch, if_match: IfMatch = None
    ) -> Response[AudienceResource]:
        """Change fields of the activation; the next run changes the audience accordingly."""
        return AUDIENCES.patch(core, caller, name, data, if_match)

    @deletes("/{name:str}", also=(409,))
    def delete_audience(self, core: CoreGiven, caller: Caller, name: PathText, if_match: IfMatch = None) -> None:
        """Sync it no more; the audience stays at the platform."""
        AUDIENCES.delete(core, caller, name, if_match)

    @reads("/{name:str}/match-estimates")
    def list_match_estimates(self, core: CoreGiven, log_page: LogPageGiven, name: PathText) -> Listing[MatchEstimate]:
        """What the platform has said of whom it knows in the audience and its uploads."""
        entry(core, "audience", name)
        window = core.page_tokens.window(log_page, tuple[datetime, str])
        estimates = core.store.match_estimates.listed(name, window)
        return core.page_tokens.page(log_page, estimates, lambda each: (each.at, each.source))

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
    def pause(self, core: CoreGiven, caller: Caller, name: PathText) -> Response[AudienceResource]:
        """Start it on schedule no more."""
        set_paused(core, caller, "audience", name, paused=True)
        return AUDIENCES.read(core, name)

    @posts("/{name:str}/resume", status_code=200)
    def resume(self, core: CoreGiven, caller: Caller, name: PathText) -> Response[AudienceResource]:
        """Start it on schedule again, with the next slot."""
        set_paused(core, caller, "audience", name, paused=False)
        return AUDIENCES.read(core, name)


def ask(core: Core, caller: ApiKey, name: str, action: str) -> RunRequest:
    """Ask for a run of a configured audience or conversion feed; problem 404."""
    sync = next((sync for sync in core.store.bridge().syncs if sync.name == name), None)
    if sync is None:
        raise missing("audience")
    kind = "conversion" if isinstance(sync, ConversionFeed) else "audience"
    core.audit(caller, action, kind, name)
    return core.store.requests.add(name, f"api key {caller.id}", approve_removals=action == "approve removals")


def set_paused(core: Core, caller: ApiKey, kind: EntryKind, name: str, *, paused: bool) -> None:
    """Let a configured audience or conversion feed start on schedule or not; problem 404."""
    entry(core, kind, name)
    core.audit(caller, "pause" if paused else "resume", kind, name)
    core.store.schedules.pause(name, paused)
