"""Upload sessions: their numbers, retries, their end, and batches that Meta drops."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cdp_bridge.sdk import AudienceRef, RejectedError, TransientError
from cdp_bridge.testing import numbered
from destination_meta.destination import MetaWriter
from destination_meta.sessions import Session, Totals
from sandbox.trial import Clock

from .conftest import Account


@pytest.fixture
def writer(account: Account) -> Iterator[MetaWriter]:
    with account.open() as writer:
        yield writer


@pytest.fixture
def ref(account: Account, writer: MetaWriter) -> AudienceRef:
    return writer.ensure(account.audience())


@pytest.fixture
def sessions(account: Account, ref: AudienceRef) -> Callable[[], list[tuple[int, str]]]:
    """What the twin says about the sessions of the audience: (rows received, stage), oldest first."""

    def read() -> list[tuple[int, str]]:
        found = account.call("GET", f"{ref.id}/sessions")["data"]
        return [(int(session["num_received"]), session["stage"]) for session in found]

    return read


def test_batches_of_an_operation_share_a_session_until_the_last(
    writer: MetaWriter, ref: AudienceRef, batch: numbered.MakeBatch, sessions: Callable[[], list[tuple[int, str]]]
) -> None:
    writer.write(batch(ref, range(10), last=False, total=20))
    writer.write(batch(ref, range(3), "remove", last=False))
    writer.write(batch(ref, range(10, 20), last=True, total=20))
    assert sessions() == [(20, "completed"), (3, "uploading")]
    writer.write(batch(ref, range(20, 25)))
    assert sessions() == [(20, "completed"), (3, "uploading"), (5, "completed")]


def test_audiences_have_sessions_of_their_own(
    account: Account,
    writer: MetaWriter,
    ref: AudienceRef,
    batch: numbered.MakeBatch,
    sessions: Callable[[], list[tuple[int, str]]],
) -> None:
    other = writer.ensure(account.audience("other"))
    writer.write(batch(ref, range(2), last=False))
    writer.write(batch(other, range(3), last=False))
    assert sessions() == [(2, "uploading")]


def test_row_20_a_new_session_begins_before_ninety_minutes_are_over(
    account: Account,
    writer: MetaWriter,
    ref: AudienceRef,
    batch: numbered.MakeBatch,
    clock: Clock,
    sessions: Callable[[], list[tuple[int, str]]],
) -> None:
    writer.write(batch(ref, range(2), last=False))
    clock.advance(79 * 60)
    writer.write(batch(ref, range(2, 4), last=False))
    clock.advance(2 * 60)
    writer.write(batch(ref, range(4, 6), last=False))
    assert sessions() == [(4, "uploading"), (2, "uploading")]
    assert account.held(ref.id)["held_rows"] == 6


def test_row_20_a_dropped_batch_is_sent_again_in_a_new_session(
    account: Account, writer: MetaWriter, ref: AudienceRef, batch: numbered.MakeBatch
) -> None:
    writer.write(batch(ref, range(2), last=False))
    account.control("POST", "clock", {"advance": 5_400})
    with pytest.raises(TransientError, match="dropped"):
        writer.write(batch(ref, range(2, 4), last=False))
    assert account.held(ref.id)["rows_dropped"] == 2
    assert writer.write(batch(ref, range(2, 4), last=False)).unknown == frozenset()
    assert account.held(ref.id)["held_rows"] == 4


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("accepted_then_reset", {}),
        ("reset", {}),
        ("broken_json", {}),
        ("accepted_then_error", {"body": {"error": {"code": 2, "is_transient": True}}}),
        ("accepted_then_error", {"body": {"audience_id": "1"}, "status": 200}),
    ],
)
def test_a_retry_is_the_same_batch_and_counts_once(
    account: Account,
    writer: MetaWriter,
    ref: AudienceRef,
    batch: numbered.MakeBatch,
    sessions: Callable[[], list[tuple[int, str]]],
    kind: Any,
    more: Any,
) -> None:
    writer.write(batch(ref, range(5), last=False))
    account.fault(kind, "/users", **more)
    wanted = batch(ref, range(5, 10), email={7: ["bad"]}, last=True)
    with pytest.raises(TransientError):
        writer.write(wanted)
    assert list(writer.write(wanted).rejected) == [(7).to_bytes(16)]
    assert sessions() == [(10, "completed")]
    assert account.held(ref.id)["held_rows"] == 9


def test_another_batch_after_one_without_an_answer_begins_a_new_session(
    account: Account,
    writer: MetaWriter,
    ref: AudienceRef,
    batch: numbered.MakeBatch,
    sessions: Callable[[], list[tuple[int, str]]],
) -> None:
    account.fault("accepted_then_reset", "/users")
    with pytest.raises(TransientError):
        writer.write(batch(ref, range(4), last=False))
    writer.write(batch(ref, range(2), last=False))
    writer.write(batch(ref, range(2, 4), last=True))
    assert sessions() == [(4, "uploading"), (4, "completed")]


def test_the_halves_of_a_refused_batch_go_on_in_a_new_session(
    account: Account,
    writer: MetaWriter,
    ref: AudienceRef,
    batch: numbered.MakeBatch,
    sessions: Callable[[], list[tuple[int, str]]],
) -> None:
    writer.write(batch(ref, range(2), last=False))
    account.fails(100)
    with pytest.raises(RejectedError):
        writer.write(batch(ref, range(2, 6)))
    writer.write(batch(ref, range(2, 4), last=False))
    writer.write(batch(ref, range(4, 6)))
    assert sessions() == [(2, "uploading"), (4, "completed")]


def test_row_18_session_ids_are_positive_64_bit_and_differ() -> None:
    numbers = {Session().session_id for _ in range(1_000)}
    assert len(numbers) == 1_000
    assert all(0 < number < 2**63 for number in numbers)


def test_counts_are_running_totals() -> None:
    session = Session()
    assert session.advance(Totals(num_received=10, num_invalid_entries=2)) == (10, 2)
    assert session.advance(Totals(num_received=15, num_invalid_entries=2)) == (5, 0)
    assert session.batch_seq == 3
