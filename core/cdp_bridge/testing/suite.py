"""The MUSTs of every connector (01 to 16); `DestinationSuite` and `SourceSuite` build on them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from .. import retry
from ..errors import TransientError
from ..model import Connector
from .bench import Bench, Clock
from .relay import Fault, Relay
from .twin import DestinationTwin, SourceTwin


class ConnectorSuite:
    """What both kinds have in common. A subclass sets `connector`; a fixture `twin` says what it works against."""

    connector: ClassVar[Connector]

    @pytest.fixture
    def clock(self, monkeypatch: pytest.MonkeyPatch) -> Clock:
        """Waits that cost nothing."""
        clock = Clock()
        monkeypatch.setattr(time, "sleep", clock.sleep)
        assert retry.retrying.__kwdefaults__ is not None
        monkeypatch.setitem(retry.retrying.__kwdefaults__, "sleep", clock.sleep)
        return clock

    @pytest.fixture
    def relay(self, twin: SourceTwin | DestinationTwin) -> Iterator[Relay | None]:
        """What stands between connector and twin, where they speak HTTP."""
        if not twin.url:
            yield None
            return
        with Relay(twin.url).running() as relay:
            yield relay

    @pytest.fixture
    def wire(self, relay: Relay | None) -> Relay:
        """The relay, for tests of what can only happen over HTTP."""
        if relay is None:
            pytest.skip("does not speak HTTP with its twin")
        return relay

    def test_must_05_check_passes_and_names_its_probes(self, bench: Bench) -> None:
        """Each probe has a name of its own, and all pass under good settings."""
        probes = bench.code.check(bench.settings)
        names = [probe.name for probe in probes]
        assert names
        assert all(names)
        assert len(set(names)) == len(names), f"a name is there twice: {names}"
        failed = [f"{probe.name}: {probe.detail}" for probe in probes if not probe.passed]
        assert not failed

    def test_must_16_a_long_failure_is_transient(self, bench: Any, wire: Relay) -> None:
        """It raises TransientError when nothing but 503 comes back."""
        wire.fail(Fault(status=503), times=None)
        with pytest.raises(TransientError):
            bench.work()
