"""rphonenumbers reads as phonenumbers does, and numbers that skip it come out as if they had not."""

import json
import random
import re

import duckdb
import phonenumbers
import pytest
from cdp_bridge.identity import explain, numbering
from cdp_bridge.identity.phone import UNAMBIGUOUS, e164
from cdp_bridge.identity.profile import read_data
from cdp_bridge.identity.steps import STEPS
from hypothesis import given, settings
from hypothesis import strategies as st

from . import calling_codes

REGIONS = [
    *("US", "GB", "DE", "FR", "IT", "ES", "NL", "PL", "SE", "NO", "DK", "BE", "AT"),
    *("CH", "BR", "MX", "AR", "IN", "JP", "AU", "ZA", "RU", "CN", "NG", "HU"),
]
FORMATS = (
    phonenumbers.PhoneNumberFormat.E164,
    phonenumbers.PhoneNumberFormat.INTERNATIONAL,
    phonenumbers.PhoneNumberFormat.NATIONAL,
)
international = st.one_of(
    st.from_regex(r"\+[0-9]{1,3}[0-9 ().-]{4,14}", fullmatch=True),
    st.from_regex(r"\+[0-9]{1,14} ?\([0-9]{1,4}\)[0-9 -]{0,9}", fullmatch=True),
    st.from_regex(r"\+(1|44|49|52|55|91)[0-9]{8,10}([ .,(/-]{1,2}[0-9]{1,3}\)?)?", fullmatch=True),
)
awkward = st.text(alphabet="0123456789+-() .x#/;,ext０９٣", max_size=22)


def by_the_reference(text: str, region: str) -> str:
    """What our function makes of it when the reference library stands in for its Rust twin."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numbering, "_library", lambda: phonenumbers)
        return e164(text, region)


def examples(region: str) -> list[str]:
    kinds = (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE)
    numbers = [phonenumbers.example_number_for_type(region, kind) for kind in kinds]
    return [phonenumbers.format_number(number, form) for number in numbers if number for form in FORMATS]


@pytest.mark.parametrize("region", REGIONS)
def test_example_numbers_of_a_country_in_every_format(region: str) -> None:
    spellings = examples(region)
    assert spellings
    for text in spellings:
        assert e164(text, region) == by_the_reference(text, region)
        expected = phonenumbers.format_number(phonenumbers.parse(text, region), phonenumbers.PhoneNumberFormat.E164)
        assert e164(text, region) == expected


@given(text=st.one_of(international, awkward), region=st.sampled_from(["", *REGIONS]))
@settings(max_examples=600, deadline=None)
def test_both_libraries_read_alike(text: str, region: str) -> None:
    assert e164(text, region) == by_the_reference(text, region)


@given(texts=st.lists(international, min_size=200, max_size=200), region=st.sampled_from(["", *REGIONS]))
@settings(max_examples=15, deadline=None)
def test_the_short_way_in_sql_is_the_long_way(
    connection: duckdb.DuckDBPyConnection, texts: list[str], region: str
) -> None:
    joined = STEPS["join_phone"].replace("{x}", "raw")
    step = STEPS["phone"].replace("{x}", "joined").replace("{country}", "$country")
    sql = f"SELECT {step} FROM (SELECT {joined} AS joined FROM (SELECT unnest($texts) AS raw))"
    rows = connection.execute(sql, {"texts": texts, "country": region}).fetchall()
    assert [number for (number,) in rows] == [e164(text, region) for text in texts]


def test_the_short_way_is_taken() -> None:
    assert re.fullmatch(UNAMBIGUOUS, "+447700900123")
    assert not re.fullmatch(UNAMBIGUOUS, "+4407700900123")


def test_the_short_way_takes_only_what_the_metadata_allows() -> None:
    """Where this fails after an update of the metadata, write the file anew: run `calling_codes.py`."""
    allowed = set(calling_codes.shapes())
    groups = json.loads(read_data("data/calling_codes.json"))
    taken = {
        (code, digit, length)
        for first, lengths, codes in groups
        for code in codes
        for digit in first
        for length in lengths
    }
    assert len(taken) > 1000
    assert not taken - allowed


def test_the_short_way_changes_nothing() -> None:
    short, dice = re.compile(UNAMBIGUOUS), random.Random(1)
    for code, first, length in calling_codes.shapes():
        for _ in range(5):
            number = f"+{code}{first}" + "".join(dice.choices("0123456789", k=length - 1))
            assert not short.fullmatch(number) or e164(number, "") == number


@pytest.mark.parametrize("region", sorted(phonenumbers.SUPPORTED_REGIONS))
def test_the_short_way_takes_nothing_too_long_or_retired(region: str) -> None:
    code = phonenumbers.country_code_for_region(region)
    for length in range(4, 16):
        number = phonenumbers.PhoneNumber(country_code=code, national_number=int("2" * length))
        is_possible = phonenumbers.is_possible_number(number)
        assert is_possible or not re.fullmatch(UNAMBIGUOUS, f"+{code}{'2' * length}")
    for retired in ("+5215512345678", "+551187654321", "+841681234567", "+22507123456", "+22997123456"):
        assert not re.fullmatch(UNAMBIGUOUS, retired)


# Published or reduced from public reports: profile, number, country, what is sent, or why nothing is.
CASES = [
    ("google", "4915112345678", "DE", "+4915112345678"),
    ("meta", "491771234567", "DE", "491771234567"),
    ("google", "+919876543211.0", None, "+919876543211"),
    ("meta", "9876543211.0", "IN", "919876543211"),
    ("google", "6.502530001E9", "US", "scientific_notation"),
    ("meta", "+46 70 123 45 67 (Axel)", None, "46701234567"),
    ("google", "+917878787xyz", None, "too_short"),
    ("meta", "+1 650-253-0000 (123)", None, "16502530000"),
    ("google", "+1-907-486-4171 ext. 101", None, "+19074864171"),
    ("meta", "+5215512345678", None, "525512345678"),
    ("google", "+60 12-345 6789", None, "+60123456789"),
    ("meta", "+852 6666 6666", None, "placeholder"),
    ("meta", "\u202d+44 7700 900123\u202c", None, "447700900123"),
    ("meta", "+44\t7700900123", None, "447700900123"),
    ("meta", "0049(89) 11196611", None, "498911196611"),
    ("meta", "(0044) 7700 900123", None, "447700900123"),
    ("meta", "12345678910", None, "no_country"),
    ("meta", "+0000000000", None, "placeholder"),
    ("google", "+1 (800) 555-0101", None, "+18005550101"),
    ("tiktok-audience", "3F8F4A1C" * 8, None, "3f8f4a1c" * 8),
]


@pytest.mark.parametrize(("profile", "raw", "country", "expected"), CASES)
def test_what_people_really_have(profile: str, raw: str, country: str | None, expected: str) -> None:
    answer = explain(profile, "phone", raw, country)
    assert (answer.normalised or answer.rejected) == expected
