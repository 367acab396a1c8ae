"""The MUSTs of a source (17 to 25)."""

from __future__ import annotations

import pytest

from .bench import Clock, SourceBench, pointed_at, records
from .relay import Relay
from .suite import ConnectorSuite
from .twin import SourceTwin


class SourceSuite(ConnectorSuite):
    """The kit for a source: `class TestAcme(SourceSuite): connector = CONNECTOR`, and a fixture `twin`."""

    @pytest.fixture
    def bench(self, twin: SourceTwin, relay: Relay | None, clock: Clock) -> SourceBench:
        """The source, pointed at the relay."""
        return SourceBench(self.connector, pointed_at(relay, twin, twin.settings), relay, clock, twin)

    def test_must_18_everybody_is_read(self, bench: SourceBench) -> None:
        """The keys of all records are those of the people in the segment."""
        found = [bench.key(record) for record in records(bench.read())]
        assert sorted(found) == sorted(bench.twin.keys())
