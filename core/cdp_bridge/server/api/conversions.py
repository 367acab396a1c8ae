"""/v1/conversions: conversion feeds to destinations, and their state."""

from __future__ import annotations

from collections.abc import Sequence

from litestar import Controller, Response
from litestar.params import JSONBody
from msgspec import Struct

from cdp_bridge.entities import ConversionFeed, RunRequest, SyncLog
from cdp_bridge.errors import ConfigError
from cdp_bridge.server.api.audiences import ask, set_paused
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


class ConversionsView(Struct, frozen=True, kw_only=True):
    """A conversion feed, and its last run with funnel and share of accepted events."""

    feed: ConversionFeed
    paused: bool
    last_run: SyncLog | None = None


class Conversions(Controller):
    """Conversion feeds."""

    path = "/conversions"
    tags = ("conversions",)

    @reads("/")
    def list_conversions(
        self,
        core: CoreGiven,
        connection: Filter = None,
        destination: Filter = None,
        limit: Limit = 50,
        cursor: PageToken = None,
    ) -> Listing[ConversionsView]:
        """List conversion feeds, by name."""
        chosen = [
            feed
            for feed in core.store.bridge().conversions
            if connection in (None, feed.connection) and destination in (None, feed.destination)
        ]
        listed = page_of_all(core.page_tokens, chosen, limit, cursor, lambda feed: [feed.name])
        return Listing(items=_views(core, listed.items), next=listed.next)

    @posts("/")
    def feed(self, core: CoreGiven, caller: Caller, data: JSONBody[ConversionFeed]) -> Response[ConversionFeed]:
        """Send the conversions in a stream to a destination, from now on."""
        create(core, caller, "conversion", data.name, data)
        headers = {"ETag": etag(data), "Location": f"/v1/conversions/{data.name}"}
        return Response(data, status_code=201, headers=headers)

    @reads("/{name:str}")
    def conversion_feed(self, core: CoreGiven, name: PathText) -> Response[ConversionsView]:
        """One conversion feed."""
        feed = entry(core, "conversion", name)
        (view,) = _views(core, [feed])
        return Response(view, headers={"ETag": etag(feed)})

    @puts("/{name:str}")
    def replace_conversion_feed(
        self, core: CoreGiven, caller: Caller, name: PathText, data: JSONBody[ConversionFeed], if_match: IfMatch = None
    ) -> Response[ConversionFeed]:
        """Replace the feed; events that were sent are not sent again."""
        if data.name != name:
            raise ConfigError("is not the name in the address", place="name", remedy="Names cannot be changed")
        change_entry(core, caller, "conversion", name, data, if_match)
        return Response(data, headers={"ETag": etag(data)})

    @deletes("/{name:str}")
    def delete_conversion_feed(self, core: CoreGiven, caller: Caller, name: PathText, if_match: IfMatch = None) -> None:
        """Send no more of it."""
        delete_entry(core, caller, "conversion", name, if_match)

    @posts("/{name:str}/sync", status_code=202)
    def sync_conversions(self, core: CoreGiven, caller: Caller, name: PathText) -> RunRequest:
        """Ask for a run now."""
        entry(core, "conversion", name)
        return ask(core, caller, name, "sync")

    @posts("/{name:str}/pause", status_code=200)
    def pause_conversions(self, core: CoreGiven, caller: Caller, name: PathText) -> ConversionsView:
        """Start it on schedule no more."""
        return _set_paused(core, caller, name, paused=True)

    @posts("/{name:str}/resume", status_code=200)
    def resume_conversions(self, core: CoreGiven, caller: Caller, name: PathText) -> ConversionsView:
        """Start it on schedule again, with the next slot."""
        return _set_paused(core, caller, name, paused=False)


def _set_paused(core: Core, caller: Caller, name: str, *, paused: bool) -> ConversionsView:
    feed = entry(core, "conversion", name)
    set_paused(core, caller, "conversion", name, paused)
    (view,) = _views(core, [feed])
    return view


def _views(core: Core, feeds: Sequence[ConversionFeed]) -> list[ConversionsView]:
    names = [feed.name for feed in feeds]
    runs, paused = core.store.last_runs(names), core.store.schedules.paused(names)
    return [ConversionsView(feed=feed, paused=feed.name in paused, last_run=runs.get(feed.name)) for feed in feeds]
