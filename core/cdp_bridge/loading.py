"""Imports a connector's code, once something is to be done with it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from .errors import ConfigError
from .model import Connector
from .redact import redact


def implementation(connector: Connector) -> Any:
    """The module or object that does a connector's work; ConfigError if its code cannot be imported."""
    path, _, attribute = connector.load.partition(":")
    try:
        module = import_module(path)
        return getattr(module, attribute) if attribute else module
    except (Exception, SystemExit) as error:
        raise ConfigError(
            f"the connector's code cannot be loaded: {redact(f'{type(error).__name__}: {error}')}",
            place=connector.name,
            remedy=f"Reinstall the package that brings {path}",
        ) from error
