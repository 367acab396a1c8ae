"""/v1/connections and /v1/destinations: accounts at CDPs and at ad platforms."""

from __future__ import annotations

from typing import TypeVar

from litestar import Controller, Response
from litestar.params import JSONBody
from msgspec import Struct
from msgspec.structs import replace

from cdp_bridge.configuration.differences import entries
from cdp_bridge.entities import ApiKey, CDPConnection, CDPSegment, DestinationAccount
from cdp_bridge.errors import ConfigError
from cdp_bridge.model import Inventory, Probe, Stream
from cdp_bridge.server.api.segments import listed, remember
from cdp_bridge.server.api.sign_in import Confirmation, SignIn, begin, confirm
from cdp_bridge.server.web.connector_calls import NoAnswerError
from cdp_bridge.server.web.editing import change_entry, create, delete_entry, entry, etag
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
from cdp_bridge.server.web.stored_secrets import storing_secrets

A = TypeVar("A", CDPConnection, DestinationAccount)


class Checked(Struct, frozen=True):
    """The outcome of a check."""

    passed: bool
    probes: list[Probe]


class Discovered(Struct, frozen=True):
    """The streams of a connection, and the segments that the CDP lists."""

    streams: tuple[Stream, ...]
    segments: list[CDPSegment]


class Offered(Struct, frozen=True):
    """The objects that a destination takes, and the accounts and audiences that its credentials reach."""

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
        return page_of_all(
            core.page_tokens, core.store.bridge().connections, limit, cursor, lambda account: [account.name]
        )

    @posts("/", "admin")
    def create_connection(
        self, core: CoreGiven, caller: Caller, data: JSONBody[CDPConnection]
    ) -> Response[CDPConnection]:
        """Create a connection; secrets in `api_credentials` are stored encrypted, and references to them come back."""
        with storing_secrets(core, replace(data, connection_status="unchecked"), None) as value:
            create(core, caller, "connection", value.name, value)
        headers = {"ETag": etag(value), "Location": f"/v1/connections/{value.name}"}
        return Response(value, status_code=201, headers=headers)

    @reads("/{name:str}")
    def connection(self, core: CoreGiven, name: PathText) -> Response[CDPConnection]:
        """One connection."""
        connection = entry(core, "connection", name)
        return Response(connection, headers={"ETag": etag(connection)})

    @puts("/{name:str}", "admin")
    def replace_connection(
        self,
        core: CoreGiven,
        caller: Caller,
        name: PathText,
        data: JSONBody[CDPConnection],
        if_match: IfMatch = None,
    ) -> Response[CDPConnection]:
        """Replace a connection; it is unchecked then. References that it had may stay, new secrets are stored."""
        before = entries(core.store.bridge(), "connection").get(name)
        with storing_secrets(core, replace(_named(name, data), connection_status="unchecked"), before) as value:
            change_entry(core, caller, "connection", name, value, if_match)
        core.store.set_connection_status(name, "unchecked")
        return Response(value, headers={"ETag": etag(value)})

    @deletes("/{name:str}", "admin")
    def delete_connection(self, core: CoreGiven, caller: Caller, name: PathText, if_match: IfMatch = None) -> None:
        """Delete a connection that no audience uses, with its secrets."""
        delete_entry(core, caller, "connection", name, if_match)

    @posts("/{name:str}/check", status_code=200)
    def check_connection(self, core: CoreGiven, caller: Caller, name: PathText) -> Checked:
        """Check credentials, permissions and reachability, and record whether all probes passed."""
        connection: CDPConnection = entry(core, "connection", name)
        core.audit(caller, "check", "connection", name)
        try:
            checked = _checked(core, connection.cdp_provider, connection.api_credentials)
        except NoAnswerError:
            core.store.set_connection_status(name, "failed")
            raise
        core.store.set_connection_status(name, "connected" if checked.passed else "failed")
        return checked

    @posts("/{name:str}/connect", "admin", status_code=200, opt={"unrecorded": True})
    def connect_connection(self, core: CoreGiven, caller: Caller, name: PathText) -> SignIn:
        """Where a person signs in at the CDP, so that the token becomes that of the connection."""
        return begin(core, caller, entry(core, "connection", name))

    @posts("/{name:str}/connect/confirm", "admin", status_code=204)
    def confirm_connection(self, core: CoreGiven, caller: Caller, name: PathText, data: JSONBody[Confirmation]) -> None:
        """Let the connection use what a person has granted, with the code that the browser showed."""
        confirm(core, caller, entry(core, "connection", name), data.code)

    @posts("/{name:str}/discover", status_code=200)
    def discover_connection(self, core: CoreGiven, caller: Caller, name: PathText) -> Discovered:
        """Ask the CDP for its streams and segments; the segments are recorded."""
        connection: CDPConnection = entry(core, "connection", name)
        core.audit(caller, "discover", "connection", name)
        streams, segments = core.connector_calls.discover(
            connection.cdp_provider,
            connection.api_credentials,
            lambda account: (account.catalog.streams, listed(account)),
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
        return page_of_all(
            core.page_tokens, core.store.bridge().destinations, limit, cursor, lambda account: [account.name]
        )

    @posts("/", "admin")
    def create_destination(
        self, core: CoreGiven, caller: Caller, data: JSONBody[DestinationAccount]
    ) -> Response[DestinationAccount]:
        """Create a destination; secrets in `settings` are stored encrypted, and references to them come back."""
        with storing_secrets(core, data, None) as value:
            create(core, caller, "destination", value.name, value)
        headers = {"ETag": etag(value), "Location": f"/v1/destinations/{value.name}"}
        return Response(value, status_code=201, headers=headers)

    @reads("/{name:str}")
    def destination(self, core: CoreGiven, name: PathText) -> Response[DestinationAccount]:
        """One destination."""
        destination = entry(core, "destination", name)
        return Response(destination, headers={"ETag": etag(destination)})

    @puts("/{name:str}", "admin")
    def replace_destination(
        self,
        core: CoreGiven,
        caller: Caller,
        name: PathText,
        data: JSONBody[DestinationAccount],
        if_match: IfMatch = None,
    ) -> Response[DestinationAccount]:
        """Replace a destination; references that it had may stay, new secrets are stored."""
        before = entries(core.store.bridge(), "destination").get(name)
        with storing_secrets(core, _named(name, data), before) as value:
            change_entry(core, caller, "destination", name, value, if_match)
        return Response(value, headers={"ETag": etag(value)})

    @deletes("/{name:str}", "admin")
    def delete_destination(self, core: CoreGiven, caller: Caller, name: PathText, if_match: IfMatch = None) -> None:
        """Delete a destination that no audience uses, with its secrets."""
        delete_entry(core, caller, "destination", name, if_match)

    @posts("/{name:str}/check", status_code=200)
    def check_destination(self, core: CoreGiven, caller: Caller, name: PathText) -> Checked:
        """Check credentials, permissions and reachability."""
        destination: DestinationAccount = entry(core, "destination", name)
        core.audit(caller, "check", "destination", name)
        return _checked(core, destination.connector, destination.settings)

    @posts("/{name:str}/discover", status_code=200)
    def discover_destination(self, core: CoreGiven, caller: Caller, name: PathText) -> Offered:
        """Ask for the objects that can be written, and the platform for its accounts and audiences."""
        destination: DestinationAccount = entry(core, "destination", name)
        core.audit(caller, "discover", "destination", name)
        return core.connector_calls.discover(
            destination.connector,
            destination.settings,
            lambda account: Offered(account.catalog.streams, account.inventory()),
        )

    @posts("/{name:str}/connect", "admin", status_code=200, opt={"unrecorded": True})
    def connect_destination(self, core: CoreGiven, caller: Caller, name: PathText) -> SignIn:
        """Where a person signs in at the platform, so that the token becomes that of the destination."""
        return begin(core, caller, entry(core, "destination", name))

    @posts("/{name:str}/connect/confirm", "admin", status_code=204)
    def confirm_destination(
        self, core: CoreGiven, caller: Caller, name: PathText, data: JSONBody[Confirmation]
    ) -> None:
        """Let the destination use what a person has granted, with the code that the browser showed."""
        confirm(core, caller, entry(core, "destination", name), data.code)


def _named(name: str, data: A) -> A:
    if data.name != name:
        raise ConfigError("is not the name in the address", place="name", remedy="Names cannot be changed")
    return data


def _checked(core: Core, name: str, raw: dict[str, object]) -> Checked:
    probes = core.connector_calls.check(name, raw)
    return Checked(all(probe.passed for probe in probes), probes)


def _pause(core: Core, caller: ApiKey, name: str, *, paused: bool) -> Paused:
    bridge = core.store.bridge()
    if name not in entries(bridge, "connection"):
        raise missing("connection")
    audiences = [sync.name for sync in bridge.syncs if sync.connection == name]
    action = "pause" if paused else "resume"
    core.audit(caller, action, "connection", name)
    for audience in audiences:
        core.store.schedules.pause(audience, paused)
    return Paused(paused, audiences)
