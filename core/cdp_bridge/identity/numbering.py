"""Reads digits by the numbering plans of the world, which rphonenumbers has from libphonenumber."""

import re
from functools import cache
from typing import Any

import msgspec

# Below this many digits a number must be one that the plan knows. From here on one that has a possible length is
# enough: metadata trails the numbering plans, and platforms publish vectors that no plan assigns
# (`+1 (555) 987-6543`, `07700 900123`).
_TRUSTED_DIGITS = 10
_MAX_DIGITS = 15
# Published by TikTok as it is, though it lacks a digit.
_PUBLISHED = frozenset({"+1231234567"})
_MADE_UP = re.compile(r"(?:([0-9])\1{7,}|1234567890|0123456789|9876543210)$")

# National numbers of plans that have changed, and what they are today. They count only where the plan of today does
# not know the number; what then is no number either is refused.
RETIRED: dict[str, tuple[tuple[re.Pattern[str], str], ...]] = {
    code: tuple((re.compile(form), today) for form, today in forms)
    for code, forms in {
        # Mexico, 2019: no 1, 044 or 045 before mobile numbers, no 01 before others.
        "52": ((r"(?:1|01|044|045)([0-9]{10})", r"\1"),),
        # Brazil, 2012 to 2016: a 9 before mobile numbers.
        "55": ((r"([0-9]{2})([6-9][0-9]{7})", r"\g<1>9\2"),),
        # Colombia, 2021: 60 before the area codes.
        "57": ((r"([124-8][0-9]{7})", r"60\1"),),
        # Vietnam, 2018: mobile numbers of ten digits lost one.
        "84": (
            *((rf"12{old}([0-9]{{7}})", rf"7{new}\1") for old, new in zip("01268", "09768", strict=True)),
            *((rf"12{old}([0-9]{{7}})", rf"8{new}\1") for old, new in zip("34579", "34512", strict=True)),
            (r"16([2-9][0-9]{7})", r"3\1"),
            (r"18([68][0-9]{7})", r"5\1"),
            (r"199([0-9]{7})", r"59\1"),
        ),
        # Ivory Coast, 2021: two digits before all, for mobile numbers told by the second. The last stands for those
        # on land, whose operator nobody can tell.
        "225": (
            (r"([04-9][0-3][0-9]{6})", r"01\1"),
            (r"([04-9][4-6][0-9]{6})", r"05\1"),
            (r"([04-9][7-9][0-9]{6})", r"07\1"),
            (r"([0-9]{8})", r"\1"),
        ),
        # Benin, 2024: 01 before all.
        "229": ((r"([0-9]{8})", r"01\1"),),
    }.items()
}


class Reading(msgspec.Struct, frozen=True):
    """A number as E.164, `known` if the plan has it; or `reason`, the code of why the digits are none."""

    number: str = ""
    known: bool = False
    reason: str = ""


def international(digits: str) -> Reading:
    """Digits that begin with a country code."""
    return _read("+" + digits, None)


def national(digits: str, country: str, digits_only: bool) -> Reading:
    """Digits as people of the country (ISO 3166-1 alpha-2) write or dial them, or after its own calling code.

    `digits_only`: those after the calling code are the usual form, and win over a national number of the same digits.
    """
    at_home = _read(digits, country)
    if not digits.startswith(_other_beginnings(country)):
        return at_home
    if digits.startswith("00"):
        return _clear(at_home, international(digits[2:]))
    abroad = international(digits)
    if not abroad.known:
        return at_home if at_home.number else abroad
    if at_home.known and not digits_only and not _is_likelier(abroad.number, at_home.number):
        return _clear(at_home, abroad)
    return abroad


def is_calling_code(digits: str) -> bool:
    """Whether some country has this calling code."""
    return bool(_library().region_codes_for_country_code(int(digits)))


def is_service(number: str) -> bool:
    """Whether an E.164 number is of the kinds that are advertised as words: free, shared-cost, premium, universal."""
    kinds = _library().PhoneNumberType
    kind = _library().number_type(_library().parse(number, None))
    return kind in (kinds.TOLL_FREE, kinds.SHARED_COST, kinds.PREMIUM_RATE, kinds.UAN)


