"""destination-file under the conformance kit."""

import json
from pathlib import Path

import pytest
from cdp_bridge.testing import DestinationSuite, DestinationTwin
from destination_file import CONNECTOR


class TestDestinationFile(DestinationSuite):
    connector = CONNECTOR


@pytest.fixture
def twin(tmp_path: Path) -> DestinationTwin:
    """A folder; whoever reads its files in order knows who is in."""
    folder = tmp_path / "audiences"
    (tmp_path / "taken").touch()

    def members(audience: str) -> list[list[str]]:
        held: dict[str, list[str]] = {}
        for path in sorted((folder / audience.partition(".")[0]).glob("*.jsonl")):
            for line in path.read_text().splitlines():
                row = json.loads(line)
                operation, key = row.pop("operation"), row.pop("key")
                held.pop(key, None)
                if operation == "add":
                    held[key] = [value for values in row.values() for value in values]
        return list(held.values())

    return DestinationTwin(
        settings={"path": str(folder)},
        wrong_settings={"path": str(tmp_path / "taken")},
        audiences=lambda: {f"{path.parent.name}.{path.read_text()}" for path in folder.glob("*/.audience-jsonl")},
        members=members,
    )
