"""A telephone number as E.164, read by rphonenumbers (libphonenumber's rules and metadata)."""

from typing import TYPE_CHECKING
from unicodedata import normalize

import msgspec

from cdp_bridge.identity.profile import read_data
from cdp_bridge.identity.refusal import refusal

if TYPE_CHECKING:
    import phonenumbers

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
    text = normalize("NFKC", raw)
    readings = [text] if country or "+" in text else []
    if text.startswith("00"):
        readings.append("+" + text[2:])
    number = next(filter(None, (_read(reading, country or None) for reading in readings)), None)
    return number or refusal("invalid" if readings or not any(map(str.isdigit, text)) else "no_country")


def _read(text: str, country: str | None) -> str | None:
    import rphonenumbers as phonenumbers

    try:
        number = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException:
        return None
    e164 = _format(number)
    if phonenumbers.is_valid_number(number):
        return e164
    possible = phonenumbers.is_possible_number_with_reason(number) == phonenumbers.ValidationResult.IS_POSSIBLE
    trusted = _TRUSTED_DIGITS < len(e164) <= 16 and (possible or "+" in text)
    # One trunk prefix is taken off; what then begins with another is no number.
    return e164 if trusted and _format(phonenumbers.parse(e164, None)) == e164 else None


def _format(number: "phonenumbers.PhoneNumber") -> str:
    import rphonenumbers as phonenumbers

    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))
