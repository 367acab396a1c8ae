"""Imports a connector's code when it is needed, and validates what it returns."""

from __future__ import annotations

from importlib import import_module
from typing import Any, TypeVar, get_origin

import msgspec

from cdp_bridge.errors import ConfigError
from cdp_bridge.model import Connector, Probe
from cdp_bridge.redact import redact
from cdp_bridge.retry import time_limit
from cdp_bridge.structs import make_ready

T = TypeVar("T")

CHECK_SECONDS = 30.0
"""How long a check waits for hosts that do not answer; a person waits for it."""


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


def checked(code: Any, settings: Any) -> list[Probe]:
    """The probes of a connector, validated as in `validated`."""
    with time_limit(CHECK_SECONDS):
        return validated(list[Probe], code.check(settings))


def validated(expected: type[T], value: Any) -> T:
    """A copy of what a connector returned, validated in all its parts; raises ValidationError, TypeError or another.

    A Struct that is built by hand may hold values of any type.
    """
    # A decoded answer of the vendor would pass as an Outcome without refusals.
    if not isinstance(value, get_origin(expected) or expected):
        raise TypeError(f"a {expected} was expected")
    return msgspec.json.decode(msgspec.json.encode(value), type=expected)
