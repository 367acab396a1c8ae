"""A connector's code, imported once something is to be done with it, and a look at what it returns."""

from __future__ import annotations

from importlib import import_module
from typing import Any, TypeVar, get_origin

import msgspec

from cdp_bridge.errors import ConfigError
from cdp_bridge.model import Connector
from cdp_bridge.redact import redact
from cdp_bridge.structs import make_ready

T = TypeVar("T")


def implementation(connector: Connector) -> Any:
    """The module or object that does a connector's work; ConfigError if its code cannot be imported."""
    path, _, attribute = connector.load.partition(":")
    try:
        module = import_module(path)
        make_ready()
        return getattr(module, attribute) if attribute else module
    except (Exception, SystemExit) as error:
        raise ConfigError(
            f"the connector's code cannot be loaded: {redact(f'{type(error).__name__}: {error}')}",
            place=connector.name,
            remedy=f"Reinstall the package that brings {path}",
        ) from error


def validated(kind: type[T], value: Any) -> T:
    """A copy of what a connector returned, of that type in all its parts; ValidationError, TypeError or another if not.

    A Struct that is built by hand may hold anything.
    """
    # The vendor's own answer, decoded, would do for an Outcome without any refusal.
    if not isinstance(value, get_origin(kind) or kind):
        raise TypeError(f"a {kind} was expected")
    return msgspec.json.decode(msgspec.json.encode(value), type=kind)
