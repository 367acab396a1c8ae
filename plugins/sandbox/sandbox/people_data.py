"""Names, places and mobile number plans of the countries that the generated people live in."""

import json
from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Country:
    """One country of `people_data.json`.

    `mobile` are the prefixes that stand before the last seven digits of a national number (without the trunk prefix);
    `groups` says how that number is cut when it is written down; `postal` has `#` for a digit and `@` for a letter;
    `spellings` are the ways a CRM writes the country besides its ISO code; `exit_code_00`: people there dial 00 abroad.
    """

    code: str
    calling: str
    trunk: str
    mobile: tuple[str, ...]
    groups: tuple[int, ...]
    postal: str
    spellings: tuple[str, ...]
    places: tuple[tuple[str, str], ...]
    female: tuple[str, ...]
    male: tuple[str, ...]
    last: tuple[str, ...]
    weight: int
    exit_code_00: bool
    eu: bool


_WORDS = frozenset({"mobile", "female", "male", "last"})


def _load() -> tuple[Country, ...]:
    rows = json.loads(files("sandbox").joinpath("people_data.json").read_text(encoding="utf-8"))
    return tuple(Country(**{name: _frozen(name, value) for name, value in row.items()}) for row in rows)


def _frozen(name: str, value: object) -> object:
    if name in _WORDS:
        return tuple(str(value).split())
    if isinstance(value, list):
        return tuple(tuple(item) if isinstance(item, list) else item for item in value)
    return value


COUNTRIES = _load()
BY_CODE = {country.code: country for country in COUNTRIES}
