"""Everything that a connector may import."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .errors import BridgeError, ConfigError, RejectedError, TransientError
from .hooks import hookimpl
from .model import (
    Audience,
    AudienceRef,
    Batch,
    Catalog,
    Checkpoint,
    Connector,
    Destination,
    Launcher,
    LifecycleEvent,
    Limits,
    MappingFunction,
    Outcome,
    Page,
    Probe,
    ReadRequest,
    Source,
    Stream,
    Writer,
)
from .redact import redact
from .settings import Secret, option

if TYPE_CHECKING:
    from .http import Client, by_status, decode_json, retry_after
    from .protocol import run

# The HTTP client and the protocol cost more than a whole `spec`, so they are imported on first use.
_ON_FIRST_USE = {"Client": "http", "by_status": "http", "decode_json": "http", "retry_after": "http", "run": "protocol"}

__all__ = [
    "Audience",
    "AudienceRef",
    "Batch",
    "BridgeError",
    "Catalog",
    "Checkpoint",
    "Client",
    "ConfigError",
    "Connector",
    "Destination",
    "Launcher",
    "LifecycleEvent",
    "Limits",
    "MappingFunction",
    "Outcome",
    "Page",
    "Probe",
    "ReadRequest",
    "RejectedError",
    "Secret",
    "Source",
    "Stream",
    "TransientError",
    "Writer",
    "by_status",
    "decode_json",
    "hookimpl",
    "option",
    "redact",
    "retry_after",
    "run",
]


def __getattr__(name: str) -> Any:
    if name not in _ON_FIRST_USE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_ON_FIRST_USE[name]}", __package__), name)
