"""Prescribed answers of a platform, and what the sender makes of them."""

from collections.abc import Callable

import pytest
from cdp_bridge.delivery.sender import MAX_SPLITS, Sender
from cdp_bridge.errors import BridgeError, ConfigError, RejectedError, TransientError
from cdp_bridge.model import Audience, AudienceRef, Batch, Limits, Outcome

REF = AudienceRef(id="1", account="act_1")


def batch(count: int) -> Batch:
    keys = [number.to_bytes(2, "big") for number in range(count)]
    return Batch(audience=REF, operation="add", keys=keys, identifiers={"email": [[key.hex()] for key in keys]})


class Platform:
    """Answers each write by a function of the batch and the number of the call."""

    def __init__(self, answer: Callable[[Batch, int], Outcome]) -> None:
        self.answer = answer
        self.batches: list[Batch] = []

    def ensure(self, audience: Audience) -> AudienceRef:
        return REF

    def settle(self, audience: AudienceRef, pending: str) -> Outcome:
        return Outcome()

    def write(self, sent: Batch) -> Outcome:
        self.batches.append(sent)
        return self.answer(sent, len(self.batches))


class Account:
    """A budget that refuses a few times first, and remembers pauses."""

    def __init__(self, *waits: float) -> None:
        self.waits = list(waits)
        self.pauses: list[tuple[str, float]] = []
        self.reserved = 0

    def take(self, account: str, limits: Limits, count: int = 1) -> float:
        if self.waits:
            return self.waits.pop(0)
        self.reserved += count
        return 0.0

    def pause(self, account: str, seconds: float) -> None:
        self.pauses.append((account, seconds))


def sender(platform: Platform, account: Account | None = None, slept: list[float] | None = None) -> Sender:
    return Sender(platform, Limits(), account, sleep=(slept if slept is not None else []).append)


def poisoned(*poison: int) -> Callable[[Batch, int], Outcome]:
    keys = {number.to_bytes(2, "big") for number in poison}

    def answer(sent: Batch, _: int) -> Outcome:
        if keys.intersection(sent.keys):
            raise RejectedError("bad row", reason="meta:100")
        return Outcome()

    return answer


def test_an_accepted_batch_is_one_call() -> None:
    platform = Platform(lambda *_: Outcome())
    sending = sender(platform)
    (part,) = sending.send(batch(10))
    assert (part.outcome, sending.calls) == (Outcome(), 1)


@pytest.mark.parametrize("poison", [(0,), (99,), (41,), (3, 77)])
def test_poison_members_never_block_the_others(poison: tuple[int, ...]) -> None:
    platform = Platform(poisoned(*poison))
    parts = list(sender(platform).send(batch(100)))
    rejected = {key: reason for part in parts if part.outcome for key, reason in part.outcome.rejected.items()}
    assert rejected == {number.to_bytes(2, "big"): "meta:100" for number in poison}
    assert [key for part in parts for key in part.batch.keys] == batch(100).keys
    assert all(len(part.batch.identifiers["email"]) == len(part.batch.keys) for part in parts)


def test_only_the_end_of_the_last_batch_is_last() -> None:
    platform = Platform(poisoned(0))
    list(sender(platform).send(batch(4)))
    delivered = [sent for sent in platform.batches if len(sent.keys) < 4]
    assert [sent.last for sent in delivered] == [batch(4).keys[-1] in sent.keys for sent in delivered]


def test_cutting_is_bounded_and_leaves_the_rest_for_the_next_run() -> None:
    platform = Platform(poisoned(*range(0, 2000, 2)))
    parts = list(sender(platform).send(batch(2000)))
    assert len(platform.batches) <= 2 * MAX_SPLITS + 1
    given_up = [part for part in parts if part.outcome is None]
    assert given_up
    assert sum(len(part.batch.keys) for part in parts) == 2000


def test_a_transient_failure_is_tried_again_with_the_very_same_batch() -> None:
    def answer(_: Batch, call: int) -> Outcome:
        if call < 3:
            raise TransientError("busy")
        return Outcome()

    slept: list[float] = []
    platform = Platform(answer)
    list(sender(platform, slept=slept).send(batch(3)))
    assert platform.batches[0] is platform.batches[1] is platform.batches[2]
    assert len(slept) == 2
    assert slept[0] < slept[1] + 60


def test_the_wait_that_the_platform_asks_for_is_kept_and_shared() -> None:
    def answer(_: Batch, call: int) -> Outcome:
        if call == 1:
            raise TransientError("limit", retry_after=120)
        return Outcome(pause=30)

    slept: list[float] = []
    account = Account()
    list(sender(Platform(answer), account, slept).send(batch(1)))
    assert slept == [120]
    assert account.pauses == [("act_1", 120), ("act_1", 30)]


def test_no_request_leaves_before_the_budget_allows_it(caplog: pytest.LogCaptureFixture) -> None:
    slept: list[float] = []
    platform = Platform(lambda *_: Outcome())
    list(sender(platform, Account(50.0, 2.0), slept).send(batch(1)))
    assert slept == [50.0, 2.0]
    assert [message.split(";")[0] for message in caplog.messages] == [
        "account act_1 has no request left, or is to pause"
    ]
    assert len(platform.batches) == 1


@pytest.mark.parametrize("error", [TransientError("down"), ConfigError("token expired")])
def test_what_cannot_be_sent_at_all_is_raised(error: BridgeError) -> None:
    def answer(*_: object) -> Outcome:
        raise error

    platform = Platform(answer)
    with pytest.raises(type(error)):
        list(sender(platform).send(batch(1)))
    assert len(platform.batches) == (8 if isinstance(error, TransientError) else 1)


@pytest.mark.parametrize(("requests", "reserved"), [(None, 5), (600, 5), (5_000, 5), (190_000, 20)])
def test_requests_are_reserved_in_blocks_that_are_small_beside_the_budget(requests: int | None, reserved: int) -> None:
    account = Account()
    sending = Sender(Platform(lambda *_: Outcome()), Limits(requests=requests), account)
    for _ in range(5):
        list(sending.send(batch(1)))
    assert account.reserved == reserved


def test_a_pause_holds_back_requests_that_are_reserved_already() -> None:
    account = Account()
    slept: list[float] = []
    platform = Platform(lambda *_: Outcome(pause=30))
    sending = Sender(platform, Limits(requests=190_000), account, sleep=slept.append)
    list(sending.send(batch(1)))
    account.waits = [30.0]
    list(sending.send(batch(1)))
    assert slept == [30.0]
