"""Rows of a payload, whatever the members hold."""

from typing import Any

import msgspec
from cdp_bridge.sdk import AudienceRef, Batch
from destination_meta.members import INVALID, SCHEMA, outcome_of, upload
from hypothesis import given
from hypothesis import strategies as st

REF = AudienceRef(id="1", account="act_1")
VALUES = st.lists(st.text(min_size=1, max_size=3), max_size=4)
MEMBERS = st.lists(st.fixed_dictionaries(dict.fromkeys(("email", "phone", "city"), VALUES)), min_size=1)


def batch_of(members: Any) -> Any:
    identifiers = {column: [member[column] for member in members] for column in members[0]}
    keys = [number.to_bytes(16) for number in range(len(members))]
    return Batch(audience=REF, operation="add", keys=keys, identifiers=identifiers)


@given(MEMBERS)
def test_rows_hold_every_value_of_their_owner_and_no_other(members: Any) -> None:
    sent = upload(batch_of(members))
    payload = msgspec.json.decode(sent.payload)
    assert payload["data"] == [list(row) for row in sent.rows]
    assert all(len(row) == len(payload["schema"]) for row in sent.rows)
    if not payload["schema"]:
        assert not any(values for member in members for values in member.values())
        return
    for number, member in enumerate(members):
        mine = [row for row, owner in zip(sent.rows, sent.owners, strict=True) if owner == number]
        for column, values in member.items():
            place = payload["schema"].index(SCHEMA[column]) if SCHEMA[column] in payload["schema"] else None
            cells = {row[place] for row in mine} if place is not None else {""}
            assert cells == set(values or [""])
        assert len(mine) == max(1, *map(len, member.values()))


@given(MEMBERS, st.integers(0, 5), st.lists(st.text(min_size=1, max_size=3)))
def test_a_verdict_is_honest_whatever_the_counts_say(members: Any, invalid: Any, samples: Any) -> None:
    batch = batch_of(members)
    sent = upload(batch)
    outcome = outcome_of(sent, batch.keys, len(sent.rows), invalid, samples)
    assert not outcome.unknown & outcome.rejected.keys()
    assert set(outcome.rejected.values()) <= {INVALID}
    assert len(outcome.rejected) <= invalid
    named = sum(not set(samples).isdisjoint(row) for row in sent.rows)
    if invalid and named != invalid:
        assert outcome.unknown | outcome.rejected.keys() == set(batch.keys)
    if not invalid:
        assert not outcome.unknown


def test_fewer_rows_received_than_sent_leaves_all_unknown() -> None:
    batch = batch_of([{"email": ["a"]}, {"email": ["b"]}])
    assert outcome_of(upload(batch), batch.keys, 1, 0, {}).unknown == frozenset(batch.keys)


def test_samples_that_name_more_rows_than_were_invalid_prove_nothing() -> None:
    batch = batch_of([{"email": ["a"]}, {"email": ["a"]}, {"email": ["b"]}])
    assert outcome_of(upload(batch), batch.keys, 3, 1, ["a"]).unknown == frozenset(batch.keys)
