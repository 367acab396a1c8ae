"""What Google says half an hour later: done, under way, or how many it refused and why."""

from collections.abc import Iterator
from typing import Any, Protocol

import pytest
from cdp_bridge.model import Operation
from cdp_bridge.sdk import AudienceRef, Outcome, RejectedError, TransientError
from cdp_bridge.testing import numbered
from cdp_bridge.testing.numbered import pending_of
from destination_google.destination import GoogleWriter
from sandbox.trial import Clock

from .conftest import Account

HALF_AN_HOUR = 1_800


@pytest.fixture
def writer(account: Account) -> Iterator[GoogleWriter]:
    account.configure(processing=HALF_AN_HOUR)
    with account.open() as writer:
        yield writer
    account.configure(processing=0)


@pytest.fixture
def ref(account: Account, writer: GoogleWriter) -> AudienceRef:
    return writer.ensure(account.audience())


class Settle(Protocol):
    """The outcome of `settle` for one status, or for several."""

    def __call__(self, *statuses: dict[str, Any]) -> Outcome: ...


@pytest.fixture
def told(account: Account, writer: GoogleWriter, ref: AudienceRef) -> Settle:
    """What `settle` makes of one status, or of several."""

    def settled(*statuses: dict[str, Any]) -> Outcome:
        body = {"requestStatusPerDestination": list(statuses)}
        account.fault("status", "requestStatus", status=200, body=body)
        return writer.settle(ref, "126365e1")

    return settled


def counts(**reasons: int) -> dict[str, Any]:
    found = [{"recordCount": str(n), "reason": f"PROCESSING_ERROR_REASON_{name}"} for name, n in reasons.items()]
    return {"errorInfo": {"errorCounts": found}}


@pytest.mark.parametrize("operation", ["add", "remove"])
def test_a_request_is_pending_until_google_has_processed_it(
    account: Account,
    writer: GoogleWriter,
    ref: AudienceRef,
    batch: numbered.MakeBatch,
    clock: Clock,
    operation: Operation,
) -> None:
    pending = pending_of(writer.write(batch(ref, range(3), operation)))
    assert writer.settle(ref, pending).pending == pending
    clock.advance(HALF_AN_HOUR)
    outcome = writer.settle(ref, pending)
    assert (outcome.pending, outcome.rejected, outcome.unknown, outcome.counts) == (None, {}, frozenset(), {})
    assert account.held(ref.id)["held_rows"] == (3 if operation == "add" else 0)


def test_whoever_opens_a_new_writer_can_settle_too(
    account: Account, writer: GoogleWriter, ref: AudienceRef, batch: numbered.MakeBatch, clock: Clock
) -> None:
    pending = pending_of(writer.write(batch(ref, range(3))))
    clock.advance(HALF_AN_HOUR)
    with account.open() as later:
        assert later.settle(ref, pending).pending is None


def test_a_part_that_google_refused_is_counted(
    account: Account, writer: GoogleWriter, ref: AudienceRef, batch: numbered.MakeBatch, clock: Clock
) -> None:
    account.fault("partial", "audienceMembers", rows=2)
    pending = pending_of(writer.write(batch(ref, range(5))))
    clock.advance(HALF_AN_HOUR)
    assert writer.settle(ref, pending).counts == {"google:INTERNAL_ERROR": 3}


def test_consent_that_was_denied_is_counted(
    account: Account, ref: AudienceRef, batch: numbered.MakeBatch, clock: Clock
) -> None:
    with account.open(ad_user_data="denied") as writer:
        pending = pending_of(writer.write(batch(ref, range(5))))
        clock.advance(HALF_AN_HOUR)
        assert writer.settle(ref, pending).counts == {"google:DENIED_CONSENT": 5}
    assert account.held(ref.id)["held_rows"] == 0


