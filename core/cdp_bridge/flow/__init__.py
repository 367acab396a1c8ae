"""The flow of work between processes and hosts: NATS JetStream, and nothing else knows of it."""

from .address import Address, Find, local
from .consumption import Delivery, Handler
from .failures import FullError
from .flow import Flow
from .server import LocalServer
from .streams import RUNS, UNDELIVERABLE, RunOrder, Stream, Undeliverable

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
