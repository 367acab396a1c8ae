"""Stores on both databases: SQLite in a temporary folder, and the PostgreSQL of the tests."""

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cdp_bridge.store import Store


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of a file that does not exist yet."""
    return f"sqlite:///{tmp_path}/store.db"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def store_url(request: pytest.FixtureRequest) -> str:
    """The URL of a new store, once for each database."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """A new store, once for each database."""
    with Store.open(store_url) as opened:
        yield opened


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of 3 MB that others may enter; needs root."""
    folder = Path(tempfile.mkdtemp(prefix="cdp-bridge-small-disk-"))
    folder.chmod(0o755)
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)]
    tried = subprocess.run(mount, capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"NOT TESTED: no file system can be mounted here ({tried.stderr.strip()})")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)
    folder.rmdir()
