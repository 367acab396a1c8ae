"""/v1/connectors: the installed connectors and the JSON schemas of their settings."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from litestar import Controller
from litestar.params import QueryParameter
from msgspec import Struct

from cdp_bridge import settings
from cdp_bridge.model import Connector, DeliveryGuarantee, Kind
from cdp_bridge.server.web.endpoint import Core, CoreGiven, PathText, reads
from cdp_bridge.server.web.paging import Limit, Listing, PageRequest, PageToken
from cdp_bridge.server.web.problems import missing


class ConnectorView(Struct, frozen=True, kw_only=True):
    """A connector that is installed; `spec` is the JSON schema of its settings."""

    name: str
    kind: Kind
    version: str
    delivery: DeliveryGuarantee
    documentation: str
    spec: dict[str, Any]


class Connectors(Controller):
    """The installed connectors."""

    path = "/connectors"
    tags = ("connectors",)

    @reads("/")
    def list_connectors(
        self,
        core: CoreGiven,
        kind: Annotated[Kind | None, QueryParameter()] = None,
        sort: Annotated[Literal["name", "-name"], QueryParameter()] = "name",
        limit: Limit = 50,
        cursor: PageToken = None,
    ) -> Listing[ConnectorView]:
        """List the installed connectors."""
        wanted = PageRequest(limit, cursor, sort)
        chosen = [each for each in core.registry.connectors.values() if kind in (None, each.kind)]
        listed = core.page_tokens.page_of_all(wanted, chosen, lambda each: each.name, lambda each: [each.name])
        return Listing(items=[_view(core, connector) for connector in listed.items], next=listed.next)

    @reads("/{name:str}")
    def connector(self, core: CoreGiven, name: PathText) -> ConnectorView:
        """One connector."""
        connector = core.registry.connectors.get(name)
        if connector is None:
            raise missing("connector")
        return _view(core, connector)


def _view(core: Core, connector: Connector) -> ConnectorView:
    return ConnectorView(
        name=connector.name,
        kind=connector.kind,
        version=core.registry.version(connector),
        delivery=connector.delivery,
        documentation=connector.documentation,
        spec=msgspec.to_builtins(settings.schema(connector.settings)),
    )
