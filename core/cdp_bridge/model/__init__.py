"""The values that flow between the core and connectors, and the contracts that connectors fulfil."""

from cdp_bridge.model.audience import Audience, AudienceRef, Inventory
from cdp_bridge.model.batch import Batch, Operation, Outcome
from cdp_bridge.model.connector import (
    API_VERSION,
    Connector,
    DeliveryGuarantee,
    Kind,
    Limits,
    MappingFunction,
    OAuth,
    Probe,
)
from cdp_bridge.model.destination import Destination, Writer
from cdp_bridge.model.events import Conversion, Item
from cdp_bridge.model.lifecycle import LifecycleEvent
from cdp_bridge.model.process import Channel, Launcher
from cdp_bridge.model.source import Catalog, Checkpoint, Page, ReadRequest, Source, Stream

__all__ = [
    "API_VERSION",
    "Audience",
    "AudienceRef",
    "Batch",
    "Catalog",
    "Channel",
    "Checkpoint",
    "Connector",
    "Conversion",
    "DeliveryGuarantee",
    "Destination",
    "Inventory",
    "Item",
    "Kind",
    "Launcher",
    "LifecycleEvent",
    "Limits",
    "MappingFunction",
    "OAuth",
    "Operation",
    "Outcome",
    "Page",
    "Probe",
    "ReadRequest",
    "Source",
    "Stream",
    "Writer",
]
