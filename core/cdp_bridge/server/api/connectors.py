"""/v1/connectors: the installed connectors and the JSON schemas of their settings."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Controller
from msgspec import Struct

from cdp_bridge import settings
from cdp_bridge.model import Connector, DeliveryGuarantee, Kind
from cdp_bridge.server.web.endpoint import Core, CoreGiven, Limit, PageToken, PathText, reads
from cdp_bridge.server.web.paging import Listing, page_of_all
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
    def list_connectors(self, core: CoreGiven, limit: Limit = 50, cursor: PageToken = None) -> Listing[ConnectorView]:
        """List the installed connectors, by name."""
        listed = page_of_all(
            core.page_tokens, core.registry.connectors.values(), limit, cursor, lambda connector: [connector.name]
        )
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
