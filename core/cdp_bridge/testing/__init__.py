"""The conformance kit: the MUSTs of docs/connector-spec.md as tests that a connector's author inherits."""

from .destination import DestinationSuite
from .source import SourceSuite
from .twin import DestinationTwin, SourceTwin

__all__ = ["DestinationSuite", "DestinationTwin", "SourceSuite", "SourceTwin"]
