"""The conformance kit: the MUSTs of docs/connector-spec.md as tests that a connector's author inherits."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cdp_bridge.testing.rules.destination import DestinationSuite
    from cdp_bridge.testing.rules.source import SourceSuite
    from cdp_bridge.testing.twin import DestinationTwin, SourceTwin

# Every pytest of the environment loads the plugin in this package; it must not pay for the suites.
_ON_FIRST_USE = {
    "DestinationSuite": "rules.destination",
    "DestinationTwin": "twin",
    "SourceSuite": "rules.source",
    "SourceTwin": "twin",
}

__all__ = ["DestinationSuite", "DestinationTwin", "SourceSuite", "SourceTwin"]


def __getattr__(name: str) -> Any:
    if name not in _ON_FIRST_USE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_ON_FIRST_USE[name]}", __package__), name)
