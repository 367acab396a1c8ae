"""Every code of the contract over HTTP: what it means for a run, and that it repeats nothing of the request."""

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import pytest
from cdp_bridge.model import Writer
from cdp_bridge.sdk import AudienceRef, ConfigError, RejectedError, TransientError
from cdp_bridge.testing import numbered
from destination_tiktok.errors import ERRORS

from .conftest import Account

WAIT, STOP, REFUSED = TransientError, ConfigError, RejectedError
OUTCOMES = [
    *[(code, WAIT) for code in (40016, 40100, 40132, 40133, 40201, 40202, 50000, 50002, 60001, 61000)],
    *[(code, WAIT) for code in (51000, 51003, 51010, 51063, 51999, 52000, 52999)],
    *[(code, STOP) for code in (40001, 40006, 40007, 40008, 40050, 40051, 40101, 40102, 40104, 40105, 40106)],
    *[(code, STOP) for code in (40110, 40113, 40115, 40118, 40119, 40124, 40125, 40130, 40300, 40301, 40400)],
    *[(code, STOP) for code in (41000, 41001, 41002)],
    *[(code, REFUSED) for code in (40000, 40002, 40011, 40061, 40062, 40200, 42424)],
    *[(code, STOP) for code in (40900, 40906, 40908, 40909)],
    *[(code, WAIT) for code in (40905, 40910)],
    (40907, REFUSED),
]


@pytest.fixture
def writer(account: Account) -> Iterator[Writer]:
    with account.open() as writer:
        yield writer


@pytest.fixture
def ref(account: Account, writer: Writer) -> AudienceRef:
    return writer.ensure(account.audience())


class Refuse(Protocol):
    """The error that `write` raises when the call is answered so."""

    def __call__(self, code: int | None = None, **more: Any) -> Any: ...


@pytest.fixture
def refuse(account: Account, writer: Writer, ref: AudienceRef, batch: numbered.MakeBatch) -> Refuse:
    """What `write` raises when the call is answered so."""

    def raised(code: Any = None, **more: Any) -> Any:
        if code is None:
            account.fault("status", "/mapping/", **more)
        else:
            account.fails(code, **more)
        with pytest.raises((ConfigError, TransientError, RejectedError)) as caught:
            writer.write(batch(ref, range(3)))
        return caught.value

    return raised


@pytest.mark.parametrize(("code", "kind"), OUTCOMES)
def test_every_code_ends_in_the_outcome_of_the_contract(refuse: Refuse, account: Account, code: Any, kind: Any) -> None:
    error = refuse(code, message=f"Batch.0.email: jane@example.com {account.token} {'ab' * 32}")
    assert isinstance(error, kind)
    assert f"TikTok's error {code}, request 20261124ABC" in str(error)
    assert not any(part in str(error) for part in ("jane", account.token, "abab", "Batch"))
    if isinstance(error, ConfigError):
        assert error.remedy
        assert error.place == "/open_api/v1.3/segment/mapping/"
    if isinstance(error, RejectedError):
        assert error.reason == f"tiktok:{code}"


def test_every_rule_is_tried() -> None:
    assert set(ERRORS.rules) <= {code for code, _ in OUTCOMES}


def test_an_audience_that_is_being_processed_is_waited_for(refuse: Refuse) -> None:
    error = refuse(40002, message="Audience is not editable, please check audience status")
    assert isinstance(error, TransientError)
    assert error.retry_after == 3_600


def test_a_second_limit_error_keeps_the_silence_that_tiktok_wants(
    refuse: Refuse, account: Account, writer: Writer, ref: AudienceRef, batch: numbered.MakeBatch
) -> None:
    assert [refuse(40100).retry_after for _ in range(3)] == [1, 300, 300]
    writer.write(batch(ref, [1]))
    assert refuse(40133).retry_after == 1


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 502},
        {"status": 504},
        {"status": 429},
        {"status": 200},
        {"status": 200, "body": ["x"]},
        {"status": 200, "body": {"message": "OK"}},
        {"status": 200, "body": {"code": "rubbish"}},
        {"status": 200, "body": "[" * 100_000},
    ],
)
def test_what_is_no_answer_of_the_api_is_tried_again(refuse: Refuse, answer: Any) -> None:
    assert isinstance(refuse(**answer), TransientError)


@pytest.mark.parametrize(("status", "kind"), [(401, STOP), (403, STOP), (404, STOP), (405, REFUSED), (413, REFUSED)])
def test_a_request_that_never_reached_the_api_is_judged_by_status(refuse: Refuse, status: Any, kind: Any) -> None:
    assert isinstance(refuse(status=status), kind)


def test_a_duplicate_is_done_if_it_is_our_own_repeat(
    account: Account, writer: Writer, ref: AudienceRef, batch: numbered.MakeBatch
) -> None:
    account.fault("accepted_then_reset", "/mapping/")
    account.fails(40050)
    with pytest.raises(TransientError):
        writer.write(batch(ref, range(3)))
    assert writer.write(batch(ref, range(3))).unknown == frozenset()
    assert account.held(ref.id)["held_rows"] == 3
    account.fails(40050)
    with pytest.raises(ConfigError, match="seen this request before"):
        writer.write(batch(ref, range(3)))


def test_partly_done_accepts_nobody_of_whom_nothing_is_said(
    account: Account, writer: Writer, ref: AudienceRef, batch: numbered.MakeBatch, digest: Callable[[object], str]
) -> None:
    wanted = batch(ref, range(3))
    account.fails(20001)
    assert writer.write(wanted).unknown == frozenset(wanted.keys)
    account.fails(20001, data={"failed": [{"id": digest("1@example.com")}]})
    outcome = writer.write(wanted)
    assert (outcome.rejected, outcome.unknown) == ({wanted.keys[1]: "tiktok:20001"}, frozenset())


def test_success_without_data_is_success(
    account: Account, writer: Writer, ref: AudienceRef, batch: numbered.MakeBatch
) -> None:
    account.fault("accepted_then_error", "/mapping/", status=200, body={"code": 0, "message": "OK"})
    assert writer.write(batch(ref, [1])).unknown == frozenset()
    assert account.held(ref.id)["held_rows"] == 1


def test_a_hostile_request_id_is_cut(account: Account, refuse: Refuse) -> None:
    error = refuse(status=200, body={"code": 40000, "request_id": "<jane@example.com>" * 9})
    assert "@" not in str(error)
    assert len(str(error)) < 120
