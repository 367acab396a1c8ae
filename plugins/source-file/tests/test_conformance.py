"""source-file under the conformance kit."""

import csv
from pathlib import Path

import pytest
from cdp_bridge.testing import SourceSuite, SourceTwin
from source_file import CONNECTOR


class TestSourceFile(SourceSuite):
    connector = CONNECTOR


@pytest.fixture
def twin(tmp_path: Path) -> SourceTwin:
    """A folder of exports; some of the people in each are in the segment."""
    people = [
        {"id": f"u{n}", "email": f"person.{n}@example.com", "phone": f"00{n:09}", "tier": "vip" if n % 2 else None}
        for n in range(60)
    ]
    for number in range(3):
        with (tmp_path / f"export-{number}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, people[0])
            writer.writeheader()
            writer.writerows(people[number::3])
    settings = {"path": str(tmp_path / "export-*.csv"), "id_column": "id"}
    return SourceTwin(
        settings=settings | {"segment_column": "tier"},
        wrong_settings=settings | {"path": str(tmp_path / "nothing-*.csv")},
        segment="vip",
        keys=lambda: [(person["id"],) for person in people if person["tier"] == "vip"],
    )
