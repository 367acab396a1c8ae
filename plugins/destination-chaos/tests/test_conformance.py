"""destination-chaos under the conformance kit, with all its faults off."""

from pathlib import Path

import pytest
from cdp_bridge.testing import DestinationSuite, DestinationTwin
from destination_chaos import CONNECTOR, held


class TestDestinationChaos(DestinationSuite):
    connector = CONNECTOR


@pytest.fixture
def twin(tmp_path: Path) -> DestinationTwin:
    """A folder, whose content the connector itself can tell."""
    folder = str(tmp_path / "audiences")
    (tmp_path / "taken").touch()

    def members(audience: str) -> list[list[str]]:
        people = held(folder)[audience].values()
        return [[value for values in identifiers.values() for value in values] for identifiers in people]

    return DestinationTwin(
        settings={"path": folder},
        wrong_settings={"path": str(tmp_path / "taken")},
        audiences=lambda: held(folder).keys(),
        members=members,
    )
