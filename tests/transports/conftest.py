"""A file of people and syncs of it into destination-chaos, by each launcher."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from cdp_bridge import configuration
from cdp_bridge.connectors.registry import Registry
from cdp_bridge.entities import Bridge, SyncLog
from cdp_bridge.errors import ConfigError
from cdp_bridge.store import Store
from cdp_bridge.sync.progress import Preview
from cdp_bridge.sync.run import OpenRun, open_run
from cdp_bridge.testing.configuring import configure
from destination_chaos import held

BRIDGE = """
connections:
  - name: people
    cdp_provider: source-file
    api_credentials: {{path: "{folder}/people.csv", id_column: id}}
destinations:
  - name: chaos
    connector: destination-chaos
    settings: {settings}
mappings:
  people:
    - {{omniads_field: user_id, cdp_field: id}}
    - {{omniads_field: email, cdp_field: email}}
audiences:
  - {{name: vip, connection: people, segment: vip, destination: chaos, mapping: people, removal_limit: 1}}
"""


class Sync(NamedTuple):
    """What a sync did: its record, and who is in the audience and in the ledger afterwards."""

    log: SyncLog
    members: list[dict[str, list[str]]]
    ledger: list[tuple[str | None, bytes]]


class SyncHarness:
    """One bridge with a store and an audience of its own, whose connectors a launcher starts."""

    def __init__(self, folder: Path, launcher: str | None) -> None:
        self.folder, self.registry = folder, Registry()
        self.launcher = self.registry.launcher(launcher) if launcher else None
        self.store = Store.open(f"sqlite:///{folder}/store.db")

    def people(self, *numbers: int) -> None:
        lines = ["id,email", *(f"u{number},person.{number}@example.com" for number in numbers)]
        (self.folder / "people.csv").write_text("\n".join(lines))

    def configure(self, **faults: Any) -> Bridge:
        settings = msgspec.json.encode({"path": str(self.folder / "chaos")} | faults).decode()
        (self.folder / "bridge.yaml").write_text(BRIDGE.format(folder=self.folder, settings=settings))
        bridge = configuration.load(self.folder / "bridge.yaml", self.registry)
        configure(self.store, bridge)
        return bridge

    @contextmanager
    def open(self, **faults: Any) -> Iterator[OpenRun]:
        """A run whose processes are there until the end of the block."""
        (activation,) = self.configure(**faults).audiences
        with open_run(self.store, self.registry, activation, sleep=lambda _: None, launcher=self.launcher) as run:
            yield run

    def sync(self, **faults: Any) -> Sync:
        with self.open(**faults) as run:
            log = run.sync()
        known = [(row.user_id, row.identifiers) for chunk in self.store.ledger.members("vip") for row in chunk]
        return Sync(log, self.members(), sorted(known, key=str))

    def members(self) -> list[dict[str, list[str]]]:
        """Who is in the audience now; nobody before there is one."""
        try:
            audiences = held(str(self.folder / "chaos"))
        except ConfigError:
            return []
        return sorted(next(iter(audiences.values()), {}).values(), key=str)

    def preview(self) -> Preview:
        with self.open() as run:
            return run.preview()


@pytest.fixture
def make_harness(tmp_path: Path) -> Iterator[Callable[[str | None], SyncHarness]]:
    """A bridge for a launcher's name, or None for connectors in this process."""
    made: list[SyncHarness] = []

    def make(launcher: str | None) -> SyncHarness:
        folder = tmp_path / (launcher or "here")
        folder.mkdir()
        made.append(SyncHarness(folder, launcher))
        return made[-1]

    yield make
    for one in made:
        one.store.close()
