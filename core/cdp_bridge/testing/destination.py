"""The MUSTs of a destination (26 to 41)."""

from __future__ import annotations

import uuid

import pytest

from ..model import Audience
from .bench import Clock, DestinationBench, pointed_at
from .relay import Relay
from .suite import ConnectorSuite
from .twin import DestinationTwin


class DestinationSuite(ConnectorSuite):
    """The kit for a destination: `class TestAcme(DestinationSuite): connector = CONNECTOR`, and a fixture `twin`."""

    @pytest.fixture
    def bench(self, twin: DestinationTwin, relay: Relay | None, clock: Clock) -> DestinationBench:
        """The destination, pointed at the relay, with an audience of its own."""
        raw = pointed_at(relay, twin, twin.settings)
        audience = Audience(marker=f"kit-{uuid.uuid4().hex}", name="Conformance kit")
        return DestinationBench(self.connector, raw, relay, clock, twin, audience)

    def test_must_28_who_was_added_and_not_removed_is_there(self, bench: DestinationBench) -> None:
        """After adds and removes the audience holds exactly those who should be in it."""
        bench.send("add", range(20))
        assert bench.held() == bench.values(range(20))
        bench.send("remove", range(5, 10))
        assert bench.held() == bench.values([*range(5), *range(10, 20)])
