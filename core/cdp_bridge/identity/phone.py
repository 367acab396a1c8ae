"""A telephone number as E.164, from what people and spreadsheets write."""

import re
from unicodedata import category, decimal, normalize

import msgspec
from msgspec.structs import replace

from cdp_bridge.identity import numbering
from cdp_bridge.identity.numbering import Reading
from cdp_bridge.identity.profile import read_data
from cdp_bridge.identity.refusal import refusal

NO_COUNTRY = "none"
"""The country of a person of whom none is given."""

_MAX_CHARACTERS = 250
_PLUS_SIGNS = "\u207a\u208a\u2795\ufb29"
_DASHES = "\u02d7\u2043\u207b\u208b\u2212\u2796\u30fc\uff70"
_DOTS = "\u00b7\u2027\u3002\uff61"
# Blanks that are no white space, and marks that show nothing.
_BLANKS = "\u115f\u1160\u2800\u3164\uffa0"
_INVISIBLE = (
    *(0x034F, 0x17B4, 0x17B5, *range(0x180B, 0x1810), *range(0xFE00, 0xFE10)),
    *range(0xE0100, 0xE01F0),
)
_KEYS = str.maketrans("abcdefghijklmnopqrstuvwxyz", "22233344455566677778889999")

_SCIENTIFIC = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]*)?[eE][+-]?[0-9]+")
# What a spreadsheet adds to a whole number.
_DECIMALS = re.compile(r"([^.,]*[0-9])[.,]0+")
# A blank matters only where a word follows.
_IDLE_BLANKS = re.compile(r" +(?=[0-9+()\[\]./-]|$)")
_TEXT = re.compile(
    r"[^0-9]*?(?P<before>(?:[+()\[\] .-]|0(?=[0 ()-]*\+))*)(?P<body>[0-9][0-9()\[\] ./-]*)(?P<tail>.*)", re.DOTALL
)
_SEPARATORS = str.maketrans("[]", "()", " .-")
# Where a second number or an extension may begin.
_BOUNDARY = re.compile(r"[(/]")
_ZEROS = re.compile("^(?:00)+")
# A country code, and the zero that is dialled at home only.
_CODE_AND_ZERO = re.compile(r"([1-9][0-9]{0,2})\(0\)")

# Letters that stand for the digits of their keys.
_WORD = re.compile(r"[A-Z][A-Z -]*[A-Z]|[a-z][a-z -]*[a-z]")
_MIN_LETTERS = 3
_EXTENSION = re.compile(r"(?i)[,;: ]*(?:x+|[#~]|ext[a-z]*|,,)[ .:=#]*[0-9][0-9 ()-]*#?\W*")
# Digits that are masked, cut off, damaged, or letters by mistake.
_UNCLEAR = re.compile(r"[*?_%=\\\u2026\ufffd]|[^\w]*[OoIl]+(?:[0-9]|\W|$)|.*phone-context", re.DOTALL)
_MORE_DIGITS = re.compile(r"\W*[0-9]")


class _CodePoints(dict[int, str]):
    """What stands for a character where numbers are read: plain digits and signs, a space for a blank, or nothing."""

    def __missing__(self, code: int) -> str:
        plain = self[code] = _plain(chr(code))
        return plain


def _plain(character: str) -> str:
    kind = category(character)
    if character in _BLANKS or kind[0] == "Z" or kind == "Cc":
        return " "
    if kind[0] == "C" or ord(character) in _INVISIBLE:
        return ""
    if character in _PLUS_SIGNS:
        return "+"
    if kind == "Pd" or character in _DASHES:
        return "-"
    if character in _DOTS:
        return "."
    if kind == "Nd":
        return str(decimal(character))
    # A raised digit is a footnote, one in a circle a bullet.
    simple = normalize("NFKC", character)
    return simple if simple.isascii() and len(simple) == 1 and not simple.isdigit() else character


_PLAIN = _CodePoints()


def _unambiguous() -> str:
    """A pattern of numbers that are E.164 already, and that `e164` gives back unchanged.

    `calling_codes.json` has, for country codes, the digits after them that begin no national prefix (libphonenumber's),
    and how many there can be in all, retired forms left out.
    """
    groups = msgspec.json.decode(read_data("data/calling_codes.json"), type=list[tuple[str, list[int], list[str]]])
    forms = (
        f"(?:{'|'.join(codes)})[{first}](?:{'|'.join(f'[0-9]{{{length - 1}}}' for length in lengths)})"
        for first, lengths, codes in groups
    )
    return r"\+(?:" + "|".join(forms) + ")"


UNAMBIGUOUS = _unambiguous()


