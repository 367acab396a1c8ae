"""What a run makes of an audience whose folder is another one than before."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from cdp_bridge.connectors.registry import Registry
from cdp_bridge.entities import Activation, Bridge, CDPConnection, DataMapping, DestinationAccount, SyncLog
from cdp_bridge.store import Store
from cdp_bridge.sync.run import open_run
from cdp_bridge.testing.configuring import configure


class SyncHarness:
    """A file of people, in sync with an audience in a folder."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.folder, self._store = folder, store

    def sync(self, *people: str, path: str = "out", **more: str) -> SyncLog:
        """One run, with these people in the segment."""
        source = self.folder / "people.csv"
        source.write_text("\n".join(["id,email", *(f"{one},{one}@example.com" for one in people)]))
        settings = {"path": str(self.folder / path), **more}
        bridge = Bridge(
            connections=(CDPConnection(name="cdp", cdp_provider="source-file", api_credentials={"path": str(source)}),),
            destinations=(DestinationAccount(name="files", connector="destination-file", settings=settings),),
            mappings={"people": (_mapping("user_id", "id"), _mapping("email", "email"))},
            audiences=(Activation(name="vip", connection="cdp", segment="vip", destination="files", mapping="people"),),
        )
        configure(self._store, bridge)
        with open_run(self._store, Registry(), bridge.audiences[0]) as run:
            return run.sync()

    def added(self, path: str = "out") -> list[int]:
        """How many members each file in the folder adds."""
        files = sorted((self.folder / path).glob("*/*.jsonl"))
        lines = [[json.loads(line) for line in file.read_text().splitlines()] for file in files]
        return [sum(line["operation"] == "add" for line in file) for file in lines]


def _mapping(ours: str, theirs: str) -> DataMapping:
    return DataMapping(omniads_field=ours, cdp_field=theirs)


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[SyncHarness]:
    with Store.open(f"sqlite:///{tmp_path}/store.db") as store:
        yield SyncHarness(store, tmp_path)


def test_a_new_folder_gets_everybody(harness: SyncHarness) -> None:
    assert harness.sync("ann", "bob").adds == 2
    assert harness.sync("ann", "bob", path="other").adds == 2
    assert (harness.added(), harness.added("other")) == ([2], [2])


def test_the_other_format_has_everybody_too(harness: SyncHarness) -> None:
    assert harness.sync("ann", "bob").adds == 2
    assert harness.sync("ann", "bob", format="csv").adds == 2
    (file,) = harness.folder.glob("out/*/*.csv")
    assert len(file.read_text().splitlines()) == 3


def test_a_folder_that_was_taken_away_is_filled_anew_with_the_next_change(harness: SyncHarness) -> None:
    harness.sync("ann", "bob")
    shutil.rmtree(harness.folder / "out")
    assert harness.sync("ann", "bob", "cid").adds == 3
    assert harness.added() == [3]


def test_a_folder_that_was_moved_gets_the_difference(harness: SyncHarness) -> None:
    harness.sync("ann", "bob")
    (harness.folder / "out").rename(harness.folder / "moved")
    assert harness.sync("ann", "bob", "cid", path="moved").adds == 1
    assert harness.added("moved") == [2, 1]
