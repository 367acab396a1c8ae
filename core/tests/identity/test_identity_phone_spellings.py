"""However people and spreadsheets write a number, it is read as that number or refused, never as another."""

import sys
import unicodedata
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import phonenumbers
import pytest
from cdp_bridge.identity.phone import NO_COUNTRY, e164, phone_digits, real_phone
from cdp_bridge.identity.refusal import MARK
from hypothesis import assume, given, settings
from hypothesis import strategies as st

TYPES = range(10)
REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)
every_region = pytest.mark.parametrize("region", REGIONS)
# What follows, and leaves no doubt where the number ends.
CLEAR_TAILS = (
    *("x123", " x 123", " ext. 101", " ext 101", ";ext=101", " extension 5", "#12", ",,101#", " (ext. 101)", " Axel"),
    *(
        " (Axel)",
        " (work)",
        " - Axel",
        ", Anna Berg",
        " mobil",
        " доб. 101",
        " 携帯",
        " عمل",
        " | home",
        "\tAxel",
        " ☎",
    ),
    *('"', " /", ";", " Anna 2", " anna@example.com"),
)
# What follows, and may make another number of it in a plan of many lengths.
DOUBTFUL_TAILS = (
    *(
        "Axel",
        "xyz",
        "(123)",
        " (123)",
        " [4]",
        "/22",
        " / 22233344",
        " / +49 89 111",
        "-12",
        "****",
        "…",
        "???",
        "O12",
    ),
    *(",5", "; 030 1234567", "~9", "_1", "=2", "%20", "\ufffd", " OO", "12345", ";phone-context=+44", "ABCDEF"),
)


class Sample(NamedTuple):
    """A number that its plan knows: the country code and the digits after it."""

    code: str
    rest: str

    @property
    def e164(self) -> str:
        return f"+{self.code}{self.rest}"


def sample(text: str, region: str | None = None) -> Sample | None:
    """A number that both libraries know, and that is read as itself in E.164."""
    try:
        number = phonenumbers.parse(text, region)
        code, rest = str(number.country_code), phonenumbers.national_significant_number(number)
        again = phonenumbers.parse(f"+{code}{rest}")
    except phonenumbers.NumberParseException:
        return None
    is_known = phonenumbers.is_valid_number(number) and again == number
    return Sample(code, rest) if is_known and e164(f"+{code}{rest}", NO_COUNTRY) == f"+{code}{rest}" else None


@cache
def samples(region: str) -> list[Sample]:
    """The example of each type of number in a country."""
    numbers = (phonenumbers.example_number_for_type(region, kind) for kind in TYPES)
    texts = {phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) for number in numbers if number}
    found = [number for text in sorted(texts) if (number := sample(text))]
    assert found
    return found


@st.composite
def any_number(draw: st.DrawFn) -> tuple[str, Sample]:
    """A country and one of all the numbers that its plan has."""
    region = draw(st.sampled_from(REGIONS))
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(region)
    assert metadata
    kinds = (metadata.fixed_line, metadata.mobile, metadata.toll_free, metadata.premium_rate, metadata.voip)
    patterns = [kind.national_number_pattern for kind in kinds if kind and kind.national_number_pattern]
    rest = draw(st.from_regex(f"(?a:{draw(st.sampled_from(patterns))})", fullmatch=True))
    number = sample(f"+{metadata.country_code}{rest}")
    assume(number is not None)
    assert number
    return region, number


def refused(text: str) -> bool:
    return text.startswith(MARK)


def national(number: Sample, region: str) -> str:
    parsed = phonenumbers.parse(number.e164)
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.NATIONAL)


def check_code_without_plus(region: str, number: Sample) -> None:
    text = number.code + number.rest
    assert e164(text, region) in (number.e164, f"{MARK}ambiguous")
    # The form of a platform that wants digits only is read as that form.
    assert phone_digits(text, region) == text
    assert phone_digits(number.e164, region) == text


@every_region
def test_a_calling_code_needs_no_plus_in_its_country(region: str) -> None:
    for number in samples(region):
        check_code_without_plus(region, number)


@given(any_number())
@settings(max_examples=400, deadline=None)
def test_any_number_after_its_calling_code(drawn: tuple[str, Sample]) -> None:
    check_code_without_plus(*drawn)


@every_region
def test_a_mobile_number_after_its_calling_code_is_never_ambiguous(region: str) -> None:
    example = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
    text = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164) if example else ""
    if number := sample(text or "+"):
        assert e164(number.code + number.rest, region) == number.e164


def as_before(text: str, region: str) -> str | None:
    """What the library alone makes of a national number, if it knows it."""
    number = sample(text, region)
    return number and number.e164


