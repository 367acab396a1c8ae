"""Limit errors: how long the core waits for them, that it ends, whom it keeps waiting, and what a person sees of it."""

from typing import Any, Protocol

import pytest
from cdp_bridge.delivery.sender import Sender
from cdp_bridge.sdk import Limits, TransientError
from cdp_bridge.testing import numbered
from destination_tiktok import CONNECTOR
from sandbox.trial import Clock

from .conftest import Account

CODES = (40016, 40100, 40132, 40133, 61000)


class Pauses:
    """A budget that is never used up, and remembers whom it was told to keep away for how long."""

    def __init__(self) -> None:
        self.told: list[tuple[str, float]] = []

    def take(self, account: str, limits: Limits, count: int = 1) -> float:
        return 0.0

    def pause(self, account: str, seconds: float) -> None:
        self.told.append((account, seconds))


class Send(Protocol):
    """The outcome of three members, or the error, after so many limit errors; and the pauses."""

    def __call__(self, code: int, times: int | None, upload: str = "streaming") -> tuple[Any, Pauses]: ...


@pytest.fixture
def sent(account: Account, clock: Clock, batch: numbered.MakeBatch) -> Send:
    """Function: what the core makes of three members, after so many limit errors."""

    def send(code: int, times: int | None, upload: str = "streaming") -> Any:
        account.configure(floor=0)
        pauses = Pauses()
        with account.open(upload=upload) as writer:
            sender = Sender(writer, CONNECTOR.limits, pauses, sleep=clock.sleep)
            ref = sender.ensure(account.audience())
            account.fails(code, "/mapping/|/upload/", times=times)
            try:
                (part,) = sender.send(batch(ref, range(3)))
                return part.outcome, pauses
            except TransientError as error:
                return error, pauses

    return send


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("upload", ["streaming", "file"])
def test_a_full_second_costs_a_second(sent: Send, account: Account, clock: Clock, code: Any, upload: Any) -> None:
    outcome, pauses = sent(code, 1, upload)
    assert outcome.unknown == frozenset()
    assert clock.slept == [1]
    assert pauses.told == [(account.number, 1)]


@pytest.mark.parametrize("upload", ["streaming", "file"])
def test_a_limit_that_stays_ends_the_run_after_seven_waits(
    sent: Send, account: Account, clock: Clock, upload: Any
) -> None:
    error, pauses = sent(40100, None, upload)
    assert clock.slept == [1, *[300] * 6]
    assert {told for told, _ in pauses.told} == {account.number}
    assert str(error) == "TikTok's rate limit is reached (TikTok's error 40100, request 20261124ABC)"


def test_row_34_a_full_minute_is_waited_out_in_silence(
    account: Account, clock: Clock, batch: numbered.MakeBatch
) -> None:
    """The twin counts as TikTok does: whoever asks again within five minutes is refused again."""
    account.advance(60 - account.now() % 60)
    with account.open() as writer:
        sender = Sender(writer, CONNECTOR.limits, sleep=clock.sleep)
        ref = sender.ensure(account.audience())
        account.configure(app={"per_minute": 2})
        outcomes = [part.outcome for number in range(3) for part in sender.send(batch(ref, [number]))]
    assert clock.slept == [1, 300]
    assert len(outcomes) == len(account.rows(ref.id)) == 3


def test_the_promised_limits_keep_those_of_basic_access() -> None:
    a_second, a_minute = 10, 600
    limits = CONNECTOR.limits
    assert limits.requests is not None
    assert limits.requests <= a_second * limits.seconds
    assert limits.requests * 60 / limits.seconds <= a_minute
