"""A fresh ad account at the Meta twin for each test, and a clock that waits cost nothing on."""

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sandbox
from cdp_bridge import settings as settings_module
from cdp_bridge.sdk import Audience
from cdp_bridge.testing import numbered, waits
from destination_meta import destination
from destination_meta.settings import Settings
from sandbox.trial import Clock, Controlled

NUMBERS = itertools.count(5001)


class Account(Controlled):
    """One ad account at the twin, with settings and writers for it."""

    def __init__(self, url: str, number: int) -> None:
        super().__init__(url)
        self.number, self.token = number, f"token-of-{number}"
        self.configure(
            accounts={str(number): {"name": "Test"}}, tokens={self.token: {"accounts": [str(number)]}}, create_lag=0
        )

    def settings(self, **changes: Any) -> Settings:
        raw = {"access_token": self.token, "ad_account_id": str(self.number), "base_url": self.url}
        return settings_module.load(Settings, raw | changes)

    @contextlib.contextmanager
    def open(self, **changes: Any) -> Iterator[destination.MetaWriter]:
        with destination.open(self.settings(**changes)) as writer:
            yield writer

    def audience(self, marker: str = "vip", **more: Any) -> Audience:
        return Audience(marker=marker, name="VIP", description="From the CDP", **more)

    def configure_account(self, **patch: Any) -> None:
        self.configure(accounts={str(self.number): patch})

    def configure_token(self, **patch: Any) -> None:
        self.configure(tokens={self.token: patch})

    def fails(self, code: int, subcode: int | None = None, path_regex: str = "/users", **more: Any) -> None:
        """Let the next call be answered with an error of the Graph API."""
        more = {"status": 400} | more
        error = {"code": code, "message": more.pop("message", "(#1) jane@example.com"), **more.pop("error", {})}
        error |= {} if subcode is None else {"error_subcode": subcode}
        self.fault("status", path_regex, body={"error": error}, **more)

    def call(self, method: str, path: str, **body: Any) -> Any:
        """A call of another tool with the same token."""
        headers = {"Authorization": f"Bearer {self.token}"}
        return self.http.request(method, f"{self.url}/v26.0/{path}", json=body, headers=headers).json()

    def audiences(self) -> list[dict[str, Any]]:
        return self.audiences_of(str(self.number))


@pytest.fixture(scope="session")
def twin_url() -> Iterator[str]:
    with sandbox.running(people=0) as running:
        yield running.meta


@pytest.fixture
def account(twin_url: str) -> Iterator[Account]:
    account = Account(twin_url, next(NUMBERS))
    yield account
    account.configure(
        empty_first_page=False, list_samples=False, max_page=500, removal_minimum=0, app={"demand_proof": False}
    )
    account.close()


@pytest.fixture(autouse=True)
def clock(account: Account, monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock(account)
    waits.replaced(monkeypatch, clock.sleep)
    monkeypatch.setattr(time, "monotonic", clock.monotonic)
    return clock


@pytest.fixture
def digest() -> Callable[[object], str]:
    return numbered.digest


@pytest.fixture
def batch() -> numbered.MakeBatch:
    """Members by number; `email={1: [...]}` replaces the one e-mail address that each has by default."""
    return numbered.batch
