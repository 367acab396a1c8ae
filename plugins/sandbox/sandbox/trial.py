"""Helpers for tests of connectors: the controls of a twin, and a clock on which waits cost nothing."""

from __future__ import annotations

import json
import time
from typing import Any

import requests


class Controlled:
    """One account at a twin, and the twin's controls; a subclass adds what its vendor has.

    `held` and `rows` are of one audience, by id. `control` fails the test when the twin does not understand.
    """

    def __init__(self, url: str) -> None:
        self.url, self.http = url, requests.Session()
        # The twin is on this machine: no proxy leads there.
        self.http.trust_env = False

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """What a control answers."""
        response = self.http.request(method, f"{self.url}/_twin/{path}", json=body)
        assert response.status_code == 200, response.text
        return response.json()

    def configure(self, **patch: Any) -> Any:
        """Change the twin's configuration, by a merge patch."""
        return self.control("POST", "config", patch)

    def advance(self, seconds: float) -> None:
        """Move the twin's clock."""
        self.control("POST", "clock", {"advance": seconds})

    def now(self) -> int:
        """The twin's time, in seconds since 1970."""
        return int(self.control("GET", "stats")["now"])

    def fault(self, kind: str, path_regex: str = "", method: str | None = None, **more: Any) -> None:
        """Let the next fitting request fail."""
        match = {"path_regex": path_regex} | ({"method": method} if method else {})
        self.control("POST", "faults", [{"kind": kind, "match": match} | more])

    def lines(self, path: str) -> list[Any]:
        """What a control answers with one JSON text a line."""
        return [json.loads(line) for line in self.http.get(f"{self.url}/_twin/{path}").text.splitlines()]

    def held(self, audience: str) -> dict[str, Any]:
        """What the twin counts of an audience."""
        found: list[dict[str, Any]] = self.control("GET", "audiences")
        return next(one for one in found if one["id"] == audience)

    def rows(self, audience: str) -> list[dict[str, Any]]:
        """What an audience holds, a member at a time."""
        return self.lines(f"audiences/{audience}/rows")

    def audiences_of(self, account: str) -> list[dict[str, Any]]:
        """The audiences of an account that were not deleted."""
        found = self.control("GET", "audiences")
        return [one for one in found if one["account_id"] == account and not one["deleted"]]

    def close(self) -> None:
        """Take back the faults, and close the connections."""
        self.control("DELETE", "faults")
        self.http.close()


class Clock:
    """Time that passes only when somebody sleeps or a test says so, here and at the twin; `slept` are the sleeps."""

    def __init__(self, twin: Controlled) -> None:
        self.slept: list[float] = []
        self._twin, self._offset, self._monotonic = twin, 0.0, time.monotonic

    def monotonic(self) -> float:
        """What takes the place of `time.monotonic`."""
        return self._monotonic() + self._offset

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._offset += seconds
        self._twin.advance(seconds)

    def sleep(self, seconds: float) -> None:
        """What takes the place of `time.sleep`."""
        self.slept.append(seconds)
        self.advance(seconds)
