"""A fresh account at the Google twin for each test, and a clock that waits cost nothing on."""

import contextlib
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sandbox
from cdp_bridge import settings as settings_module
from cdp_bridge.sdk import Audience
from cdp_bridge.testing import numbered, waits
from destination_google import destination
from destination_google.settings import Settings
from sandbox.trial import Clock, Controlled

NUMBERS = itertools.count(5_000_000_001)


class Account(Controlled):
    """One account at the twin, with settings and writers for it."""

    def __init__(self, url: str, number: int) -> None:
        super().__init__(url)
        self.number, self.token, self.user = str(number), f"token-of-{number}", f"{number}@sandbox.example"
        self.configure(
            per_minute=1_000_000,
            per_day=100_000_000,
            processing=0,
            accounts={self.number: {"name": "Test", "users": [self.user]}},
            tokens={self.token: {"user": self.user}},
        )

    def raw(self, **changes: Any) -> dict[str, Any]:
        """Raw settings with all that is needed; None leaves one out."""
        raw = {
            "credentials": {"type": "access_token", "access_token": self.token},
            "operating_account": {"account_id": self.number},
            "customer_match_terms": True,
            "ad_user_data": "granted",
            "ad_personalization": "granted",
            "base_url": self.url,
            "ads_url": self.url,
            "token_url": f"{self.url}/token",
        }
        return {name: value for name, value in (raw | changes).items() if value is not None}

    def settings(self, **changes: Any) -> Settings:
        return settings_module.load(Settings, self.raw(**changes))

    @contextlib.contextmanager
    def open(self, **changes: Any) -> Iterator[destination.GoogleWriter]:
        with destination.open(self.settings(**changes)) as writer:
            yield writer

    def audience(self, marker: str = "vip", **more: Any) -> Audience:
        return Audience(marker=marker, **{"name": "VIP"} | more)

    def configure_account(self, **patch: Any) -> None:
        self.configure(accounts={self.number: patch})

    def configure_token(self, **patch: Any) -> None:
        self.configure(tokens={self.token: patch})

    def fails(self, reason: str, path_regex: str = "audienceMembers", **more: Any) -> None:
        """Let the next call be refused for a reason; `field` is what it is about."""
        status, name = more.pop("status", 400), more.pop("name", "INVALID_ARGUMENT")
        violation = {"field": more.pop("field", "destinations[0]"), "description": "jane@example.com", "reason": reason}
        details = [
            {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": name, "metadata": {"requestId": "t-1"}},
            {"@type": "type.googleapis.com/google.rpc.RequestInfo", "requestId": "t-1"},
            {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]},
        ]
        error = {"code": status, "message": "jane@example.com", "status": name, "details": details}
        self.fault(more.pop("kind", "status"), path_regex, status=status, body={"error": error}, **more)

    def call(self, method: str, path: str = "", **body: Any) -> Any:
        """A call of another tool with the same token, below the account's user lists."""
        path = f"/v1/accountTypes/GOOGLE_ADS/accounts/{self.number}/userLists{path}"
        headers = {"Authorization": f"Bearer {self.token}"}
        return self.http.request(method, self.url + path, json=body or None, headers=headers).json()

    def audiences(self) -> list[dict[str, Any]]:
        return self.audiences_of(self.number)

    def values(self, audience: str) -> list[set[str]]:
        """The identifier values of each member, those of an address one by one."""
        rows = self.rows(audience)
        return [{part for values in row.values() for value in values for part in value.split(" ")} for row in rows]


@pytest.fixture(scope="session")
def twin_url() -> Iterator[str]:
    with sandbox.running(people=0) as running:
        yield running.google


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
