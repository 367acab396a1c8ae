"""/v1/conversions: conversion feeds to destinations, and their state."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from litestar import Controller, Response
from litestar.params import JSONBody

from cdp_bridge.entities import ConversionFeed, RunRequest, SyncLog
from cdp_bridge.server.api.audiences import SyncFilterGiven, ask, set_paused
from cdp_bridge.server.web.editing import entry
from cdp_bridge.server.web.endpoint import (
    Caller,
    Core,
    CoreGiven,
    IfMatch,
    PathText,
    deletes,
    patches,
    posts,
    puts,
    reads,
)
from cdp_bridge.server.web.paging import Limit, Listing, PageRequest, PageToken
from cdp_bridge.server.web.resources import READ_ONLY, Patch, Resources, Sort


class ConversionResource(ConversionFeed, kw_only=True, forbid_unknown_fields=True, omit_defaults=False):
    """The conversions in a stream of a connection that a destination is told of, and how that goes.

    `last_run` has funnel and share of accepted events. A `paused` one is started by hand only.
    """

    created_at: Annotated[datetime | None, READ_ONLY] = None
    updated_at: Annotated[datetime | None, READ_ONLY] = None
    paused: Annotated[bool, READ_ONLY] = False
    last_run: Annotated[SyncLog | None, READ_ONLY] = None


class _Conversions(Resources[ConversionResource]):
    def state(self, core: Core, names: Sequence[str], *, whole: bool) -> dict[str, dict[str, Any]]:
        """How the feeds are."""
        runs, paused = core.store.last_runs(names), core.store.schedules.paused(names)
        return {name: {"paused": name in paused, "last_run": runs.get(name)} for name in names}


CONVERSIONS = _Conversions("conversion", ConversionResource, ConversionFeed)


class Conversions(Controller):
    """Conversion feeds."""

    path = "/conversions"
    tags = ("conversions",)

    @reads("/")
    def list_conversions(
        self,
        core: CoreGiven,
        of: SyncFilterGiven,
        sort: Sort = "name",
        limit: Limit = 50,
        cursor: PageToken = None,
    ) -> Listing[ConversionResource]:
        """List conversion feeds."""
        chosen = {feed.name: feed for feed in of.chosen(core, core.store.bridge().conversions)}
        return CONVERSIONS.page(core, chosen, PageRequest(limit, cursor, sort))

    @posts("/")
    def feed(self, core: CoreGiven, caller: Caller, data: JSONBody[ConversionResource]) -> Response[ConversionResource]:
        """Send the conversions in a stream to a destination, from now on."""
        return CONVERSIONS.create(core, caller, data)

    @reads("/{name:str}")
    def conversion_feed(self, core: CoreGiven, name: PathText) -> Response[ConversionResource]:
        """One conversion feed."""
        return CONVERSIONS.read(core, name)

    @puts("/{name:str}")
    def replace_conversion_feed(
        self,
        core: CoreGiven,
        caller: Caller,
        name: PathText,
        data: JSONBody[ConversionResource],
        if_match: IfMatch = None,
    ) -> Response[ConversionResource]:
        """Replace the feed; events that were sent are not sent again."""
        return CONVERSIONS.replace(core, caller, name, data, if_match)

    @patches("/{name:str}")
    def patch_conversion_feed(
        self, core: CoreGiven, caller: Caller, name: PathText, data: Patch, if_match: IfMatch = None
    ) -> Response[ConversionResource]:
        """Change fields of the feed; events that were sent are not sent again."""
        return CONVERSIONS.patch(core, caller, name, data, if_match)

    @deletes("/{name:str}", also=(409,))
    def delete_conversion_feed(self, core: CoreGiven, caller: Caller, name: PathText, if_match: IfMatch = None) -> None:
        """Send no more of it."""
        CONVERSIONS.delete(core, caller, name, if_match)

    @posts("/{name:str}/sync", status_code=202)
    def sync_conversions(self, core: CoreGiven, caller: Caller, name: PathText) -> RunRequest:
        """Ask for a run now."""
        entry(core, "conversion", name)
        return ask(core, caller, name, "sync")

    @posts("/{name:str}/pause", status_code=200)
    def pause_conversions(self, core: CoreGiven, caller: Caller, name: PathText) -> Response[ConversionResource]:
        """Start it on schedule no more."""
        set_paused(core, caller, "conversion", name, paused=True)
        return CONVERSIONS.read(core, name)

    @posts("/{name:str}/resume", status_code=200)
    def resume_conversions(self, core: CoreGiven, caller: Caller, name: PathText) -> Response[ConversionResource]:
        """Start it on schedule again, with the next slot."""
        set_paused(core, caller, "conversion", name, paused=False)
        return CONVERSIONS.read(core, name)