def looks_made_up(digits: str) -> bool:
    """Whether the digits end as those do that people type to get on: eight alike, or all ten in order."""
    return _MADE_UP.search(digits) is not None


def is_made_up(number: str) -> bool:
    """Whether the national part of a number, with or without +, looks made up and no plan knows it."""
    if not looks_made_up(number):
        return False
    library = _library()
    try:
        parsed = library.parse("+" + number.lstrip("+"), None)
    except library.NumberParseException:
        return True
    return looks_made_up(library.national_significant_number(parsed)) and not library.is_valid_number(parsed)


def _clear(first: Reading, second: Reading) -> Reading:
    """The one of two readings that is a number, or that the plan knows; `ambiguous` if that holds for both."""
    if first.number == second.number:
        return first if first.number else second
    likely = [reading for reading in (first, second) if reading.known]
    likely = likely or [reading for reading in (first, second) if reading.number]
    if len(likely) > 1:
        return Reading(reason="ambiguous")
    return likely[0] if likely else second


def _is_likelier(abroad: str, at_home: str) -> bool:
    """Whether what follows the calling code is a mobile number, or all digits are more than one has."""
    library = _library()
    kinds = library.PhoneNumberType
    if library.number_type(library.parse(abroad, None)) == kinds.MOBILE:
        return True
    length = library.is_possible_number_for_type_with_reason(library.parse(at_home, None), kinds.MOBILE)
    return bool(length == library.ValidationResult.TOO_LONG)


def _read(text: str, country: str | None) -> Reading:
    library = _library()
    try:
        parsed = library.parse(text, country)
    except library.NumberParseException as error:
        return Reading(reason=_reason(error, country))
    number: str = library.format_number(parsed, library.PhoneNumberFormat.E164)
    if library.is_valid_number(parsed):
        return Reading(number, True)
    code = str(parsed.country_code)
    if code in RETIRED and (today := _of_today(code, number[1 + len(code) :])):
        return today
    length = library.is_possible_number_with_reason(parsed)
    if length == library.ValidationResult.TOO_LONG or len(number) > 1 + _MAX_DIGITS:
        return Reading(reason="too_long")
    if length == library.ValidationResult.INVALID_LENGTH:
        return Reading(reason="unreadable")
    is_possible = length == library.ValidationResult.IS_POSSIBLE and len(number) > _TRUSTED_DIGITS
    if not is_possible and number not in _PUBLISHED:
        return Reading(reason="too_short")
    if country is None and text not in (number, f"+{code}0{number[1 + len(code) :]}"):
        # More was taken off than the zero that people write after the country code.
        return Reading(reason="too_long")
    # One trunk prefix is taken off; what then begins with another is no number.
    again = library.format_number(library.parse(number, None), library.PhoneNumberFormat.E164)
    return Reading(number) if again == number else Reading(reason="unreadable")


def _of_today(code: str, digits: str) -> Reading | None:
    """What a number in a retired form is today; None for one that is in none."""
    for form, today in RETIRED[code]:
        if match := form.fullmatch(digits):
            number = f"+{code}{match.expand(today)}"
            return Reading(number, known=True) if _is_known(number) else Reading(reason="unreadable")
    return None


def _is_known(number: str) -> bool:
    library = _library()
    return bool(library.is_valid_number(library.parse(number, None)))


def _reason(error: Any, country: str | None) -> str:
    kinds = _library().NumberParseException
    if error.error_type == kinds.INVALID_COUNTRY_CODE:
        return "unknown_country" if country else "unreadable"
    return "too_long" if error.error_type == kinds.TOO_LONG else "too_short"


@cache
def _other_beginnings(country: str) -> tuple[str, ...]:
    """How digits begin that may be no national number: `00`, and the country's calling code if it has one."""
    code = _library().country_code_for_region(country)
    return ("00", str(code)) if code else ("00",)


@cache
def _library() -> Any:
    """The Rust-backed twin of phonenumbers, imported when the first number needs it."""
    import rphonenumbers

    return rphonenumbers
