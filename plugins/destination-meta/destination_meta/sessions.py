"""Numbers the batches of upload sessions, and says when a new session begins (meta.md 4.2)."""

from __future__ import annotations

import secrets
import time
from typing import Any

import msgspec

LIFE = 80 * 60.0
"""Seconds after which we begin a new session; Meta closes one after 90 minutes and drops what comes later."""


class Totals(msgspec.Struct):
    """An answer to a membership call: counts since the session began."""

    num_received: int
    num_invalid_entries: int = 0
    invalid_entry_samples: Any = None


class Session:
    """One session; `batch_seq` is the number of its next batch, `open_payload` a batch without an answer yet."""

    def __init__(self) -> None:
        self.session_id = secrets.randbelow(2**63 - 1) + 1
        self.batch_seq = 1
        self.started = time.monotonic()
        self.open_payload: bytes | None = None
        self.failures = 0
        self._received = self._invalid = 0

    def takes(self, payload: bytes) -> bool:
        """Whether this batch may go next: one without an answer may be in, so only the very same may use its number."""
        return time.monotonic() < self.started + LIFE and self.open_payload in (None, payload)

    def advance(self, totals: Totals) -> tuple[int, int]:
        """Rows received and rows found invalid of the open batch; (0, 0) means that Meta dropped it."""
        batch = totals.num_received - self._received, totals.num_invalid_entries - self._invalid
        self._received, self._invalid = totals.num_received, totals.num_invalid_entries
        self.open_payload, self.failures = None, 0
        self.batch_seq += 1
        return batch


class Sessions:
    """The running session of each audience and operation."""

    def __init__(self) -> None:
        self._running: dict[tuple[str, str], Session] = {}

    def session(self, audience_id: str, operation: str, payload: bytes) -> Session:
        """The session for the next batch: the running one if it takes it, else a new one."""
        session = self._running.get((audience_id, operation))
        if session is None or not session.takes(payload):
            session = self._running[audience_id, operation] = Session()
        session.open_payload = payload
        return session

    def end(self, audience_id: str, operation: str) -> None:
        """Use the running session no more."""
        self._running.pop((audience_id, operation), None)