@pytest.mark.parametrize(
    ("status", "found"),
    [
        ({"requestStatus": "SUCCESS"}, {}),
        ({"requestStatus": "SUCCESS", "warningInfo": {"warningCounts": [{"recordCount": "3"}]}}, {}),
        ({"requestStatus": "SUCCESS"} | counts(NO_CONSENT=3), {}),
        (
            {"requestStatus": "PARTIAL_SUCCESS"} | counts(NO_CONSENT=3, INVALID_FORMAT=1),
            {"google:NO_CONSENT": 3, "google:INVALID_FORMAT": 1},
        ),
        ({"requestStatus": "FAILED"} | counts(UNKNOWN_CONSENT=9), {"google:UNKNOWN_CONSENT": 9}),
        ({"requestStatus": "FAILED"}, {"google:FAILED": 1}),
        ({"requestStatus": "PARTIAL_SUCCESS", "errorInfo": {}}, {"google:PARTIAL_SUCCESS": 1}),
        ({"requestStatus": "FAILED"} | counts(NO_CONSENT=0), {"google:FAILED": 1}),
        (
            {"requestStatus": "FAILED", "errorInfo": {"errorCounts": [{"recordCount": 2, "reason": "jane@x.com"}]}},
            {"google:unknown": 2},
        ),
    ],
)
def test_statuses(told: Settle, status: Any, found: Any) -> None:
    outcome = told(status)
    assert (outcome.counts, outcome.pending) == (found, None)


@pytest.mark.parametrize("name", ["PROCESSING", "REQUEST_STATUS_UNKNOWN"])
def test_what_is_under_way_stays_pending(told: Settle, name: str) -> None:
    assert told({"requestStatus": name}).pending == "126365e1"
    assert told({}).pending == "126365e1"
    assert told().pending == "126365e1"


def test_a_status_of_another_shape_is_asked_for_again(told: Settle) -> None:
    with pytest.raises(TransientError):
        told({"requestStatus": "FAILURE"})


def test_row_29_what_google_has_forgotten_is_in_doubt(
    account: Account, writer: GoogleWriter, ref: AudienceRef, batch: numbered.MakeBatch, clock: Clock
) -> None:
    for pending in ("", "t-a8896317", "no-such-request"):
        with pytest.raises(RejectedError) as refusal:
            writer.settle(ref, pending)
        assert refusal.value.reason == "google:INVALID_REQUEST_ID"
    pending = pending_of(writer.write(batch(ref, [1])))
    clock.advance(51 * 86_400)
    with pytest.raises(RejectedError) as refusal:
        writer.settle(ref, pending)
    assert refusal.value.reason == "google:REQUEST_TOO_OLD"


def test_an_unwell_google_is_asked_again(
    account: Account, writer: GoogleWriter, ref: AudienceRef, batch: numbered.MakeBatch, clock: Clock
) -> None:
    pending = pending_of(writer.write(batch(ref, [1])))
    clock.advance(HALF_AN_HOUR)
    account.fault("status", "requestStatus", status=503)
    account.fault("reset", "requestStatus")
    assert writer.settle(ref, pending).pending is None
    assert len(clock.slept) == 2


@pytest.mark.parametrize(
    ("ranges", "rate"),
    [
        (["MATCH_RATE_RANGE_41_TO_50"], (0.41, 0.5)),
        (["MATCH_RATE_RANGE_LESS_THAN_20"], (0.0, 0.2)),
        (["MATCH_RATE_RANGE_20_TO_30", "MATCH_RATE_RANGE_91_TO_100"], (0.2, 1.0)),
        (["MATCH_RATE_RANGE_41_TO_50", "MATCH_RATE_RANGE_NOT_ELIGIBLE"], None),
        (["MATCH_RATE_RANGE_UNKNOWN"], None),
        ([""], None),
    ],
)
def test_the_match_rate_of_an_upload_is_the_interval_that_google_names(
    told: Settle, ranges: list[str], rate: tuple[float, float] | None
) -> None:
    statuses = [
        {
            "requestStatus": "SUCCESS",
            "audienceMembersIngestionStatus": {"compositeDataIngestionStatus": {"uploadMatchRateRange": text}},
        }
        for text in ranges
    ]
    assert told(*statuses) == Outcome(match_rate=rate)
