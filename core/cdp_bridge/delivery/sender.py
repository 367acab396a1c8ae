"""Sends one batch to the end: budget, retry, bisection, and an outcome for every member."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from cdp_bridge.errors import RejectedError, TransientError
from cdp_bridge.model import Audience, AudienceRef, Batch, Limits, Outcome, Writer
from cdp_bridge.retry import ATTEMPTS, at, bounded, extend, retrying, say

MAX_SPLITS = 128
"""How often one batch is cut in two before what is still refused waits for the next run; one poison member in 10,000
costs 14.
"""

MAX_RESERVED = 20
"""Requests that one run may reserve at once, and at most a thousandth of what the account has."""


class Budget(Protocol):
    """The requests that an account has left, shared by all runs that use it."""

    def take(self, account: str, limits: Limits, count: int = 1) -> float:
        """Reserve requests: 0, or the seconds to wait before asking again."""

    def pause(self, account: str, seconds: float) -> None:
        """Keep everybody away from the account for so long."""


class Part(Struct, frozen=True):
    """The outcome of a batch, or of one part if it had to be cut; None: not delivered, so the next run tries it."""

    batch: Batch
    outcome: Outcome | None


class Sender:
    """Sends batches through one writer and counts its `calls`."""

    def __init__(
        self,
        writer: Writer,
        limits: Limits,
        budget: Budget | None = None,
        *,
        attempts: int = ATTEMPTS,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.calls = 0
        self._writer, self._limits, self._budget = writer, limits, budget
        self._retrying = retrying(attempts=attempts, sleep=sleep)
        self._sleep = sleep
        self._splits_left = 0
        # Asking the budget for each request costs a commit; what a run reserves and does not need is not given back.
        self._block = max(1, min(MAX_RESERVED, (limits.requests or 0) // 1000))
        self._reserved = 0

    def ensure(self, audience: Audience) -> AudienceRef:
        """The audience on the platform; tried again, since writers find what an unanswered try has made."""
        return self._retrying(self._writer.ensure, audience)

    def send(self, batch: Batch) -> Iterator[Part]:
        """Deliver a batch, cutting it while the platform refuses it whole; yields each part once it is answered.

        Raises TransientError when the platform stays unavailable, ConfigError when a person must act: then the outcome
        of the parts that were not yielded is not known.
        """
        self._splits_left = MAX_SPLITS
        yield from self._send(batch)

    def _send(self, batch: Batch) -> Iterator[Part]:
        try:
            yield Part(batch, self._retrying(self._write, batch))
            return
        except RejectedError as refusal:
            if len(batch.keys) == 1:
                yield Part(batch, Outcome(rejected={batch.keys[0]: refusal.reason}))
                return
            if self._splits_left == 0:
                yield Part(batch, None)
                return
        self._splits_left -= 1
        middle = len(batch.keys) // 2
        yield from self._send(_cut(batch, 0, middle))
        yield from self._send(_cut(batch, middle, len(batch.keys)))

    def _write(self, batch: Batch) -> Outcome:
        account = batch.audience.account
        self._reserve(account)
        self.calls += 1
        try:
            outcome = self._writer.write(batch)
        except TransientError as error:
            self._pause(account, bounded(error.retry_after))
            raise
        self._pause(account, bounded(outcome.pause))
        return outcome

    def _reserve(self, account: str) -> None:
        if self._budget and not self._reserved:
            while wait := self._budget.take(account, self._limits, self._block):
                self._wait(account, wait)
            self._reserved = self._block
        self._reserved -= 1

    def _wait(self, account: str, seconds: float) -> None:
        extend(seconds)
        say(f"account {account} has no request left, or is to pause; going on at {at(seconds)}", seconds)
        self._sleep(seconds)

    def _pause(self, account: str, seconds: float) -> None:
        """Keep away from the account, and give no reserved request a way around that."""
        if self._budget and seconds > 0:
            self._budget.pause(account, seconds)
            self._reserved = 0


def _cut(batch: Batch, start: int, end: int) -> Batch:
    return replace(
        batch,
        keys=batch.keys[start:end],
        identifiers={column: values[start:end] for column, values in batch.identifiers.items()},
        events=batch.events[start:end],
        last=batch.last and end == len(batch.keys),
    )
