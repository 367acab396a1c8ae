import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import requests
import sandbox
from cdp_bridge.sdk import Checkpoint, ConfigError, Page, ReadRequest, TransientError
from source_segment import members, source
from source_segment import people as folding

from .conftest import Fill, MakeSettings

T0, T1 = "2026-03-01 00:00:00", "2026-03-02 00:00:00"
STATE = {"since": "2026-03-01T12:00:00+00:00"}
HOSTILE = ["first name", "it's", 'a "quote"', "😀 mood", "back\\slash", "50%", ":bind", "a.b.c", "-- x", "SELECT", "t0"]
People = Callable[..., list[dict[str, Any]]]


def flag(person: str, value: str = "true", at: str = T0, key: str = "vip") -> tuple[Any, ...]:
    return (person, key, value, 1, at)


def test_lists_are_in_order_of_seq_then_value(fill: Fill, people: People) -> None:
    order = ((9, "a"), (2, "z"), (2, "b"), (5, "c"))
    emails = [("p1", "email", f"{name}@example.com", seq, T0) for seq, name in order]
    ids = [("p1", "user_id", "u-2", 8, T0), ("p1", "user_id", "u-1", 9, T0), ("p1", "ios.idfa", "X", 1, T0)]
    url = fill({"user_traits": [flag("p1"), ("p1", "plan", "pro", 1, T0)], "user_identifiers": emails + ids})
    assert people(url) == [
        {
            "segment_id": "vip",
            "canonical_segment_id": "p1",
            "user_id": "u-2",
            "identifiers": {
                "email": [f"{name}@example.com" for name in "bzca"],
                "ios.idfa": ["X"],
                "user_id": ["u-2", "u-1"],
            },
            "traits": {"plan": "pro", "vip": "true"},
        }
    ]


def test_only_true_and_1_in_any_case_are_members(fill: Fill, people: People) -> None:
    values = ["true", "TRUE", "1", "false", "0", "", "yes", "null"]
    url = fill({"user_traits": [flag(f"p{number}", value) for number, value in enumerate(values)]})
    assert [row["canonical_segment_id"] for row in people(url)] == ["p0", "p1", "p2"]


def test_a_member_without_identifiers_is_still_one(fill: Fill, people: People) -> None:
    url = fill({"user_traits": [flag("p1")], "user_identifiers": [("p2", "email", "x@example.com", 1, T0)]})
    assert people(url) == [
        {
            "segment_id": "vip",
            "canonical_segment_id": "p1",
            "user_id": None,
            "identifiers": {"email": None},
            "traits": {"vip": "true"},
        }
    ]


def test_a_profile_that_was_merged_away_is_nobody(fill: Fill, people: People) -> None:
    merges = [("p2", "p1", T0), ("p2", "p2", T0)]
    url = fill({"user_traits": [flag("p1"), flag("p2")], "profile_merges": merges})
    assert [row["canonical_segment_id"] for row in people(url)] == ["p2"]


def test_hostile_names_are_only_names(fill: Fill, people: People) -> None:
    traits = [("p1", name, f"value of {name}", 1, T0) for name in HOSTILE]
    url = fill({"user_traits": [flag("p1"), *traits], "user_identifiers": [("p1", 'o\'id "x"', "v", 1, T0)]})
    (row,) = people(url)
    assert row["traits"] == {name: f"value of {name}" for name in HOSTILE} | {"vip": "true"}
    assert row["identifiers"] == {'o\'id "x"': ["v"]}
    (row,) = people(url, fields=('traits."a ""quote"""', "traits.a.b.c", "traits.first name", "identifiers.email"))
    assert set(row["traits"]) == {'a "quote"', "a.b.c", "first name"}
    assert "identifiers" not in row


@pytest.mark.parametrize("key", ["it's 50% :x \\ vip", "'; DROP TABLE user_traits; --", "ключ 😀"])
def test_hostile_audience_keys_are_only_keys(fill: Fill, people: People, key: str) -> None:
    url = fill({"user_traits": [flag("p1", key=key), flag("p2", key="other")]})
    assert [row["segment_id"] for row in people(url, key)] == [key]


