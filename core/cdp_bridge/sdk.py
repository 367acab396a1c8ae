"""Everything that a connector may import."""

from __future__ import annotations

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
    from cdp_bridge.http import Client

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
    "TransientError",
    "hookimpl",
    "option",
    "run",
]


def run(connector: Connector, argv: Sequence[str] | None = None) -> NoReturn:
    """Be the connector's executable of the Airbyte protocol, from command line to exit code.

    `main = partial(run, CONNECTOR)` in `__init__.py` is what a console script needs. `argv` are the arguments, those of
    the process unless given.
    """
    from cdp_bridge.protocol import run

    run(connector, argv)


def __getattr__(name: str) -> Any:
    # The HTTP client costs more than a whole `spec`, so it is imported on first use.
    if name != "Client":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from cdp_bridge.http import Client

    return Client
