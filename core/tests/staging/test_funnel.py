"""Every person of an extract is sent or has exactly one reason, whatever is wrong with them, and the steps add up."""

import hashlib
from collections import Counter
from typing import Any

from cdp_bridge import engine
from cdp_bridge.entities import Consent, DataMapping
from cdp_bridge.mapping import compile_mapping, record_batch
from cdp_bridge.staging.stage import Stage, count_funnel
from hypothesis import given, settings
from hypothesis import strategies as st

STEPS = ("in_segment", "mapped", "valid", "consented", "not_suppressed", "identifiable")
MAPPER = compile_mapping(
    [
        DataMapping(omniads_field="user_id", cdp_field="id"),
        DataMapping(omniads_field="email", cdp_field="email"),
        DataMapping(omniads_field="phone", cdp_field="phone"),
        DataMapping(
            omniads_field="city", cdp_field="city", validation={"enum": ["Paris", "Rome"]}, on_invalid="drop-record"
        ),
    ],
    [Consent(purpose="ads", cdp_field="ads"), Consent(purpose="profiling", cdp_field="profiling", missing="granted")],
    {},
)
people = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.sampled_from([None, "", *(f"u{number}" for number in range(6))]),
            "email": st.sampled_from(["", "no address", "opted.out@example.com", "a@example.com", " B@EXAMPLE.com"]),
            "phone": st.sampled_from([None, "12", "+14155550100"]),
            "city": st.sampled_from([None, "Paris", "Atlantis"]),
            "ads": st.sampled_from([None, "yes", "no"]),
            "profiling": st.sampled_from([None, "true", "false"]),
        }
    ),
    max_size=20,
)


def first_reason(person: dict[str, Any]) -> str:
    """Why a person is not sent, duplicates aside, by rules of the test's own."""
    email = person["email"].strip().lower()
    for reason, applies in (
        ("no_user_id", not person["id"]),
        ("invalid:city", person["city"] == "Atlantis"),
        ("no_consent:ads", person["ads"] != "yes"),
        ("no_consent:profiling", person["profiling"] == "false"),
        ("suppressed", email == "opted.out@example.com"),
        ("unidentifiable", "@" not in email and person["phone"] in (None, "12")),
    ):
        if applies:
            return reason
    return ""


@settings(deadline=None, max_examples=25)
@given(people)
def test_everybody_is_somewhere_once(records: list[dict[str, Any]]) -> None:
    digest = hashlib.sha256(b"opted.out@example.com").digest()
    with engine.connect() as connection:
        stage = Stage(connection, MAPPER, "meta", ("email", "phone"), key=b"k" * 32)
        stage.suppress([[("email", digest)]])
        for start in range(0, len(records), 7):
            stage.take(record_batch(records[start : start + 7]))
        funnel = stage.finish()
        desired = connection.execute(f"SELECT count(*), count(DISTINCT member_key) FROM {stage.desired}").fetchone()
    steps = [getattr(funnel, step) for step in STEPS]
    assert steps == sorted(steps, reverse=True)
    assert funnel.in_segment == len(records) == funnel.identifiable + sum(funnel.dropped.values())
    assert desired == (funnel.identifiable, funnel.identifiable)
    reasons = Counter(first_reason(person) for person in records)
    told = Counter(
        reason.split(":")[0] if reason.startswith("unid") else reason for reason in Counter(funnel.dropped).elements()
    )
    duplicates = told.pop("duplicate", 0)
    members = len({person["id"] for person in records if person["id"]})
    assert duplicates == len(records) - reasons["no_user_id"] - members
    assert all(count <= reasons[reason] for reason, count in told.items())
    assert told["no_user_id"] == reasons["no_user_id"]


@given(
    st.dictionaries(
        st.sampled_from(
            [
                "",
                "no_user_id",
                "duplicate",
                "invalid:email",
                "no_consent:x",
                "suppressed",
                "unidentifiable:nothing_given",
            ]
        ),
        st.integers(0, 10**9),
    )
)
def test_the_steps_add_up(counts: dict[str, int]) -> None:
    funnel = count_funnel(counts, {})
    assert funnel.in_segment == sum(counts.values())
    assert funnel.identifiable == counts.get("", 0)
    assert funnel.in_segment - funnel.identifiable == sum(funnel.dropped.values())