def test_only_the_fields_asked_for_are_read(fill: Fill, people: People) -> None:
    url = fill(
        {
            "user_traits": [flag("p1"), ("p1", "plan", "pro", 1, T0), ("p1", "city", "Ulm", 1, T0)],
            "user_identifiers": [("p1", "email", "x@example.com", 1, T0), ("p1", "user_id", "u-1", 1, T0)],
        }
    )
    (row,) = people(url, fields=("user_id", "identifiers.email.0", "traits.plan", "traits.nothing"))
    assert row == {
        "segment_id": "vip",
        "canonical_segment_id": "p1",
        "user_id": "u-1",
        "identifiers": {"email": ["x@example.com"]},
        "traits": {"plan": "pro"},
    }
    assert set(people(url, fields=("user_id",))[0]) == {"segment_id", "canonical_segment_id", "user_id"}


def test_a_thousand_values_of_one_person(fill: Fill, people: People) -> None:
    values = [("p1", "email", f"{number:04}@example.com", number, T0) for number in reversed(range(1000))]
    url = fill({"user_traits": [flag("p1"), flag("p2")], "user_identifiers": values})
    assert people(url)[0]["identifiers"]["email"] == [f"{number:04}@example.com" for number in range(1000)]


def test_people_are_whole_where_rows_are_folded_here(
    fill: Fill, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folding, "FACTS_AT_ONCE", 1)
    monkeypatch.setattr(members, "PEOPLE_AT_ONCE", 2)
    monkeypatch.setattr(members, "ROWS", 3)
    names = [f"p{number}" for number in range(10)] + ["P5"]
    identifiers = [(name, "email", f"{name}-{seq}@example.com", seq, T0) for seq in range(4) for name in names]
    url = fill({"user_traits": [flag(name) for name in names], "user_identifiers": identifiers})
    assert {row["canonical_segment_id"]: row["identifiers"]["email"] for row in people(url)} == {
        name: [f"{name}-{seq}@example.com" for seq in range(4)] for name in names
    }


def test_no_member_where_segment_counts_some_is_no_extract(fill: Fill, people: People) -> None:
    url = fill({"user_traits": [flag("p1", "false")]})
    with pytest.raises(TransientError, match="holds no member of vip, but Segment says it has 7"):
        people(url, size=7)
    assert people(url, size=0) == []


def test_a_flag_that_nobody_has_is_no_extract(fill: Fill, people: People) -> None:
    url = fill({"user_traits": [flag("p1", key="other")]})
    for request in ({}, {"checkpoint": STATE}, {"fields": ("user_id",)}):
        with pytest.raises(ConfigError, match="no profile in the warehouse has the trait vip"):
            people(url, size=0, **request)


def test_empty_tables_are_no_extract(fill: Fill, people: People) -> None:
    with pytest.raises(ConfigError, match="tables are empty"):
        people(fill({}))


def test_changes_since_a_checkpoint(fill: Fill, people: People) -> None:
    url = fill(
        {
            "user_traits": [
                *(flag("same"), flag("joined", at=T1), flag("left", "false", T1), flag("moved"), flag("mailed")),
                ("moved", "city", "Ulm", 1, T1),
                ("stranger", "city", "Bonn", 1, T1),
            ],
            "user_identifiers": [
                ("mailed", "email", "new@example.com", 1, T1),
                ("left", "email", "l@example.com", 1, T0),
            ],
        }
    )
    rows = people(url, checkpoint=STATE)
    assert {row["canonical_segment_id"]: row["is_member"] for row in rows} == {
        "joined": True,
        "left": False,
        "mailed": True,
        "moved": True,
    }
    assert rows[1]["identifiers"]["email"] == ["l@example.com"]
    assert {row["canonical_segment_id"] for row in people(url, checkpoint=STATE, fields=("identifiers.email",))} == {
        "joined",
        "left",
        "mailed",
    }


def test_a_merge_takes_out_the_old_ids_and_keeps_the_survivors(fill: Fill, people: People) -> None:
    url = fill(
        {
            "user_traits": [flag("kept")],
            "user_identifiers": [("kept", "user_id", "u-1", 1, T0), ("kept", "user_id", "u-2", 2, T1)],
            "profile_merges": [("kept", "gone", T1), ("kept", "long ago", T0)],
        }
    )
    rows = people(url, checkpoint=STATE, fields=("user_id",))
    assert [(row["canonical_segment_id"], row["user_id"], row["is_member"]) for row in rows] == [
        ("gone", None, False),
        ("gone", "u-2", False),
        ("kept", "u-1", True),
    ]


