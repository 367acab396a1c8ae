"""A fresh advertiser at the TikTok twin for each test, and a clock that waits cost nothing on."""

import contextlib
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sandbox
from cdp_bridge import settings as settings_module
from cdp_bridge.model import Writer
from cdp_bridge.sdk import Audience
from cdp_bridge.testing import numbered, waits
from destination_tiktok import destination
from destination_tiktok.settings import Settings
from sandbox.trial import Clock, Controlled

NUMBERS = itertools.count(7000000000000005001)


class Account(Controlled):
    """One advertiser at the twin, with settings and writers for it."""

    def __init__(self, url: str, number: int) -> None:
        super().__init__(url)
        self.number, self.token = str(number), f"token-of-{number}"
        self.configure(
            app={"per_second": 1_000_000, "per_minute": 1_000_000, "allow_list": True},
            advertisers={self.number: {"name": "Test"}},
            tokens={self.token: {"advertisers": [self.number]}},
            max_rows=10_000,
            floor=1_000,
            processing=3_600,
            file_life=86_400,
        )

    def settings(self, **changes: Any) -> Settings:
        raw = {"access_token": self.token, "advertiser_id": self.number, "base_url": self.url}
        return settings_module.load(Settings, raw | changes)

    @contextlib.contextmanager
    def open(self, **changes: Any) -> Iterator[Writer]:
        with destination.open(self.settings(**changes)) as writer:
            yield writer

    def audience(self, marker: str = "vip", **more: Any) -> Audience:
        return Audience(marker=marker, **{"name": "VIP"} | more)

    def configure_token(self, **patch: Any) -> None:
        self.configure(tokens={self.token: patch})

    def fails(self, code: int, path_regex: str = "/mapping/", **more: Any) -> None:
        """Let the next call be answered with a code."""
        message = more.pop("message", "jane@example.com is no hash")
        body = {"code": code, "message": message, "request_id": "20261124ABC", "data": more.pop("data", {})}
        self.fault(more.pop("kind", "status"), path_regex, body=body, **{"status": 200} | more)

    def call(self, path: str, **body: Any) -> Any:
        """A call of another tool with the same token."""
        headers = {"Access-Token": self.token}
        return self.http.post(f"{self.url}/open_api/v1.3/{path}", json=body, headers=headers).json()

    def audiences(self) -> list[dict[str, Any]]:
        return self.audiences_of(self.number)


@pytest.fixture(scope="session")
def twin_url() -> Iterator[str]:
    with sandbox.running(people=0) as running:
        yield running.tiktok


@pytest.fixture
def account(twin_url: str) -> Iterator[Account]:
    account = Account(twin_url, next(NUMBERS))
    yield account
    account.close()


@pytest.fixture(autouse=True)
def clock(account: Account, monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock(account)
    waits.replaced(monkeypatch, clock.sleep)
    return clock


@pytest.fixture
def digest() -> Callable[[object], str]:
    return numbered.digest


@pytest.fixture
def batch() -> numbered.MakeBatch:
    """Members by number; `email={1: [...]}` replaces the one e-mail address that each has by default."""
    return numbered.batch
