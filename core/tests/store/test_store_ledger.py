"""The ledger returns every member as it was put, in order, on both databases."""

import random
from datetime import datetime, timedelta

import pytest
from cdp_bridge.store import Member, MemberRow, Store

from .conftest import People


def members(store: Store, audience: str = "vip") -> dict[bytes, Member]:
    return {member.member_key: member for chunk in store.ledger.members(audience) for member in chunk}


def test_members_come_back_as_they_were_put(store: Store, at: datetime) -> None:
    rows: list[MemberRow] = [
        (b"\x00" * 16, b"\xff" * 16, None, b""),
        (b"\x01" * 16, b"", "Ünïcödé ☃ 'quoted' %s ?", b"\x00\x01binary\xff"),
        (b"\xff" * 16, b"\x00" * 16, "", b"x" * 100_000),
    ]
    with store.transaction() as change:
        change.put_members("vip", rows[:2], "accepted", at)
        change.put_members("vip", rows[2:], "unknown", at)
    expected = [Member(*row, "accepted", at) for row in rows[:2]] + [Member(*row, "unknown", at) for row in rows[2:]]
    assert [member for chunk in store.ledger.members("vip") for member in chunk] == expected
    assert store.ledger.rows("vip", [rows[1][0], b"nobody"]) == [expected[1]]
    assert store.ledger.count("vip") == 3


def test_putting_again_replaces_and_other_audiences_stay(store: Store, people: People, at: datetime) -> None:
    later = at + timedelta(microseconds=1)
    with store.transaction() as change:
        change.put_members("vip", people(10), "accepted", at)
        change.put_members("cart", people(10), "accepted", at)
    with store.transaction() as change:
        change.put_members("vip", people(12, start=5, mark=1), "unknown", later)
    vip = members(store)
    assert [vip[row[0]].acknowledged_at for row in people(12)] == [at] * 5 + [later] * 7
    assert [vip[row[0]].outcome for row in people(12)] == ["accepted"] * 5 + ["unknown"] * 7
    assert {row[0]: row[1] for row in people(10)} == {
        key: member.fingerprint for key, member in members(store, "cart").items()
    }


def test_fingerprints_are_complete_and_ordered_over_several_chunks(store: Store, people: People, at: datetime) -> None:
    rows = people(101_000)
    shuffled = random.Random(5).sample(rows, len(rows))
    with store.transaction() as change:
        for first in range(0, len(rows), 10_000):
            change.put_members("vip", shuffled[first : first + 10_000], "accepted", at)
    chunks = list(store.ledger.fingerprints("vip"))
    assert len(chunks) == 3
    assert [pair for chunk in chunks for pair in chunk] == [row[:2] for row in rows]


def test_any_number_of_keys_can_be_read_put_in_doubt_and_dropped(store: Store, people: People, at: datetime) -> None:
    rows = people(40_000)
    keys = [row[0] for row in rows]
    with store.transaction() as change:
        change.put_members("vip", rows, "accepted", at)
    assert {member.member_key for member in store.ledger.rows("vip", keys)} == set(keys)
    with store.transaction() as change:
        change.mark_in_doubt("vip", keys[:35_000])
        change.drop_members("vip", [*keys[5:], b"nobody"])
    assert [member.fingerprint for member in members(store).values()] == [b""] * 5
    assert store.ledger.rows("vip", []) == []


def test_an_unknown_audience_is_empty(store: Store) -> None:
    assert store.ledger.count("nobody") == 0
    assert list(store.ledger.fingerprints("nobody")) == []
    assert list(store.ledger.members("nobody")) == []


def test_a_reader_sees_one_moment_while_a_writer_goes_on(store: Store, people: People, at: datetime) -> None:
    with store.transaction() as change:
        change.put_members("vip", people(60_000), "accepted", at)
    reader = store.ledger.fingerprints("vip")
    seen = len(next(reader))
    with store.transaction() as change:
        change.drop_members("vip", [row[0] for row in people(60_000)])
    assert seen + sum(map(len, reader)) == 60_000
    assert store.ledger.count("vip") == 0


def test_an_abandoned_reader_harms_nobody(store: Store, people: People, at: datetime) -> None:
    with store.transaction() as change:
        change.put_members("vip", people(60_000), "accepted", at)
    for _ in range(20):
        next(store.ledger.fingerprints("vip"))
    with store.transaction() as change:
        change.drop_members("vip", [row[0] for row in people(60_000)])
    assert store.ledger.count("vip") == 0


@pytest.mark.parametrize("seed", range(3))
def test_random_changes_agree_with_a_dictionary(store: Store, people: People, at: datetime, seed: int) -> None:
    dice = random.Random(seed)
    expected: dict[bytes, bytes] = {}
    for step in range(60):
        rows = dice.sample(people(200, mark=step), dice.randint(0, 40))
        keys = [row[0] for row in rows]
        undo = dice.random() < 0.2
        match dice.choice(("put", "drop", "doubt")):
            case "put":
                after = expected | {row[0]: row[1] for row in rows}
            case "drop":
                after = {key: mark for key, mark in expected.items() if key not in keys}
            case _:
                after = expected | {key: b"" for key in keys if key in expected}
        try:
            with store.transaction() as change:
                change.put_members("vip", [row for row in rows if after.get(row[0]) == row[1]], "accepted", at)
                change.drop_members("vip", [key for key in keys if key not in after])
                change.mark_in_doubt("vip", [key for key in keys if after.get(key) == b""])
                if undo:
                    raise InterruptedError
            expected = after
        except InterruptedError:
            pass
        assert dict(pair for chunk in store.ledger.fingerprints("vip") for pair in chunk) == expected
