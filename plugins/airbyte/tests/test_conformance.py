"""source-airbyte and destination-airbyte under the conformance kit, around a connector of Airbyte's kind."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest
from airbyte_connectors import DESTINATION, SOURCE
from cdp_bridge.testing import DestinationSuite, DestinationTwin, SourceSuite, SourceTwin

Person = dict[str, Any]

TOKEN = "keeper-token-0123456789"
KEEPER = {
    "type": "executable",
    "command": sys.executable,
    "arguments": ["-IS", str(Path(__file__).with_name("keeper.py"))],
}


def settings(folder: Path, token: str = TOKEN) -> dict[str, Any]:
    """Settings of either connector around the keeper."""
    return {"connector": KEEPER, "config": {"folder": str(folder)}, "secrets": {"token": token}}


class TestSourceAirbyte(SourceSuite):
    connector = SOURCE

    @pytest.fixture
    def twin(self, tmp_path: Path) -> SourceTwin:
        """Thirty-five people, most of them in the segment."""
        people = People(tmp_path)
        members = {"members": {"stream": "people", "segment_field": "lists"}}
        return SourceTwin(
            settings=settings(tmp_path) | members,
            wrong_settings=settings(tmp_path, "token-of-nobody") | members,
            segment="vip",
            keys=people.keys,
            churn=people.churn,
        )


class People:
    """What the keeper gives as a source."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "people.json"
        (folder / "token").write_text(TOKEN)
        self._people = {person["id"]: person for person in map(_person, range(35))}
        self._save()

    def keys(self) -> Collection[tuple[str]]:
        """Who is in the segment."""
        return {(key,) for key, person in self._people.items() if "vip" in person["lists"] and not _is_gone(person)}

    def churn(self) -> None:
        """One is deleted, one leaves the segment, one joins it, one moves, two are new."""
        self._change("u-001", _ab_cdc_deleted_at="2026-01-01T00:00:00Z")
        self._change("u-002", lists=["free"])
        self._change("u-000", lists=["free", "vip"])
        self._change("u-004", city="Shelbyville")
        for number in (35, 36):
            self._people[f"u-{number:03}"] = _person(number) | {"version": 2}
        self._save()

    def _change(self, key: str, **changes: Any) -> None:
        self._people[key] = self._people[key] | changes | {"version": 2}

    def _save(self) -> None:
        self._file.write_text(json.dumps([*self._people.values()]))


def _person(number: int) -> Person:
    return {
        "id": f"u-{number:03}",
        "email": f"person.{number}@example.com",
        "city": f"Springfield {number}",
        "lists": ["free"] if number % 7 == 0 else ["free", "vip"],
        "version": 1,
    }


def _is_gone(person: Person) -> bool:
    return "_ab_cdc_deleted_at" in person


class TestDestinationAirbyte(DestinationSuite):
    connector = DESTINATION

    @pytest.fixture
    def twin(self, tmp_path: Path) -> DestinationTwin:
        """A file for each stream; the last record of a key says whether the member is in."""
        streams, refused = tmp_path / "streams", tmp_path / "refused.json"
        streams.mkdir()
        refused.write_text("[]")
        (tmp_path / "token").write_text(TOKEN)

        def members(stream: str) -> Collection[Collection[str]]:
            records = [json.loads(line)["record"]["data"] for line in (streams / stream).read_bytes().splitlines()]
            last = {record["key"]: record for record in records}
            return [_values(record) for record in last.values() if record["operation"] == "add"]

        def refuse(value: str) -> None:
            refused.write_text(json.dumps([*json.loads(refused.read_text()), value]))

        return DestinationTwin(
            settings=settings(tmp_path),
            wrong_settings=settings(tmp_path, "token-of-nobody"),
            audiences=lambda: {path.name for path in streams.iterdir()},
            members=members,
            refuse={"count": refuse},
        )


def _values(record: Person) -> list[str]:
    return [value for part in record.values() if isinstance(part, list) for value in part]
