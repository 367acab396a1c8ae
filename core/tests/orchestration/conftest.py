"""A queue server of its own for each test of workers."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cdp_bridge.flow import LocalServer


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[LocalServer]:
    """A queue server that a test may kill."""
    with LocalServer(tmp_path / "flow") as running:
        yield running
