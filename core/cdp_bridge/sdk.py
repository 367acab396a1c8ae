"""Everything that a connector may import."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from cdp_bridge.errors import ConfigError, RejectedError, TransientError
from cdp_bridge.hooks import hookimpl
from cdp_bridge.model import (
    Audience,
    AudienceRef,
    Batch,
    Catalog,
    Checkpoint,
    Connector,
    Conversion,
    Inventory,
    Item,
    Limits,
    OAuth,
    Outcome,
    Page,
    Probe,
    ReadRequest,
    Stream,
)
from cdp_bridge.secrets import Secret
from cdp_bridge.settings import option

if TYPE_CHECKING:
    from cdp_bridge.find_or_create import find_or_create
    from cdp_bridge.http.client import Client
    from cdp_bridge.http.error_table import ErrorRule, ErrorTable
    from cdp_bridge.http.tokens import Token
    from cdp_bridge.probes import run_probes

__all__ = [
    "Audience",
    "AudienceRef",
    "Batch",
    "Catalog",
    "Checkpoint",
    "Client",
    "ConfigError",
    "Connector",
    "Conversion",
    "ErrorRule",
    "ErrorTable",
    "Inventory",
    "Item",
    "Limits",
    "OAuth",
    "Outcome",
    "Page",
    "Probe",
    "ReadRequest",
    "RejectedError",
    "Secret",
    "Stream",
    "Token",
    "TransientError",
    "find_or_create",
    "hookimpl",
    "option",
    "run",
    "run_probes",
]

_LAZY = {
    "Client": "http.client",
    "ErrorRule": "http.error_table",
    "ErrorTable": "http.error_table",
    "Token": "http.tokens",
    "find_or_create": "find_or_create",
    "run_probes": "probes",
}
"""What is for work only, and the module it is in: an HTTP client costs more than a whole `spec`."""


def run(connector: Connector, argv: Sequence[str] | None = None) -> NoReturn:
    """Be the connector's executable of the Airbyte protocol, from command line to exit code.

    `main = partial(run, CONNECTOR)` in `__init__.py` is what a console script needs. `argv` are the arguments, those of
    the process unless given.
    """
    from cdp_bridge.protocol import run

    run(connector, argv)


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_LAZY[name]}", __package__), name)
