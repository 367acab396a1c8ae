"""Passes work between processes and hosts through queues of NATS JetStream."""

from cdp_bridge.flow.address import Address, Find, local
from cdp_bridge.flow.consumption import FlowMessage, Handler
from cdp_bridge.flow.failures import FullError
from cdp_bridge.flow.flow import Flow
from cdp_bridge.flow.queues import RUNS, UNDELIVERABLE, Queue, RunOrder, Undeliverable
from cdp_bridge.flow.server import LocalServer

__all__ = [
    "RUNS",
    "UNDELIVERABLE",
    "Address",
    "Find",
    "Flow",
    "FlowMessage",
    "FullError",
    "Handler",
    "LocalServer",
    "Queue",
    "RunOrder",
    "Undeliverable",
    "local",
]
