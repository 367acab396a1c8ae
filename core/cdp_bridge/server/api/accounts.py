"""/v1/connections and /v1/destinations: accounts at CDPs and at ad platforms."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar

from litestar import Controller, Response
from litestar.params import JSONBody, QueryParameter
from msgspec import Struct
from msgspec.structs import replace

from cdp_bridge.configuration.differences import entries
from cdp_bridge.entities import ApiKey, CDPConnection, CDPSegment, DestinationAccount
from cdp_bridge.model import Inventory, Probe, Stream
from cdp_bridge.server.api.segments import listed, remember
from cdp_bridge.server.api.sign_in import Confirmation, SignIn, begin, confirm
from cdp_bridge.server.web.connector_calls import NoAnswerError
from cdp_bridge.server.web.editing import entry
from cdp_bridge.server.web.endpoint import (
    FROM_CONNECTOR,
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
from cdp_bridge.server.web.paging import Limit, Listing, PageRequest, PageToken
from cdp_bridge.server.web.problems import missing
from cdp_bridge.server.web.resources import READ_ONLY, Patch, Resources, Sort
from cdp_bridge.server.web.stored_secrets import storing_secrets

R = TypeVar("R", bound=Struct)


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


class ConnectionResource(CDPConnection, kw_only=True, forbid_unknown_fields=True, omit_defaults=False):
    """An account at a CDP. `cdp_provider` is the name of the source connector, `api_credentials` are its settings.

    A secret in these is stored encrypted, and a reference stands in its place. `sync_schedule` (UTC) is for audiences
    that have no schedule of their own. `connection_status` is the outcome of the last check.
    """

    connection_status: Annotated[Literal["unchecked", "connected", "failed"], READ_ONLY] = "unchecked"
    created_at: Annotated[datetime | None, READ_ONLY] = None
    updated_at: Annotated[datetime | None, READ_ONLY] = None


class DestinationResource(DestinationAccount, kw_only=True, forbid_unknown_fields=True, omit_defaults=False):
    """An account at an ad platform. A secret in `settings` is stored encrypted, and a reference stands in its place."""

    created_at: Annotated[datetime | None, READ_ONLY] = None
    updated_at: Annotated[datetime | None, READ_ONLY] = None


class _Accounts(Resources[R]):
    def saving(self, core: Core, entry: Any, before: Any) -> AbstractContextManager[Any]:
        """The account with references in place of secrets."""
        return storing_secrets(core, entry, before)


CONNECTIONS = _Accounts("connection", ConnectionResource, CDPConnection)
DESTINATIONS = _Accounts("destination", DestinationResource, DestinationAccount)


class Connections(Controller):
    """Accounts at CDPs."""

    path = "/connections"
    tags = ("connections",)

    @reads("/")
    def list_connections(
        self,
        core: CoreGiven,
        cdp_provider: Filter = None,
        connection_status: Annotated[
            Literal["unchecked", "connected", "failed"] | None, QueryParameter(name="connection_status")
        ] = None,
        sort: Sort = "name",
        limit: Limit = 50,
        cursor: PageToken = None,
    ) -> Listing[ConnectionResource]:
        """List connections."""
        chosen = {
            account.name: account
            for account in core.store.bridge().connections
            if cdp_provider in (None, account.cdp_provider) and connection_status in (None, account.connection_status)
        }
        return CONNECTIONS.page(core, chosen, PageRequest(limit, cursor, sort))

    @posts("/", "admin")
    def create_connection(
        self, core: CoreGiven, caller: Caller, data: JSONBody[ConnectionResource]
    ) -> Response[ConnectionResource]:
        """Create a connection."""
        return CONNECTIONS.create(core, caller, data)

    @reads("/{name:str}")
    def connection(self, core: CoreGiven, name: PathText) -> Response[ConnectionResource]:
        """One connection."""
        return CONNECTIONS.read(core, name)

    @puts("/{name:str}", "admin")
    def replace_connection(
        self,
        core: CoreGiven,
        caller: Caller,
        name: PathText,
        data: JSONBody[ConnectionResource],
        if_match: IfMatch = None,
    ) -> Response[ConnectionResource]:
        """Replace a connection; it is unchecked then. References that it had may stay."""
        answer = CONNECTIONS.replace(core, caller, name, data, if_match)
        return _unchecked(core, name, answer)

    @patches("/{name:str}", "admin")
    def patch_connection(
        self, core: CoreGiven, caller: Caller, name: PathText, data: Patch, if_match: IfMatch = None
    ) -> Response[ConnectionResource]:
        """Change fields of a connection; it is unchecked then."""
        answer = CONNECTIONS.patch(core, caller, name, data, if_match)
        return _unchecked(core, name, answer)

    @deletes("/{name:str}", "admin", also=(409,))
    def delete_connection(self, core: CoreGiven, caller: Caller, name: PathText, if_match: IfMatch = None) -> None:
        """Delete a connection that no audience uses, with its secrets."""
        CONNECTIONS.delete(core, caller, name, if_match)

    @posts("/{name:str}/check", status_code=200, also=FROM_CONNECTOR)
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

    @posts("/{name:str}/connect", "admin", status_code=200, also=(422,), opt={"unrecorded": True})
    def connect_connection(self, core: CoreGiven, caller: Caller, name: PathText) -> SignIn:
        """Where a person signs in at the CDP, so that the token becomes that of the connection."""
        return begin(core, caller, entry(core, "connection", name))

    @posts("/{name:str}/connect/confirm", "admin", status_code=204, also=FROM_CONNECTOR)
    def confirm_connection(self, core: CoreGiven, caller: Caller, name: PathText, data: JSONBody[Confirmation]) -> None:
        """Let the connection use what a person has granted, with the code that the browser showed."""
        confirm(core, caller, entry(core, "connection", name), data.code)

    @posts("/{name:str}/discover", status_code=200, also=FROM_CONNECTOR)
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
        self,
        core: CoreGiven,
        connector: Filter = None,
        sort: Sort = "name",
        limit: Limit = 50,
        cursor: PageToken = None,
    ) -> Listing[DestinationResource]:
        """List destinations."""
        chosen = {
            account.name: account
            for account in core.store.bridge().destinations
            if connector in (None, account.connector)
        }
        return DESTINATIONS.page(core, chosen, PageRequest(limit, cursor, sort))

    @posts("/", "admin")
    def create_destination(
        self, core: CoreGiven, caller: Caller, data: JSONBody[DestinationResource]
    ) -> Response[DestinationResource]:
        """Create a destination."""
        return DESTINATIONS.create(core, caller, data)

    @reads("/{name:str}")
    def destination(self, core: CoreGiven, name: PathText) -> Response[DestinationResource]:
        """One destination."""
        return DESTINATIONS.read(core, name)

    @puts("/{name:str}", "admin")
    def replace_destination(
        self,
        core: CoreGiven,
        caller: Caller,
        name: PathText,
        data: JSONBody[DestinationResource],
        if_match: IfMatch = None,
    ) -> Response[DestinationResource]:
        """Replace a destination; references that it had may stay."""
        return DESTINATIONS.replace(core, caller, name, data, if_match)

    @patches("/{name:str}", "admin")
    def patch_destination(
        self, core: CoreGiven, caller: Caller, name: PathText, data: Patch, if_match: IfMatch = None
    ) -> Response[DestinationResource]:
        """Change fields of a destination."""
        return DESTINATIONS.patch(core, caller, name, data, if_match)

    @deletes("/{name:str}", "admin", also=(409,))
    def delete_destination(self, core: CoreGiven, caller: Caller, name: PathText, if_match: IfMatch = None) -> None:
        """Delete a destination that no audience uses, with its secrets."""
        DESTINATIONS.delete(core, caller, name, if_match)

    @posts("/{name:str}/check", status_code=200, also=FROM_CONNECTOR)
    def check_destination(self, core: CoreGiven, caller: Caller, name: PathText) -> Checked:
        """Check credentials, permissions and reachability."""
        destination: DestinationAccount = entry(core, "destination", name)
        core.audit(caller, "check", "destination", name)
        return _checked(core, destination.connector, destination.settings)

    @posts("/{name:str}/discover", status_code=200, also=FROM_CONNECTOR)
    def discover_destination(self, core: CoreGiven, caller: Caller, name: PathText) -> Offered:
        """Ask for the objects that can be written, and the platform for its accounts and audiences."""
        destination: DestinationAccount = entry(core, "destination", name)
        core.audit(caller, "discover", "destination", name)
        return core.connector_calls.discover(
            destination.connector,
            destination.settings,
            lambda account: Offered(account.catalog.streams, account.inventory()),
        )

    @posts("/{name:str}/connect", "admin", status_code=200, also=(422,), opt={"unrecorded": True})
    def connect_destination(self, core: CoreGiven, caller: Caller, name: PathText) -> SignIn:
        """Where a person signs in at the platform, so that the token becomes that of the destination."""
        return begin(core, caller, entry(core, "destination", name))

    @posts("/{name:str}/connect/confirm", "admin", status_code=204, also=FROM_CONNECTOR)
    def confirm_destination(
        self, core: CoreGiven, caller: Caller, name: PathText, data: JSONBody[Confirmation]
    ) -> None:
        """Let the destination use what a person has granted, with the code that the browser showed."""
        confirm(core, caller, entry(core, "destination", name), data.code)


def _unchecked(core: Core, name: str, answer: Response[ConnectionResource]) -> Response[ConnectionResource]:
    core.store.set_connection_status(name, "unchecked")
    answer.content = replace(answer.content, connection_status="unchecked")
    return answer


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
