"""Decides which fault happens when, deterministically from seed, fault, call and member."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable

from cdp_bridge.sdk import ConfigError, RejectedError, TransientError

from destination_chaos.audiences import Change
from destination_chaos.settings import Settings

POISON = "chaos:poison"
"""The reason of a refused batch."""
REFUSED = "chaos:refused"
"""The reason of a refused member."""


def lot(*what: object) -> float:
    """A number in [0, 1) that is always the same for the same things."""
    return int.from_bytes(hashlib.sha256(repr(what).encode()).digest()[:6]) / 2**48


class Faults:
    """The faults of one run; `call` numbers all writes that the folder ever saw."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._writes = 0

    def before_write(self, call: int, change: Change) -> None:
        """Raise whatever keeps the platform from taking a batch."""
        settings = self._settings
        time.sleep(settings.slow)
        expect_authorised(settings, self._writes)
        if settings.bug_after is not None and self._writes >= settings.bug_after:
            raise RuntimeError("the bug that bug_after asks for")
        self._writes += 1
        if self._falls("unavailable", settings.unavailable, call):
            raise TransientError("the platform is not available", retry_after=settings.retry_after)
        if any(self._falls("poison", settings.poison, key) for key in _added(change)):
            raise RejectedError("a member of the batch is malformed", reason=POISON)

    def after_write(self, call: int) -> None:
        """Lose the answer to a batch that was kept."""
        if self._falls("lost_answers", self._settings.lost_answers, call):
            raise TransientError("the connection was cut before the answer", retry_after=self._settings.retry_after)

    def is_pending(self, call: int) -> bool:
        """Whether a batch is done later."""
        return self._falls("pending", self._settings.pending, call)

    def refused(self, change: Change) -> dict[bytes, str]:
        """Who is refused by key."""
        return {key: REFUSED for key in _added(change) if self._falls("refused", self._settings.refused, key)}

    def unknown(self, call: int, keys: Iterable[bytes]) -> tuple[frozenset[bytes], frozenset[bytes]]:
        """Of whom a write says nothing, and who of them is not kept: the half with the lower lots."""
        share = self._settings.unknown
        unknown = frozenset(key for key in keys if self._falls("unknown", share, call, key))
        return unknown, frozenset(key for key in unknown if self._falls("unknown", share / 2, call, key))

    def _falls(self, fault: str, share: float, *what: object) -> bool:
        return share > 0 and lot(self._settings.seed, fault, *what) < share


def _added(change: Change) -> Iterable[bytes]:
    """Who can be malformed: a platform asks nothing of those who go."""
    return change.members if change.operation == "add" else ()


def expect_authorised(settings: Settings, writes: int) -> None:
    """ConfigError once the credential has expired."""
    if settings.unauthorised_after is not None and writes >= settings.unauthorised_after:
        raise ConfigError(
            "the credential has expired", place="unauthorised_after", remedy="Take this setting away or raise it"
        )
