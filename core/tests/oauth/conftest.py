"""A store, a clock that tests set, and a platform to sign in at."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cdp_bridge.oauth import Grants, SignIns
from cdp_bridge.secrets import Resolver, Secret
from cdp_bridge.store import Store
from cdp_bridge.store.secrets.keyring import VARIABLE

from .twin import Platform, served


@pytest.fixture
def platform() -> Iterator[Platform]:
    with served(Platform()) as platform:
        yield platform


@pytest.fixture
def raw(platform: Platform) -> dict[str, Any]:
    """The settings of an account that is yet to be connected."""
    return {
        "client_id": "app-1",
        "client_secret": "store:app-secret",
        "access_token": "oauth:shop",
        "base_url": platform.url,
    }


class Clock:
    """Seconds since 1970 that only the test moves; sleeping takes no time."""

    def __init__(self) -> None:
        self.now = 1_790_000_000.0
        self.slept = 0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept += 1


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Iterator[Store]:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "keyring"))
    with Store.open(f"sqlite:///{tmp_path}/store.db", clock=clock) as opened:
        opened.secrets.put("app-secret", Secret("app-secret-1"))
        yield opened


@pytest.fixture
def grants(store: Store, clock: Clock) -> Grants:
    return Grants(store, Resolver(stored=store.secrets.secret), clock=clock, sleep=clock.sleep)


@pytest.fixture
def sign_ins(store: Store, clock: Clock) -> SignIns:
    return SignIns(store, Resolver(stored=store.secrets.secret), clock=clock)