@every_region
def test_national_numbers_are_read_as_ever(region: str) -> None:
    for number in samples(region):
        for text in (national(number, region), number.rest):
            expected = as_before(text, region)
            assert expected is None or e164(text, region) == expected


@given(any_number())
@settings(max_examples=400, deadline=None)
def test_any_national_number_with_its_trunk_prefix(drawn: tuple[str, Sample]) -> None:
    region, number = drawn
    text = national(number, region)
    expected = as_before(text, region)
    assume(expected)
    digits = "".join(filter(str.isdigit, text))
    assert e164(text, region) == expected or (digits.startswith(number.code) and refused(e164(text, region)))


@pytest.mark.parametrize(
    ("text", "country", "expected"),
    [
        ("4915112345678", "DE", "+4915112345678"),
        ("6281234567890", "ID", "+6281234567890"),
        ("4921123456", "DE", f"{MARK}ambiguous"),
        ("49(0)345 1234567", "DE", "+493451234567"),
        ("49(0)345 1234567", NO_COUNTRY, "+493451234567"),
        ("+49 (0) 345 1234567", NO_COUNTRY, "+493451234567"),
        ("+39 (0)6 698 1234", NO_COUNTRY, "+39066981234"),
        ("+39 (0)347 1234567", NO_COUNTRY, "+393471234567"),
        ("+1 (0)650 253 0000", NO_COUNTRY, "+16502530000"),
        ("12345678910", NO_COUNTRY, f"{MARK}no_country"),
        ("043 201 219", "XK", "+38343201219"),
        ("62889", "AC", "+24762889"),
        ("8999", "TA", "+2908999"),
    ],
)
def test_calling_codes_and_zeros(text: str, country: str, expected: str) -> None:
    assert e164(text, country) == expected


@every_region
@pytest.mark.parametrize("decimals", [".0", ".00", ",0", ".000000", ", 0"])
def test_decimals_of_a_spreadsheet_are_no_digits(region: str, decimals: str) -> None:
    for number in samples(region):
        assert e164(number.e164 + decimals, NO_COUNTRY) == number.e164
        assert e164(number.rest + decimals, region) == e164(number.rest, region)


@every_region
def test_scientific_notation_is_refused(region: str) -> None:
    for number in samples(region):
        digits = number.code + number.rest
        for point in ".,":
            for power in ("E", "e+", "E+0"):
                text = f"{digits[0]}{point}{digits[1:].rstrip('0')}{power}{len(digits) - 1}"
                assert e164(text, region) == f"{MARK}scientific_notation"
                assert e164("+" + text, NO_COUNTRY) == f"{MARK}scientific_notation"


@every_region
def test_nothing_after_a_number_becomes_digits(region: str) -> None:
    for number in samples(region):
        for text, country in ((number.e164, NO_COUNTRY), (national(number, region), region)):
            expected = e164(text, country)
            for tail in CLEAR_TAILS:
                assert e164(text + tail, country) in {expected, text[-1:].isalpha() and f"{MARK}unreadable"}, tail
            for tail in DOUBTFUL_TAILS:
                answer = e164(text + tail, country)
                is_one_number = tail in ("-12", "12345") and answer == e164(text + tail.strip("-"), country)
                assert answer == expected or refused(answer) or is_one_number, tail


@pytest.mark.parametrize(
    ("text", "country", "expected"),
    [
        ("1-800-FLOWERS", "US", "+18003569377"),
        ("1-800-flowers", "US", "+18003569377"),
        ("+1 800 GO-FEDEX", NO_COUNTRY, "+18004633339"),
        ("1-800-Flowers", "US", f"{MARK}too_short"),
        ("+917878787xyz", NO_COUNTRY, f"{MARK}too_short"),
        ("+1 650 253 000x", NO_COUNTRY, f"{MARK}too_short"),
        ("089/11196611", "DE", "+498911196611"),
        ("+1 (650 253 0000)", NO_COUNTRY, "+16502530000"),
        ("+49 89 11196611/12", NO_COUNTRY, f"{MARK}ambiguous"),
        ("p:+447700900123", NO_COUNTRY, "+447700900123"),
        ("Tel. 07700 900123", "GB", "+447700900123"),
    ],
)
def test_letters_brackets_and_strokes(text: str, country: str, expected: str) -> None:
    assert e164(text, country) == expected


@every_region
def test_too_long_for_the_plan_is_refused(region: str) -> None:
    for number in samples(region):
        for more in range(1, 8):
            longer = phonenumbers.PhoneNumber(
                country_code=int(number.code), national_number=int(number.rest + "2" * more), italian_leading_zero=None
            )
            verdict = phonenumbers.is_possible_number_with_reason(longer)
            if verdict == phonenumbers.ValidationResult.TOO_LONG and not number.rest.startswith("0"):
                answer = e164(number.e164 + "2" * more, NO_COUNTRY)
                today = sample(answer) if not refused(answer) else None
                assert refused(answer) or (today and len(today.rest) < len(number.rest) + more), answer


