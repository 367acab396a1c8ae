"""The flow of work between processes and hosts: NATS JetStream, and nothing else knows of it."""

from cdp_bridge.flow.address import Address, Find, local
from cdp_bridge.flow.consumption import Delivery, Handler
from cdp_bridge.flow.failures import FullError
from cdp_bridge.flow.flow import Flow
from cdp_bridge.flow.server import LocalServer
from cdp_bridge.flow.streams import RUNS, UNDELIVERABLE, RunOrder, Stream, Undeliverable

__all__ = [
    "RUNS",
    "UNDELIVERABLE",
    "Address",
    "Delivery",
    "Find",
    "Flow",
    "FullError",
    "Handler",
    "LocalServer",
    "RunOrder",
    "Stream",
    "Undeliverable",
    "local",
]
