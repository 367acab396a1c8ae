"""A telephone number as E.164, read by rphonenumbers (libphonenumber's rules and metadata)."""

from functools import cache
from typing import Any
from unicodedata import normalize

import msgspec

from cdp_bridge.identity.profile import read_data
from cdp_bridge.identity.refusal import refusal

# Below this many digits a number must be one that libphonenumber knows as assigned. From here on the right length, or
# a country code written out, is enough: metadata trails the numbering plans, and platforms publish vectors that no
# plan assigns (`+1 (555) 987-6543`, `+1231234567`, `07700 900123`).
_TRUSTED_DIGITS = 10


def _unambiguous() -> str:
    """A pattern of numbers that are E.164 already: no digit after the country code can be read as a trunk prefix.

    `calling_codes.json` maps the digits that begin no national prefix (libphonenumber's) to country codes.
    """
    safe = msgspec.json.decode(read_data("data/calling_codes.json"), type=dict[str, list[str]])
    return r"\+(?:" + "|".join(f"(?:{'|'.join(codes)})[{digits}]" for digits, codes in safe.items()) + ")[0-9]+"


UNAMBIGUOUS = _unambiguous()


def e164(raw: str, country: str) -> str:
    """`+` and digits without extension, or a refusal (`invalid`, `no_country`).

    A national number needs `country` (ISO 3166-1 alpha-2, or empty). `+` announces a country code, and so does `00`
    where the country does not read it otherwise.
    """
    text = raw if raw.isascii() else normalize("NFKC", raw)
    announced = "+" in text
    if (country or announced) and (number := _read(text, country or None)):
        return number
    if text.startswith("00"):
        return _read("+" + text[2:], None) or refusal("invalid")
    return refusal("invalid" if country or announced or not any(map(str.isdigit, text)) else "no_country")


def _read(text: str, country: str | None) -> str | None:
    phonenumbers = _library()
    try:
        number = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException:
        return None
    e164: str = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    if phonenumbers.is_valid_number(number):
        return e164
    possible = phonenumbers.is_possible_number_with_reason(number) == phonenumbers.ValidationResult.IS_POSSIBLE
    if not (_TRUSTED_DIGITS < len(e164) <= 16 and (possible or "+" in text)):
        return None
    # One trunk prefix is taken off; what then begins with another is no number.
    again = phonenumbers.parse(e164, None)
    return e164 if phonenumbers.format_number(again, phonenumbers.PhoneNumberFormat.E164) == e164 else None


@cache
def _library() -> Any:
    """The Rust-backed twin of phonenumbers, imported when the first number needs it."""
    import rphonenumbers

    return rphonenumbers