def e164(raw: str, country: str, *, digits_only: bool = False) -> str:
    """`+` and digits without extension, or a refusal.

    A national number needs `country` (ISO 3166-1 alpha-2, `NO_COUNTRY`, or empty if the one given was refused). `+`
    announces a country code, and so does `00` where the country does not read it otherwise. `digits_only`: digits that
    begin with the calling code of the country are international, though they may be a national number as well.

    Refusals: `no_country`, `unknown_country`, `too_long`, `too_short`, `scientific_notation`, `ambiguous` (two numbers
    are as likely), `placeholder` (no number, and made up), `unreadable` (all else).
    """
    # Most numbers are digits at home, an area code in brackets before them, and nothing that needs a second look.
    digits = raw.replace(" ", "").replace("-", "").replace("(", "").replace(")", "")
    if len(country) == 2 and raw.isascii() and digits.isdecimal() and raw[-1] != ")" and raw.rfind("(") <= 0:
        reading = numbering.national(digits, country, digits_only)
        return reading.number or _refusal(reading, raw)
    text = _IDLE_BLANKS.sub("", raw.translate(_PLAIN))
    if _SCIENTIFIC.fullmatch(text):
        return refusal("scientific_notation")
    if decimals := _DECIMALS.fullmatch(text):
        text = decimals[1]
    match = _TEXT.fullmatch(text) if len(text) <= _MAX_CHARACTERS else None
    if match is None:
        return refusal("unreadable")
    before, body, tail = match.groups()
    person = _Person("+" in before, country, digits_only)
    reading = _with_tail(person, body, tail) if tail else person.read(body)
    return reading.number or _refusal(reading, text)


def phone_digits(raw: str, country: str) -> str:
    """As `e164` without `+`, which is the form of `digits_only`."""
    return e164(raw, country, digits_only=True).removeprefix("+")


def real_phone(number: str) -> str:
    """A number, with or without `+`, or a refusal (`placeholder`) if it looks made up and no plan knows it."""
    return refusal("placeholder") if numbering.is_made_up(number) else number


def _refusal(reading: Reading, text: str) -> str:
    return refusal("placeholder" if numbering.looks_made_up(_digits_of(text)) else reading.reason)


class _Person(msgspec.Struct, frozen=True):
    """What is known besides the digits."""

    has_plus: bool
    country: str
    digits_only: bool

    def read(self, body: str) -> Reading:
        """Digits with separators; of two numbers the first."""
        digits = body.translate(_SEPARATORS)
        if digits.isdecimal():
            return self.number(digits)
        zero = _CODE_AND_ZERO.match(digits)
        announced = replace(self, has_plus=True) if zero and numbering.is_calling_code(zero[1]) else self
        with_zero = announced._first(digits.replace("(0)", "0"))
        if with_zero.known or "(0)" not in digits:
            return with_zero
        # Not all countries keep it, as Italy does, or take it off again.
        without = announced._first(digits.replace("(0)", ""))
        return without if without.known or not with_zero.number else with_zero

    def _first(self, digits: str) -> Reading:
        whole = self.number(_digits_of(digits))
        for boundary in _BOUNDARY.finditer(digits):
            first = self.number(_digits_of(digits[: boundary.start()]))
            if first.number:
                return Reading(reason="ambiguous") if whole.known and whole.number != first.number else first
        return whole

    def number(self, digits: str) -> Reading:
        """Digits alone."""
        if self.has_plus:
            return numbering.international(_ZEROS.sub("", digits))
        if len(self.country) == 2:
            return numbering.national(digits, self.country, self.digits_only)
        if digits.startswith("00"):
            return numbering.international(digits[2:])
        return Reading(reason="unknown_country" if self.country == "" else "no_country")


def _with_tail(person: _Person, body: str, tail: str) -> Reading:
    """The number in front of an extension, a name or another number, or one that ends in a word."""
    number = person.read(body)
    if not number.number:
        return _in_words(person, body, tail) or number
    if _EXTENSION.fullmatch(tail):
        return number
    is_glued = tail[0].isalpha() and body[-1].isdigit()
    if is_glued or _UNCLEAR.match(tail):
        return Reading(reason="unreadable")
    if _MORE_DIGITS.match(tail) and person.read(body + _digits_of(tail)).known:
        return Reading(reason="ambiguous")
    return number


def _in_words(person: _Person, body: str, tail: str) -> Reading | None:
    """A number as it is advertised, such as 1-800-FLOWERS."""
    if not _WORD.fullmatch(tail) or len(tail) < _MIN_LETTERS:
        return None
    number = person.read(body + _digits_of(tail.lower().translate(_KEYS)))
    return number if number.known and numbering.is_service(number.number) else None


def _digits_of(text: str) -> str:
    return "".join(filter(str.isdecimal, text))
