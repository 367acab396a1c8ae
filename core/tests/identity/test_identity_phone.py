"""rphonenumbers reads as phonenumbers does, and numbers that skip it come out as if they had not."""

import re

import duckdb
import phonenumbers
import pytest
from cdp_bridge.identity import numbering
from cdp_bridge.identity.phone import UNAMBIGUOUS, e164
from cdp_bridge.identity.profile import read_data
from cdp_bridge.identity.steps import STEPS
from hypothesis import given, settings
from hypothesis import strategies as st

REGIONS = [
    *("US", "GB", "DE", "FR", "IT", "ES", "NL", "PL", "SE", "NO", "DK", "BE", "AT"),
    *("CH", "BR", "MX", "AR", "IN", "JP", "AU", "ZA", "RU", "CN", "NG", "HU"),
]
FORMATS = (
    phonenumbers.PhoneNumberFormat.E164,
    phonenumbers.PhoneNumberFormat.INTERNATIONAL,
    phonenumbers.PhoneNumberFormat.NATIONAL,
)
international = st.from_regex(r"\+[0-9]{1,3}[0-9 ().-]{4,14}", fullmatch=True)
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
