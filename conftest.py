"""Which tests a run of this repository collects, and what the tests of every package share."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cdp_bridge import redact
from cdp_bridge.http import network

from tests.postgres import Postgres


@pytest.fixture(scope="session", autouse=True)
def loopback_without_a_proxy() -> Iterator[None]:
    """Tests reach loopback, whatever proxy this machine needs for package indexes."""
    exempt = os.environ.get("no_proxy", os.environ.get("NO_PROXY", ""))
    with pytest.MonkeyPatch.context() as patch:
        for name in ("no_proxy", "NO_PROXY"):
            patch.setenv(name, f"{exempt},localhost,127.0.0.1,127.0.0.0/8,::1".lstrip(","))
        yield


@pytest.fixture
def no_network_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment that names no proxy and no authority."""
    for name in (*network.PROXIES, *network.AUTHORITIES):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def secrets_of_other_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test takes for a secret is masked in that test only."""
    monkeypatch.setattr(redact, "_secrets", set(redact._secrets))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """A libpq address, without database name, of a server with a superuser `postgres` that needs no password."""
    folder = Path(tempfile.mkdtemp(prefix="cdp-bridge-postgres-"))
    server = Postgres(folder)
    # No test cuts the power.
    server.start("-h '' -c fsync=off")
    yield server.address
    server.stop()
    shutil.rmtree(folder)


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """The URL of a new, empty database; gone after the test."""
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(f"{postgres_server} dbname=postgres", autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
        yield f"postgresql://postgres@/{name}?host={server.info.host}"
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def until() -> Callable[[Callable[[], Any]], Any]:
    """Wait for something that becomes true, and return it. No seconds of its own: a busy machine takes longer, and
    what never comes ends with the time limit of the test.
    """

    def wait(true: Callable[[], Any]) -> Any:
        while not (found := true()):
            time.sleep(0.02)
        return found

    return wait


def pytest_configure(config: pytest.Config) -> None:
    """Containers of a compose file go with the module that wants them."""
    config.option.container_scope = "module"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the plugins' conformance suites to whoever asks for a report: tests/conformance does, for each of them."""
    is_suite = collection_path.name == "test_conformance.py"
    return True if is_suite and not config.getoption("--must-report") else None
