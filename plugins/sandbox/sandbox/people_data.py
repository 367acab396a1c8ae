"""Names, places and mobile number plans of the countries that the generated people live in."""

from importlib.resources import files

import msgspec


class Country(msgspec.Struct, frozen=True):
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


COUNTRIES = msgspec.json.decode(files("sandbox").joinpath("people_data.json").read_bytes(), type=tuple[Country, ...])
BY_CODE = {country.code: country for country in COUNTRIES}