@pytest.mark.parametrize(
    ("text", "country", "expected"),
    [
        ("+5215512345678", NO_COUNTRY, "+525512345678"),
        ("044 55 1234 5678", "MX", "+525512345678"),
        ("+54 11 15 2345 6789", NO_COUNTRY, "+5491123456789"),
        ("011 15 2345-6789", "AR", "+5491123456789"),
        ("+55 11 8765-4321", NO_COUNTRY, "+5511987654321"),
        ("+57 1 234 5678", NO_COUNTRY, "+576012345678"),
        ("+84 120 123 4567", NO_COUNTRY, "+84701234567"),
        ("+84 129 123 4567", NO_COUNTRY, "+84821234567"),
        ("+84 168 123 4567", NO_COUNTRY, "+84381234567"),
        ("+225 07 12 34 56", NO_COUNTRY, "+2250707123456"),
        ("+225 20 12 34 56", NO_COUNTRY, f"{MARK}unreadable"),
        ("+229 97 12 34 56", NO_COUNTRY, "+2290197123456"),
    ],
)
def test_retired_forms_become_those_of_today(text: str, country: str, expected: str) -> None:
    assert e164(text, country) == expected


def unseen() -> Iterator[str]:
    """Every blank, control and format character, and every other that shows nothing."""
    marks = [0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0, *range(0x180B, 0x1810)]
    yield from map(chr, [*marks, *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)])
    for code in range(sys.maxunicode + 1):
        kind = unicodedata.category(chr(code))
        if kind[0] in "ZC" and kind not in ("Cn", "Co"):
            yield chr(code)
    yield from ("\ue000", "\U000f0000", "\u0378", "\U0001fbfa")


def test_blanks_and_invisible_characters_inside_change_nothing() -> None:
    texts = (("+447700900123", NO_COUNTRY), ("(020) 7946-0018", "GB"), ("0049(89)11196611", NO_COUNTRY))
    answers = {text: e164(text, country) for text, country in texts}
    for mark in unseen():
        for text, country in texts:
            assert e164(mark.join(text), country) == answers[text], hex(ord(mark))
    for text, country in texts:
        assert not refused(answers[text])
        for place in range(len(text) + 1):
            assert e164(f"{text[:place]}\u202d\t{text[place:]}", country) == answers[text]


def test_digits_plus_signs_and_dashes_of_any_script() -> None:
    for code in range(sys.maxunicode + 1):
        if unicodedata.category(chr(code)) == "Nd":
            assert e164(f"+4477009001{chr(code)}3", NO_COUNTRY) == f"+4477009001{unicodedata.decimal(chr(code))}3"
        if unicodedata.category(chr(code)) == "Pd":
            assert e164(f"+44{chr(code)}7700{chr(code)}900123", NO_COUNTRY) == "+447700900123"
    for plus in "\uff0b\u207a\u208a\u2795\ufb29\ufe62":
        assert e164(f"{plus}44 7700 900123", NO_COUNTRY) == "+447700900123"


@every_region
def test_two_zeros_are_a_plus(region: str) -> None:
    for number in samples(region):
        code, rest = number
        for text in (
            *(f"00{code}{rest}", f"(00{code}) {rest}", f"00{code}({rest[:2]}) {rest[2:]}", f" 00 {code} {rest}"),
            *(f"+00{code}{rest}", f"+ +{code} {rest}", f"++{code}{rest}", f"(+{code}) {rest}", f"00+{code}{rest}"),
        ):
            assert e164(text, NO_COUNTRY) == number.e164, text


@given(any_number(), st.sampled_from(["US", "DE", "JP", "AU", "BR", "KR", "HK", "IL", "RU", "SG", "TZ"]))
@settings(max_examples=300, deadline=None)
def test_two_zeros_in_any_country(drawn: tuple[str, Sample], country: str) -> None:
    _, number = drawn
    text = f"00{number.code}{number.rest}"
    assert e164(text, country) in (number.e164, f"{MARK}ambiguous", as_before(text, country))


@pytest.mark.parametrize("text", ["+60123456789", "+919876543210", "+18888888888", "+18005550101", "4915112345678"])
def test_numbers_that_a_plan_knows_are_not_made_up(text: str) -> None:
    assert real_phone(text) == text


@pytest.mark.parametrize("text", ["+4999999999999", "11111111111", "+11234567890", "0000000000"])
def test_other_numbers_of_one_digit_or_in_order_are_made_up(text: str) -> None:
    assert real_phone(text) == f"{MARK}placeholder"


@every_region
def test_no_example_is_made_up(region: str) -> None:
    for number in samples(region):
        assert real_phone(number.e164) == number.e164
