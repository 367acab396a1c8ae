"""A transaction records everything or nothing, and everything comes back as it was saved."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from cdp_bridge.entities import (
    Activation,
    Bridge,
    CDPConnection,
    CDPSegment,
    DeadLetter,
    DestinationAccount,
    Funnel,
    SyncLog,
)
from cdp_bridge.model import AudienceRef
from cdp_bridge.store import AudienceRow, Delivery, Ensured, Store, Transaction
from cdp_bridge.store.window import Window
from cdp_bridge.testing.configuring import configure

from .conftest import People


def dead_letter(number: int, at: datetime, *, audience: str = "vip", reason: str = "meta:100") -> DeadLetter:
    return DeadLetter(
        audience=audience,
        member_key=number.to_bytes(16, "big"),
        fingerprint=bytes([number]) * 16,
        operation="add",
        reason=reason,
        run_id="r1",
        created_at=at,
    )


def test_a_delivery_stays_until_it_is_closed(store: Store, people: People, at: datetime) -> None:
    first = Delivery(
        id="d1",
        audience="vip",
        operation="add",
        run_id="r1",
        members=people(3),
        status="pending",
        pending="session 7",
        created_at=at,
    )
    second = Delivery(
        id="d0", audience="vip", operation="remove", run_id="r1", members=[], created_at=at + timedelta(seconds=1)
    )
    with store.transaction() as change:
        change.open_delivery(first)
        change.open_delivery(second)
    assert store.deliveries("vip") == [first, second]
    assert store.deliveries("cart") == []
    with store.transaction() as change:
        change.close_delivery("d0")
    assert store.deliveries("vip") == [first]


def test_the_same_delivery_is_never_opened_twice(store: Store, at: datetime) -> None:
    delivery = Delivery(id="d1", audience="vip", operation="add", run_id="r1", members=[], created_at=at)
    with store.transaction() as change:
        change.open_delivery(delivery)
    with pytest.raises(Exception, match=r"(?i)unique"), store.transaction() as change:
        change.open_delivery(delivery)


def test_a_dead_letter_is_replaced_by_a_newer_one_and_deleted(store: Store, at: datetime) -> None:
    newer = dead_letter(1, at + timedelta(days=1), reason="meta:200")
    with store.transaction() as change:
        change.save_dead_letters([dead_letter(1, at), dead_letter(2, at), dead_letter(1, at, audience="cart")])
        change.save_dead_letters([])
    with store.transaction() as change:
        change.save_dead_letters([newer])
    assert store.dead_letters.listed("vip") == [newer, dead_letter(2, at)]
    assert store.dead_letters.listed(window=Window(limit=1)) == [newer]
    assert len(store.dead_letters.listed()) == 3
    with store.transaction() as change:
        change.delete_dead_letters("vip", [newer.member_key, b"nobody"])
    assert store.dead_letters.fingerprints("vip") == {dead_letter(2, at).member_key: dead_letter(2, at).fingerprint}
    assert len(store.dead_letters.fingerprints("cart")) == 1


def test_dead_letters_of_an_audience_are_deleted_by_reason(store: Store, at: datetime) -> None:
    others = [dead_letter(2, at, reason="meta:200"), dead_letter(1, at, audience="cart")]
    with store.transaction() as change:
        change.save_dead_letters([dead_letter(1, at), *others, dead_letter(3, at)])
    assert store.dead_letters.delete("vip", "meta:100") == 2
    assert store.dead_letters.listed() == others
    assert store.dead_letters.delete("vip") == 1
    assert store.dead_letters.listed() == others[1:]
    assert store.dead_letters.delete("nobody") == 0


def test_a_run_comes_back_whole_and_newest_first(store: Store, at: datetime) -> None:
    funnel = Funnel(in_segment=10, matched_lower=900, dropped={"no consent": 3}, fields_rejected={"email: empty": 2})
    run = SyncLog(
        run_id="r1",
        audience="vip",
        sync_timestamp=at,
        status="partial",
        adds=7,
        match_rate=0.7,
        latency=1.5,
        funnel=funnel,
    )
    other = SyncLog(run_id="r2", audience="cart", sync_timestamp=at + timedelta(hours=1))
    with store.transaction() as change:
        change.save_run(SyncLog(run_id="r1", audience="vip", sync_timestamp=at))
        change.save_run(other)
    with store.transaction() as change:
        change.save_run(run)
    assert store.run("r1") == run
    assert store.run("r3") is None
    assert store.runs() == [other, run]
    assert store.runs("vip") == [run]
    assert store.runs(limit=1) == [other]


def test_cursors_are_saved_by_sync_stream_and_segment(store: Store) -> None:
    state = {"at": "2026-03-01", "nested": [1, None, {"text": "ü☃"}]}
    with store.transaction() as change:
        change.save_cursor("vip", "members", "s1", {"at": "old"})
        change.save_cursor("vip", "members", "s1", state)
        change.save_cursor("vip", "profiles", None, {"page": 3})
    assert store.cursor("vip", "members", "s1") == state
    assert store.cursor("vip", "profiles", None) == {"page": 3}
    assert store.cursor("vip", "members", "s2") is None
    assert store.cursor("cart", "members", "s1") is None


def test_segments_are_saved_by_connection_and_id(store: Store, at: datetime) -> None:
    segment = CDPSegment(connection="segment", segment_id="s1", segment_name="VIP", member_count=3, last_sync=at)
    with store.transaction() as change:
        change.save_segment(CDPSegment(connection="segment", segment_id="s1", segment_name="old"))
        change.save_segment(segment)
    assert store.segments() == [segment]


def test_audiences_are_listed_with_ref_size_and_last_run(store: Store, people: People, at: datetime) -> None:
    ref = AudienceRef(id="238", account="act_1", status="ready", lower_bound=1000)
    run = SyncLog(run_id="r1", audience="vip", sync_timestamp=at)
    ensured = Ensured(settings_digest="d", wanted_name="VIP", given_name="VIP [1]", shown_size=1000)
    with store.transaction() as change:
        change.put_members("vip", people(4), "accepted", at)
        change.save_audience("vip", AudienceRef(id="238", account="act_1", upper_bound=9))
        change.save_audience("vip", ref, ensured)
        change.save_run(run)
        change.put_members("cart", people(1), "accepted", at)
    assert store.audience_ref("vip") == ref
    assert store.ensured("vip") == ensured
    assert (store.audience_ref("nobody"), store.ensured("nobody")) == (None, Ensured())
    assert store.audiences() == [
        AudienceRow(name="cart", ref=None, members=1, last_run=None, match=None),
        AudienceRow(name="vip", ref=ref, members=4, last_run=run, match=None),
    ]


def test_audiences_are_shown_many_at_once_as_one_by_one(store: Store, at: datetime) -> None:
    names = [f"a{number}" for number in range(3)]
    configure(
        store,
        Bridge(
            connections=(CDPConnection(name="crm", cdp_provider="source-shop"),),
            destinations=(DestinationAccount(name="ads", connector="destination-shop"),),
            mappings={"people": ()},
            audiences=tuple(
                Activation(name=name, connection="crm", segment="s", destination="ads", mapping="people")
                for name in names
            ),
        ),
    )
    with store.transaction() as change:
        for number in range(4):
            moment = at + timedelta(minutes=number % 3)
            for name in names[:2]:
                status: Any = "failed" if number == 2 else "succeeded"
                run_id = f"{name}-{number}"
                change.save_run(SyncLog(run_id=run_id, audience=name, sync_timestamp=moment, status=status))
            change.save_audience(names[number % 2], AudienceRef(id=str(number), account="1"))
    runs = {name: newest[0] for name in names if (newest := store.runs(name, 1))}
    assert store.last_runs([*names, "nobody"]) == runs
    assert [run.run_id for run in runs.values()] == ["a0-2", "a1-2"]
    assert store.last_runs(["a1"]) == {"a1": runs["a1"]}
    assert store.counts.last_successes() == dict.fromkeys(names[:2], at + timedelta(minutes=1))
    refs = {name: ref for name in names if (ref := store.audience_ref(name))}
    assert store.audience_refs([*names, "nobody"]) == refs
    assert set(refs) == {"a0", "a1"}


def test_an_exception_undoes_everything(store: Store, people: People, at: datetime) -> None:
    def work(change: Transaction) -> None:
        change.put_members("vip", people(4), "accepted", at)
        change.open_delivery(Delivery(id="d", audience="vip", operation="add", run_id="r", members=[], created_at=at))
        change.save_dead_letters([dead_letter(1, at)])
        change.save_run(SyncLog(run_id="r1", audience="vip", sync_timestamp=at))
        change.save_cursor("vip", "members", None, {"page": 1})
        raise InterruptedError

    with pytest.raises(InterruptedError), store.transaction() as change:
        work(change)
    assert store.audiences() == []
    assert not store.runs()
    assert not store.dead_letters.listed()
    assert not store.deliveries("vip")
    assert store.cursor("vip", "members", None) is None


def test_a_moment_without_time_zone_is_refused(store: Store, people: People, at: datetime) -> None:
    with pytest.raises(TypeError), store.transaction() as change:
        change.put_members("vip", people(1), "accepted", at.replace(tzinfo=None))


def test_everything_survives_closing(store: Store, store_url: str, people: People, at: datetime) -> None:
    with store.transaction() as change:
        change.put_members("vip", people(4), "accepted", at)
    key = store.key("members")
    store.close()
    with Store.open(store_url) as again:
        assert again.ledger.count("vip") == 4
        assert again.key("members") == key
