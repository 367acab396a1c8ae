"""Makes clean values dirty in the ways a customer data platform holds them."""

import hashlib
import unicodedata

from msgspec.structs import replace

from sandbox.dice import Dice, weighted
from sandbox.people_data import Country
from sandbox.person import Attributes, Entry

MEANINGLESS = ("", "null", "N/A", "unknown", "  ", "-")
_EMAIL_FORMS = weighted(plain=50, mixed_case=22, blanks=12, upper=6, hashed=4, meaningless=3, invalid=3)
_PHONE_FORMS = weighted(
    national=44, international=21, e164=16, exit_code=6, trunk_in_brackets=5, hashed=4, meaningless=3, invalid=1
)
_COUNTRY_FORMS = weighted(code=40, spelling=32, lower=8, blanks=5, absent=12, meaningless=3)
_TEXT_FORMS = weighted(plain=60, upper=10, lower=10, blanks=8, decomposed=8, meaningless=2, absent=2)
_BIRTH_FORMS = weighted(iso=50, slashes=25, year=8, absent=14, meaningless=3)
_GENDER_WORDS = {
    "f": ("Female", "female", "F", "f", " FEMALE"),
    "m": ("Male", "male", "M", "m", "MALE "),
    "": ("unknown", "", "N/A"),
}
_TEXT_TRAITS = ("first_name", "last_name", "city", "region", "postal_code")
_PADS = (" ", "  ", "\t", "")
_RECOVERABLE_EMAILS = frozenset({"plain", "mixed_case", "blanks", "upper", "hashed"})
_FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")
_NIL_UUID = "00000000-0000-0000-0000-000000000000"


def email(dice: Dice, true: str, keep: bool) -> Entry:
    """An e-mail entry; with `keep` its form is one of the recoverable ones."""
    form = dice.pick(_EMAIL_FORMS)
    if keep and form not in _RECOVERABLE_EMAILS:
        form = "plain"
    return Entry(_email_text(dice, true, form), true, form, form in _RECOVERABLE_EMAILS)


def _email_text(dice: Dice, true: str, form: str) -> str:
    local, _, domain = true.partition("@")
    match form:
        case "mixed_case":
            return f"{local.title()}@{domain.capitalize()}"
        case "upper":
            return true.upper()
        case "blanks":
            return f" {true}{dice.pick(_PADS)}"
        case "hashed":
            return hashed(dice, true)
        case "meaningless":
            return dice.pick((*MEANINGLESS, "test@test"))
        case "invalid":
            return dice.pick(
                (f"{local}.{domain}", f"{local}@", f"{local}@@{domain}", f"{local[:3]} {local[3:]}@{domain}")
            )
        case _:
            return true


def hashed(dice: Dice, normalised: str) -> str:
    """SHA-256 of the normalised value in hex, in lower or (rarely) upper case."""
    digest = hashlib.sha256(normalised.encode()).hexdigest()
    return digest.upper() if dice.chance(0.25) else digest


def phone(dice: Dice, true: str, country: Country, country_readable: bool) -> Entry:
    """A phone entry; a national number is recoverable only beside a readable country."""
    form = dice.pick(_PHONE_FORMS)
    if (form == "exit_code" and not country.exit_code_00) or (form == "trunk_in_brackets" and country.trunk != "0"):
        form = "international"
    raw = _phone_text(dice, true, country, form)
    if form in {"national", "international", "e164"} and dice.chance(0.01):
        raw = raw.translate(_FULL_WIDTH)
    recoverable = form not in {"meaningless", "invalid"} and (form != "national" or country_readable)
    return Entry(raw, true, form, recoverable)


def beside(entry: Entry, country: Country | None) -> Entry:
    """A phone entry in a profile whose readable country this is: by that alone a national number is recoverable."""
    if entry.form != "national":
        return entry
    return replace(entry, recoverable=country is not None and entry.true.startswith(f"+{country.calling}"))


def _phone_text(dice: Dice, true: str, country: Country, form: str) -> str:
    number = true[1 + len(country.calling) :]
    match form:
        case "national":
            return _national(dice, number, country)
        case "international":
            return f"+{country.calling} {_grouped(dice, number, country)}"
        case "exit_code":
            return f"00{country.calling} {_grouped(dice, number, country)}"
        case "trunk_in_brackets":
            return f"+{country.calling} (0){_grouped(dice, number, country)}"
        case "hashed":
            return hashed(dice, true[1:])
        case "meaningless":
            return dice.pick((*MEANINGLESS, "0000000000"))
        case "invalid":
            return number[:4]
        case _:
            return true


def _national(dice: Dice, number: str, country: Country) -> str:
    text = _grouped(dice, number, country)
    head = country.groups[0]
    if dice.chance(0.25):
        return f"({country.trunk}{text[:head]}) {text[head:].lstrip(' -./')}"
    return country.trunk + text


def _grouped(dice: Dice, number: str, country: Country) -> str:
    separator = dice.pick((" ", "-", ".", "", " "))
    parts, start = [], 0
    for size in country.groups[:-1]:
        parts.append(number[start : start + size])
        start += size
    return separator.join((*parts, number[start:]))


def mobile_id(dice: Dice, true: str, kind: str) -> Entry:
    """A mobile ad id entry of kind `ios.idfa` or `android.idfa`; the nil id of an opted-out device now and then."""
    if dice.chance(0.05):
        return Entry(_NIL_UUID, true, f"{kind} nil", False)
    return Entry(true.upper() if dice.chance(0.3) else true, true, kind, True)


def country(dice: Dice, true: Country) -> tuple[str | None, bool]:
    """The country trait (None: absent) and whether correct rules can read it."""
    form = dice.pick(_COUNTRY_FORMS)
    match form:
        case "absent":
            return None, False
        case "meaningless":
            return dice.pick(MEANINGLESS), False
        case "spelling":
            return dice.pick(true.spellings), True
        case "lower":
            return true.code.lower(), True
        case "blanks":
            return f" {true.code} ", True
        case _:
            return true.code, True


def is_readable(country: str | None) -> bool:
    """Whether correct rules can read a country trait."""
    return country is not None and country not in MEANINGLESS


def traits(dice: Dice, true: Attributes) -> dict[str, str]:
    """The dirty name, place, birthday and gender traits; an absent trait has no key."""
    found = {}
    for name in _TEXT_TRAITS:
        value = text(dice, getattr(true, name))
        if value is not None:
            found[name] = value
    birthday = _birthday(dice, true)
    if birthday is not None:
        found["birthday"] = birthday
    if dice.chance(0.8):
        found["gender"] = dice.pick(_GENDER_WORDS[true.gender])
    return found


def text(dice: Dice, true: str) -> str | None:
    """A name or place as typed by people; None when nobody typed it."""
    form = dice.pick(_TEXT_FORMS)
    if form == "plain":
        return true
    match form:
        case "upper":
            return true.upper()
        case "lower":
            return true.lower()
        case "blanks":
            return f" {true.replace(' ', '  ')}{dice.pick(_PADS)}"
        case "decomposed":
            return unicodedata.normalize("NFD", true)
        case "meaningless":
            return dice.pick(MEANINGLESS)
        case _:
            return None


def _birthday(dice: Dice, true: Attributes) -> str | None:
    year, month, day = true.birth_date.split("-")
    match dice.pick(_BIRTH_FORMS):
        case "slashes" if int(day) > 12:
            return f"{int(month)}/{day}/{year}" if true.country == "US" else f"{day}/{month}/{year}"
        case "year":
            return year
        case "absent":
            return None
        case "meaningless":
            return dice.pick(MEANINGLESS)
        case _:
            return true.birth_date
