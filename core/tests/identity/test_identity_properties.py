"""What holds for every value, whatever it is."""

import hashlib
import re

import pytest
from cdp_bridge.identity import CLEAR, FIELDS, Question, compile_profile, explain_many, installed
from hypothesis import given, settings
from hypothesis import strategies as st

from .conftest import Run

EMPTY = hashlib.sha256(b"").digest()
COUNTRIES = [None, "US", "gb", "Deutschland", "FR", "IT", "JP", "nowhere"]
anything = st.text(max_size=24)
likely = st.one_of(
    st.from_regex(r"[A-Za-z.+]{1,9}@[A-Za-z.]{1,12}\.(com|net)", fullmatch=True),
    st.sampled_from(
        ["Jane.Doe+x@Gmail.com", "a.b@googlemail.com", " Mr. O'Neill, Jr. ", "St. John's", "İbrahim", "ΣΑΣ"]
    ),
    st.from_regex(r"\+?[0-9 ()-]{6,16}", fullmatch=True),
    st.from_regex(r"[0-9]{1,4}[-/.][0-9]{1,2}[-/.][0-9]{1,4}", fullmatch=True),
    st.from_regex(r"[A-Z0-9]{2,5}[ -]?[A-Z0-9]{0,4}", fullmatch=True),
    st.sampled_from(["male", "F", "United States", "uk", "California", "null", "", "-", "0000000000"]),
    st.uuids().map(str),
)
values = st.lists(st.one_of(anything, likely), min_size=40, max_size=40)
profiles = pytest.mark.parametrize("profile", installed().profiles)
quickly = settings(max_examples=4, deadline=None)


def questions(profile: str, raws: list[str], country: str | None) -> list[Question]:
    return [Question(field, raw, country) for field in compile_profile(profile).profile.fields for raw in raws]


@profiles
@given(raws=values, country=st.sampled_from(COUNTRIES))
@quickly
def test_normalising_twice_is_normalising_once(profile: str, raws: list[str], country: str | None) -> None:
    first = [answer for answer in explain_many(profile, questions(profile, raws, country)) if answer.normalised]
    again = [Question(a.field, with_plus(profile, a.field, str(a.normalised)), country) for a in first]
    for before, after in zip(first, explain_many(profile, again), strict=True):
        assert after == before


def with_plus(profile: str, field: str, normalised: str) -> str:
    """Digits that have lost their `+` would be read as a national number."""
    is_without = "phone_digits" in compile_profile(profile).profile.fields[field].steps
    return "+" + normalised if is_without and len(normalised) < 64 else normalised


@profiles
@given(raws=values, country=st.sampled_from(COUNTRIES))
@quickly
def test_an_answer_is_a_value_or_a_reason(profile: str, raws: list[str], country: str | None) -> None:
    for answer in explain_many(profile, questions(profile, raws, country)):
        assert (answer.rejected is None) == (answer.value is not None) == (answer.normalised is not None)
        assert answer.value != EMPTY.hex()
        if answer.rejected:
            assert re.fullmatch("[a-z_]+", answer.rejected)
        if answer.value and answer.hashed:
            assert re.fullmatch("[0-9a-f]{64}", answer.value)


@profiles
@given(digest=st.binary(min_size=32, max_size=32))
@quickly
def test_a_digest_passes_in_lower_case(profile: str, digest: bytes) -> None:
    rules = compile_profile(profile).profile.fields
    fields = [field for field, rule in rules.items() if rule.accepts_hash]
    for answer in explain_many(profile, [Question(field, digest.hex().upper()) for field in fields]):
        assert answer.value == digest.hex()


@profiles
@given(raws=values, country=st.sampled_from(COUNTRIES))
@quickly
def test_a_list_is_its_values_one_by_one(profile: str, run: Run, raws: list[str], country: str | None) -> None:
    compiled = compile_profile(profile)
    fields = set(compiled.profile.fields) - {*compiled.profile.all_or_none, "country"}  # those are held back when alone
    whole = run(profile, {**{field: [list(raws)] for field in fields}, "country": [[country]]})
    each = run(
        profile,
        {**{field: [[raw] for raw in raws] for field in fields}, "country": [[country]] * len(raws)},
        single=[*fields, "country"],
    )
    for output in compiled.outputs(fields):
        assert whole[output][0] == list(dict.fromkeys(value for row in each[output] for value in row))
    codes = [code for row in each["refused"] for code in row if not code.startswith("country:")]
    assert sorted(code for code in whole["refused"][0] if not code.startswith("country:")) == sorted(codes)


@given(
    local=st.from_regex("[A-Za-z][A-Za-z0-9._-]{0,8}", fullmatch=True),
    spaces=st.sampled_from(["", " ", "\t", "\u00a0 "]),
)
@quickly
def test_case_and_outer_space_of_an_email_do_not_matter(local: str, spaces: str) -> None:
    plain = f"{local}@example.com"
    for profile in installed().profiles.keys() - {CLEAR}:
        answers = explain_many(profile, [Question("email", plain), Question("email", spaces + plain.upper() + spaces)])
        assert answers[0] == answers[1]


def test_identifiers_without_a_rule_are_not_sent() -> None:
    for profile in installed().profiles:
        for field in set(FIELDS) - set(compile_profile(profile).profile.fields):
            assert explain_many(profile, [Question(field, "x")])[0].rejected == "not_taken"
            assert compile_profile(profile).outputs([field]) == {}
