"""A fresh advertiser at the TikTok twin for each test, and a clock that waits cost nothing on."""

import contextlib
import hashlib
import itertools
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
import sandbox
from cdp_bridge import settings as settings_module
from cdp_bridge.retry import retrying
from cdp_bridge.sdk import Audience, AudienceRef, Batch
from destination_tiktok import destination
from destination_tiktok.settings import Settings

NUMBERS = itertools.count(7000000000000005001)


class Account:
    """One advertiser at the twin: settings and writers for it, and the twin's controls."""

    def __init__(self, url: str, number: int) -> None:
        self.url, self.number, self.token = url, str(number), f"token-of-{number}"
        self.http = requests.Session()
        self.configure(
            app={"per_second": 1_000_000, "per_minute": 1_000_000, "allow_list": True},
            advertisers={self.number: {"name": "Test"}},
            tokens={self.token: {"advertisers": [self.number]}},
            max_rows=10_000,
            floor=1_000,
        )

    def settings(self, **changes: Any) -> Settings:
        raw = {"access_token": self.token, "advertiser_id": self.number, "base_url": self.url}
        return settings_module.load(Settings, raw | changes)

    @contextlib.contextmanager
    def open(self, **changes: Any) -> Iterator[destination.TikTokWriter]:
        with destination.open(self.settings(**changes)) as writer:
            yield writer

    def audience(self, marker: str = "vip", **more: Any) -> Audience:
        return Audience(marker=marker, **{"name": "VIP"} | more)

    def control(self, method: str, path: str, body: Any = None) -> Any:
        response = self.http.request(method, f"{self.url}/_twin/{path}", json=body)
        assert response.status_code == 200, response.text
        return response.json()

    def configure(self, **patch: Any) -> None:
        self.control("POST", "config", patch)

    def configure_token(self, **patch: Any) -> None:
        self.configure(tokens={self.token: patch})

    def fault(self, kind: str, path_regex: str = "", method: str | None = None, **more: Any) -> None:
        match = {"path_regex": path_regex} | ({"method": method} if method else {})
        self.control("POST", "faults", [{"kind": kind, "match": match} | more])

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
        return [a for a in self.control("GET", "audiences") if a["account_id"] == self.number and not a["deleted"]]

    def rows(self, audience_id: str) -> list[dict[str, str]]:
        lines = self.http.get(f"{self.url}/_twin/audiences/{audience_id}/rows").text.splitlines()
        return [json.loads(line) for line in lines]

    def held(self, ref: AudienceRef) -> dict[str, Any]:
        return next(a for a in self.audiences() if a["id"] == ref.id)


class Clock:
    """Time that passes only when somebody sleeps or a test says so, here and at the twin."""

    def __init__(self, account: Account) -> None:
        self.slept: list[float] = []
        self._account = account

    def advance(self, seconds: float) -> None:
        self._account.control("POST", "clock", {"advance": seconds})

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.advance(seconds)


@pytest.fixture(scope="session")
def twin_url() -> Iterator[str]:
    with sandbox.running(people=0) as running:
        yield running.tiktok


@pytest.fixture
def account(twin_url: str) -> Iterator[Account]:
    account = Account(twin_url, next(NUMBERS))
    yield account
    account.control("DELETE", "faults")
    account.http.close()


@pytest.fixture(autouse=True)
def clock(account: Account, monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock(account)
    monkeypatch.setattr(time, "sleep", clock.sleep)
    assert retrying.__kwdefaults__ is not None
    monkeypatch.setitem(retrying.__kwdefaults__, "sleep", clock.sleep)
    return clock


@pytest.fixture
def digest() -> Callable[[object], str]:
    return lambda value: hashlib.sha256(str(value).encode()).hexdigest()


@pytest.fixture
def batch(digest: Callable[[object], str]) -> Callable[..., Batch]:
    """Members by number; `email={1: [...]}` replaces the one e-mail address that each has by default."""

    def make(ref: AudienceRef, members: Any, operation: Any = "add", **more: Any) -> Batch:
        members = list(members)
        emails = {member: [digest(f"{member}@example.com")] for member in members} | more.pop("email", {})
        columns = {"email": emails} | more
        identifiers = {name: [values.get(member, []) for member in members] for name, values in columns.items()}
        keys = [member.to_bytes(16) for member in members]
        return Batch(audience=ref, operation=operation, keys=keys, identifiers=identifiers)

    return make