def test_the_overlap_reads_late_rows_again(fill: Fill, people: People) -> None:
    url = fill({"user_traits": [flag("p1", at="2026-03-01 10:30:00"), flag("p2", at="2026-03-01 09:59:00")]})
    assert [row["canonical_segment_id"] for row in people(url, checkpoint=STATE)] == ["p1"]


@pytest.mark.parametrize("state", [{}, {"since": None}, {"since": "yesterday"}, {"since": 7}])
def test_a_broken_checkpoint_says_so(fill: Fill, people: People, state: dict[str, Any]) -> None:
    url = fill({"user_traits": [flag("p1")]})
    with pytest.raises(ConfigError, match="checkpoint"):
        people(url, checkpoint=state)


def ids(found: list[dict[str, Any]]) -> set[str]:
    return {row["canonical_segment_id"] for row in found}


def truth(twin: sandbox.Sandbox, key: str) -> set[str]:
    people = requests.get(f"{twin.segment}/_twin/people")
    rows = [json.loads(line) for line in people.text.splitlines()]
    return {row["canonical_segment_id"] for row in rows if key in row["audiences"]}


@pytest.mark.parametrize("key", ["cart_abandoners_7d", "vip_eu", "everyone"])
def test_the_members_are_those_that_segment_counts(
    twin: sandbox.Sandbox,
    make_settings: MakeSettings,
    rows: Callable[[Iterable[Page | Checkpoint]], list[dict[str, Any]]],
    key: str,
) -> None:
    found = rows(source.read(make_settings(), ReadRequest(stream="audience_members", segment=key)))
    assert ids(found) == truth(twin, key)


def test_every_readable_audience_when_none_is_asked_for(
    make_settings: MakeSettings, rows: Callable[[Iterable[Page | Checkpoint]], list[dict[str, Any]]]
) -> None:
    def read(**changes: Any) -> set[str]:
        found = source.read(make_settings(**changes), ReadRequest(stream="audience_members", fields=("user_id",)))
        return {row["segment_id"] for row in rows(found)}

    assert read() == {"cart_abandoners_7d", "vip_eu", "everyone"}
    assert read(audiences=["vip_eu"]) == {"vip_eu"}


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("big_accounts", "holds ACCOUNTS"),
        ("renewal_due", "holds LINKED"),
        ("winter_sale_2025", "is disabled"),
        ("aud_31Vip", "no audience with the key aud_31Vip"),
        ("vip_us", "not its id or name: vip_eu"),
    ],
)
def test_audiences_that_cannot_be_read(make_settings: MakeSettings, key: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        list(source.read(make_settings(), ReadRequest(stream="audience_members", segment=key)))


def test_full_then_incremental_follows_the_churn(
    tmp_path: Path, make_settings: MakeSettings, rows: Callable[[Iterable[Page | Checkpoint]], list[dict[str, Any]]]
) -> None:
    with sandbox.running(people=400, seed=3, warehouse=f"duckdb:///{tmp_path}/w.duckdb") as own:
        settings = make_settings(base_url=own.segment, warehouse={"url": own.warehouse})
        key = "cart_abandoners_7d"
        full = list(source.read(settings, ReadRequest(stream="audience_members", segment=key)))
        held = ids(rows(full))
        assert isinstance(full[-1], Checkpoint)
        requests.post(f"{own.segment}/_twin/churn", json={"fraction": 0.1, "seed": 5}).raise_for_status()
        request = ReadRequest(stream="audience_members", segment=key, checkpoint=full[-1].state)
        for row in rows(source.read(settings, request)):
            (held.add if row["is_member"] else held.discard)(row["canonical_segment_id"])
        now = truth(own, key)
        again = rows(source.read(settings, ReadRequest(stream="audience_members", segment=key)))
    assert ids(again) == now
    # Profiles that were deleted outright leave no trace in the tables; only the next full read finds them gone.
    assert now <= held
    assert len(held - now) <= 10
