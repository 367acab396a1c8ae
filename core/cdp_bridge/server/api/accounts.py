"""/v1/connections and /v1/destinations: accounts at CDPs and at ad platforms."""

from __future__ import annotations

from typing import TypeVar

from litestar import Controller, Response
from litestar.params import JSONBody
from msgspec import Struct
from msgspec.structs import replace

from cdp_bridge.entities import ApiKey, CDPConnection, CDPSegment, DestinationAccount
from cdp_bridge.errors import ConfigError
from cdp_bridge.model import Inventory, Probe, Stream
from cdp_bridge.server.api.editing import change_entry, create, delete_entry, entries, entry, etag
from cdp_bridge.server.api.segments import listed, remember
from cdp_bridge.server.api.sign_in import SignIn, begin
from cdp_bridge.server.api.stored_secrets import dropping_secrets, kept
from cdp_bridge.server.web.access import who
from cdp_bridge.server.web.connector_calls import NoAnswerError
from cdp_bridge.server.web.endpoint import (
    Caller,
    Core,
    CoreGiven,
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

A = TypeVar("A", CDPConnection, DestinationAccount)


class Checked(Struct, frozen=True):
    """What a check found."""

    passed: bool
    probes: list[Probe]


class Discovered(Struct, frozen=True):
    """What a connection offers: streams, and the segments that the CDP lists."""

    streams: tuple[Stream, ...]
    segments: list[CDPSegment]


class Offered(Struct, frozen=True):
    """What a destination takes, and what its credentials reach at the platform."""

    objects: tuple[Stream, ...]
    inventory: Inventory


class Paused(Struct, frozen=True):
    """Audiences and conversion feeds that are started on schedule no more (`paused`), or again."""

    paused: bool
    audiences: list[str]


class Connections(Controller):
    """Accounts at CDPs."""

    path = "/connections"
    tags = ("connections",)

    @reads("/")
    def list_connections(self, core: CoreGiven, limit: Limit = 50, cursor: PageToken = None) -> Listing[CDPConnection]:
        """List connections, by name."""
        return page_of_all(core.page_tokens, core.store.bridge().connections, limit, cursor, lambda one: [one.name])

    @posts("/", "admin")
    def create_connection(
        self, core: CoreGiven, caller: Caller, data: JSONBody[CDPConnection]
    ) -> Response[CDPConnection]:
        """Create a connection; secrets in `api_credentials` are kept encrypted, and references to them come back."""
        with kept(core, replace(data, connection_status="unchecked"), None) as value:
            create(core, caller, "connection", value.name, value)
        headers = {"ETag": etag(value), "Location": f"/v1/connections/{value.name}"}
        return Response(value, status_code=201, headers=headers)

    @reads("/{name:str}")
    def connection(self, core: CoreGiven, name: PathText) -> Response[CDPConnection]:
        """One connection."""
        found = entry(core, "connection", name)
        return Response(found, headers={"ETag": etag(found)})

    @puts("/{name:str}", "admin")
    def replace_connection(
        self,
        core: CoreGiven,
        caller: Caller,
        name: PathText,
        data: JSONBody[CDPConnection],
        if_match: IfMatch = None,
    ) -> Response[CDPConnection]:
        """Replace a connection; it is unchecked then. References in it that came back stay, new secrets are kept."""
        before = entries(core.store.bridge(), "connection").get(name)
        with kept(core, replace(_named(name, data), connection_status="unchecked"), before) as value:
            change_entry(core, caller, "connection", name, value, if_match)
        core.store.set_connection_status(name, "unchecked")
        return Response(value, headers={"ETag": etag(value)})

    @deletes("/{name:str}", "admin")
    def delete_connection(self, core: CoreGiven, caller: Caller, name: PathText, if_match: IfMatch = None) -> None:
        """Delete a connection that no audience uses, with its secrets."""
        with dropping_secrets(core, entry(core, "connection", name)):
            delete_entry(core, caller, "connection", name, if_match)

    @posts("/{name:str}/check", status_code=200)
    def check_connection(self, core: CoreGiven, name: PathText) -> Checked:
        """Check credentials, permissions and reachability, and remember whether all is well."""
        found: CDPConnection = entry(core, "connection", name)
        try:
            checked = _checked(core, found.cdp_provider, found.api_credentials)
        except NoAnswerError:
            core.store.set_connection_status(name, "failed")
            raise
        core.store.set_connection_status(name, "connected" if checked.passed else "failed")
        return checked

    @posts("/{name:str}/connect", "admin", status_code=200, opt={"unrecorded": True})
    def connect_connection(self, core: CoreGiven, caller: Caller, name: PathText) -> SignIn:
        """Where a person signs in at the CDP, so that the token becomes that of the connection."""
        return begin(core, caller, entry(core, "connection", name))

    @posts("/{name:str}/discover", status_code=200)
    def discover_connection(self, core: CoreGiven, name: PathText) -> Discovered:
        """Ask the CDP for its streams and segments; the segments are remembered."""
        found: CDPConnection = entry(core, "connection", name)
        streams, segments = core.connector_calls.discover(
            found.cdp_provider, found.api_credentials, lambda account: (account.catalog.streams, listed(account))
        )
        return Discovered(streams, remember(core.store, name, segments))

    @posts("/{name:str}/pause", status_code=200)
    def pause_connection(self, core: CoreGiven, caller: Caller, name: PathText) -> Paused:
        """Start no audience of this connection on schedule any more."""
        return _pause(core, caller, name, paused=True)

    @posts("/{name:str}/resume", status_code=200)
    def resume_connection(self, core: CoreGiven, caller: Caller, name: PathText) -> Paused:
        """Start the audiences of this connection on schedule again, with the next slot."""
        return _pause(core, caller, name, paused=False)


class Destinations(Controller):
    """Accounts at ad platforms."""

    path = "/destinations"
    tags = ("destinations",)

    @reads("/")
    def list_destinations(
        self, core: CoreGiven, limit: Limit = 50, cursor: PageToken = None
    ) -> Listing[DestinationAccount]:
        """List destinations, by name."""
        return page_of_all(core.page_tokens, core.store.bridge().destinations, limit, cursor, lambda one: [one.name])

    @posts("/", "admin")
    def create_destination(
        self, core: CoreGiven, caller: Caller, data: JSONBody[DestinationAccount]
    ) -> Response[DestinationAccount]:
        """Create a destination; secrets in `settings` are kept encrypted, and references to them come back."""
        with kept(core, data, None) as value:
            create(core, caller, "destination", value.name, value)
        headers = {"ETag": etag(value), "Location": f"/v1/destinations/{value.name}"}
        return Response(value, status_code=201, headers=headers)

    @reads("/{name:str}")
    def destination(self, core: CoreGiven, name: PathText) -> Response[DestinationAccount]:
        """One destination."""
        found = entry(core, "destination", name)
        return Response(found, headers={"ETag": etag(found)})

    @puts("/{name:str}", "admin")
    def replace_destination(
        self,
        core: CoreGiven,
        caller: Caller,
        name: PathText,
        data: JSONBody[DestinationAccount],
        if_match: IfMatch = None,
    ) -> Response[DestinationAccount]:
        """Replace a destination; references in it that came back stay, new secrets are kept."""
        before = entries(core.store.bridge(), "destination").get(name)
        with kept(core, _named(name, data), before) as value:
            change_entry(core, caller, "destination", name, value, if_match)
        return Response(value, headers={"ETag": etag(value)})

    @deletes("/{name:str}", "admin")
    def delete_destination(self, core: CoreGiven, caller: Caller, name: PathText, if_match: IfMatch = None) -> None:
        """Delete a destination that no audience uses, with its secrets."""
        with dropping_secrets(core, entry(core, "destination", name)):
            delete_entry(core, caller, "destination", name, if_match)

    @posts("/{name:str}/check", status_code=200)
    def check_destination(self, core: CoreGiven, name: PathText) -> Checked:
        """Check credentials, permissions and reachability."""
        found: DestinationAccount = entry(core, "destination", name)
        return _checked(core, found.connector, found.settings)

    @posts("/{name:str}/discover", status_code=200)
    def discover_destination(self, core: CoreGiven, name: PathText) -> Offered:
        """Ask for the objects that can be written, and the platform for its accounts and audiences."""
        found: DestinationAccount = entry(core, "destination", name)
        return core.connector_calls.discover(
            found.connector, found.settings, lambda account: Offered(account.catalog.streams, account.inventory())
        )

    @posts("/{name:str}/connect", "admin", status_code=200, opt={"unrecorded": True})
    def connect_destination(self, core: CoreGiven, caller: Caller, name: PathText) -> SignIn:
        """Where a person signs in at the platform, so that the token becomes that of the destination."""
        return begin(core, caller, entry(core, "destination", name))


def _named(name: str, data: A) -> A:
    if data.name != name:
        raise ConfigError("is not the name in the address", place="name", remedy="Names cannot be changed")
    return data


def _checked(core: Core, name: str, raw: dict[str, object]) -> Checked:
    probes = core.connector_calls.check(name, raw)
    return Checked(all(one.passed for one in probes), probes)


def _pause(core: Core, caller: ApiKey, name: str, *, paused: bool) -> Paused:
    bridge = core.store.bridge()
    if name not in entries(bridge, "connection"):
        raise missing("connection")
    audiences = [one.name for one in bridge.syncs if one.connection == name]
    action = "pause" if paused else "resume"
    core.store.audit.add(AuditRecord(who=who(caller), action=action, what="connection", name=name))
    for audience in audiences:
        core.store.schedules.pause(audience, paused)
    return Paused(paused, audiences)
