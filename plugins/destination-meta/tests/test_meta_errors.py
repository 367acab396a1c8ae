"""Every code of the contract over HTTP: what it means for a run, and that it repeats nothing of the request."""

from collections.abc import Iterator
from typing import Any, Protocol

import pytest
from cdp_bridge.sdk import ConfigError, RejectedError, TransientError
from cdp_bridge.testing import numbered
from destination_meta.destination import MetaWriter
from destination_meta.errors import GoneError

from .conftest import Account

WAIT, STOP, REFUSED = TransientError, ConfigError, RejectedError
OUTCOMES = [
    *[(code, None, WAIT) for code in (1, 2, 4, 17, 32, 104, 341, 613, 960, 21009, *range(80000, 80015))],
    *[(1, 99, WAIT), (4, 1504022, WAIT), (4, 1504039, WAIT), (17, 2446079, WAIT)],
    *[(613, sub, WAIT) for sub in (1487742, 1996, 5044001)],
    *[(2650, sub, WAIT) for sub in (1870145, 1870148)],
    *[(190, sub, STOP) for sub in (None, 458, 459, 460, 463, 464, 467, 492)],
    *[(code, None, STOP) for code in (3, 10, 102, 200, 250, 270, 294, 299, 368, 803, 1487301, 1487366)],
    *[(code, None, STOP) for code in (2500, 2650, 2654, 2655, 2656, 2663, 2664)],
    *[(2650, sub, STOP) for sub in (1870144, 1870147, 1870158, 1870159)],
    *[(200, sub, STOP) for sub in (1870034, 1870050, 1870090)],
    *[(100, sub, STOP) for sub in (33, 1713228, 1713230, 1713231, 1487366)],
    *[(code, None, REFUSED) for code in (100, 105, 424242)],
    (100, 1234567, REFUSED),
]


@pytest.fixture
def writer(account: Account) -> Iterator[MetaWriter]:
    with account.open() as writer:
        yield writer


class Refuse(Protocol):
    """The error that `write` raises when the call is answered so."""

    def __call__(self, kind: str, **fault: Any) -> Any: ...


@pytest.fixture
def refuse(account: Account, writer: MetaWriter, batch: numbered.MakeBatch) -> Refuse:
    """What `write` raises when the call is answered so."""
    ref = writer.ensure(account.audience())

    def raised(kind: Any, **fault: Any) -> Any:
        if kind == "error":
            account.fails(**fault)
        else:
            account.fault(kind, "/users", **fault)
        with pytest.raises((ConfigError, TransientError, RejectedError)) as caught:
            writer.write(batch(ref, range(fault.pop("members", 3))))
        return caught.value

    return raised


@pytest.mark.parametrize(("code", "subcode", "kind"), OUTCOMES)
@pytest.mark.parametrize("status", [400, 200])
def test_every_code_ends_in_the_outcome_of_the_contract(
    refuse: Refuse, account: Account, code: Any, subcode: Any, kind: Any, status: Any
) -> None:
    message = f"Invalid parameter jane@example.com {account.token} {'ab' * 32}"
    error = refuse("error", code=code, subcode=subcode, message=message, status=status, error={"fbtrace_id": "AbC_1-x"})
    assert isinstance(error, kind)
    assert f"error {code}{f'/{subcode}' if subcode else ''}, trace AbC_1-x" in str(error)
    assert not any(part in str(error) for part in ("jane", account.token, "abab", "parameter"))
    if isinstance(error, ConfigError):
        assert error.remedy
        assert error.place.startswith("/v26.0/")
    if isinstance(error, RejectedError):
        assert error.reason == (f"meta:{code}/{subcode}" if subcode else f"meta:{code}")


@pytest.mark.parametrize(("code", "subcode"), [(100, None), (105, None), (4711, None)])
@pytest.mark.parametrize("how", [{"error": {"is_transient": True}}, {"status": 503}])
def test_transient_or_5xx_is_tried_again(refuse: Refuse, code: Any, subcode: Any, how: Any) -> None:
    assert isinstance(refuse("error", code=code, subcode=subcode, **how), TransientError)


def test_a_policy_block_and_a_dead_token_stop_even_if_called_transient(refuse: Refuse) -> None:
    assert isinstance(refuse("error", code=368, error={"is_transient": True}), ConfigError)
    assert isinstance(refuse("error", code=190, status=500), ConfigError)


@pytest.mark.parametrize(("code", "subcode"), [(803, None), (100, 33), (1487366, None)])
def test_what_is_gone_can_be_told_from_other_errors(refuse: Refuse, code: Any, subcode: Any) -> None:
    assert isinstance(refuse("error", code=code, subcode=subcode), GoneError)


def test_the_wait_comes_from_the_headers_in_minutes(refuse: Refuse) -> None:
    usage = '{"9": [{"type": "custom_audience", "call_count": 101, "estimated_time_to_regain_access": 3}]}'
    error = refuse("error", code=80003, headers={"X-Business-Use-Case-Usage": usage})
    assert error.retry_after == 180
    assert refuse("error", code=80003).retry_after == 60
    assert refuse("error", code=613, subcode=1996).retry_after == 300
    assert refuse("error", code=2).retry_after is None


def test_too_much_data_is_refused_so_that_the_core_cuts_it(refuse: Refuse) -> None:
    error = refuse("error", code=1, message="Please reduce the amount of data you're asking for", status=500)
    assert error.reason == "meta:1"
    assert refuse("status", status=413).reason == "http:413"


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 500},
        {"status": 400},
        {"status": 200},
        {"status": 200, "body": "[" * 100_000},
        {"status": 500, "body": {"error": {"code": 1}}},
        {"status": 200, "body": {"success": False}},
        {"status": 200, "body": {"error": "rubbish"}},
        {"status": 400, "body": {"error": {"code": "rubbish"}}},
    ],
)
def test_a_large_batch_over_which_meta_stumbles_twice_is_cut(
    account: Account, writer: MetaWriter, batch: numbered.MakeBatch, answer: Any
) -> None:
    ref = writer.ensure(account.audience())
    account.fault("status", "/users", times=4, **answer)
    large, small = batch(ref, range(101)), batch(ref, range(100))
    with pytest.raises(TransientError):
        writer.write(large)
    with pytest.raises(RejectedError) as refusal:
        writer.write(large)
    assert refusal.value.reason == "meta:overloaded"
    for _ in range(2):
        with pytest.raises(TransientError):
            writer.write(small)
    assert writer.write(small).unknown == frozenset()


@pytest.mark.parametrize(("status", "kind"), [(401, STOP), (403, STOP), (404, REFUSED), (429, WAIT)])
def test_pages_of_a_proxy_are_judged_by_status(refuse: Refuse, status: Any, kind: Any) -> None:
    assert isinstance(refuse("status", status=status), kind)


@pytest.mark.parametrize(("status", "kind"), [(403, STOP), (404, REFUSED), (500, WAIT)])
def test_json_without_an_error_is_judged_by_status(refuse: Refuse, status: Any, kind: Any) -> None:
    assert isinstance(refuse("status", status=status, body={"nothing": 1}), kind)


def test_a_redirect_is_not_followed(refuse: Refuse) -> None:
    assert isinstance(refuse("redirect"), ConfigError)


def test_a_hostile_trace_is_cut(refuse: Refuse) -> None:
    error = refuse("error", code=100, error={"fbtrace_id": "<jane@example.com>" * 9})
    assert "@" not in str(error)
    assert len(str(error)) < 120
