"""Countries (ISO 3166-1 alpha-2) and the subdivisions of the United States and Canada, found by code or by name.

`data/countries.json`: code -> names, folded as here: English, the larger European languages, the country's own
languages (Unicode CLDR) and common spellings, with the alpha-3 code. `data/subdivisions.json`: country -> code ->
names.
"""

from functools import cache
from unicodedata import normalize

import msgspec

from cdp_bridge.identity.profile import read_data
from cdp_bridge.identity.refusal import refusal

# The sign of lost letters stays, so that damaged text is no name.
_DAMAGE = "\N{REPLACEMENT CHARACTER}"


def country_code(raw: str) -> str:
    """Alpha-2 code in upper case, or a refusal (`unknown`)."""
    return _countries().get(_fold(raw)) or refusal("unknown")


def country_codes() -> list[str]:
    """All alpha-2 codes, in upper case."""
    return sorted(set(_countries().values()))


def subdivision_code(raw: str, country: str) -> str:
    """Two-letter code in upper case, or a refusal (`unknown`, `unsupported_country`).

    Without a country a US or Canadian code is taken as such: the two sets share no code and no name.
    """
    subdivisions = _subdivisions()
    if country and country not in subdivisions:
        return refusal("unsupported_country")
    places = [country] if country else list(subdivisions)
    found = (subdivisions[place].get(_fold(raw)) for place in places)
    return next(filter(None, found), None) or refusal("unknown")


def _fold(name: str) -> str:
    """Letters and digits only, without case, accents, a leading "the"; `&` is "and"."""
    plain = normalize("NFKD", name).casefold().replace("&", "and").removeprefix("the ")
    return "".join(c for c in plain if c.isalnum() or c == _DAMAGE)


@cache
def _countries() -> dict[str, str]:
    names = msgspec.json.decode(read_data("data/countries.json"), type=dict[str, list[str]])
    return {name: code for code, spellings in names.items() for name in (code.lower(), *spellings)}


@cache
def _subdivisions() -> dict[str, dict[str, str]]:
    names = msgspec.json.decode(read_data("data/subdivisions.json"), type=dict[str, dict[str, list[str]]])
    return {
        country: {
            spelling: code
            for code, spellings in codes.items()
            for spelling in (code.lower(), (country + code).lower(), *spellings)
        }
        for country, codes in names.items()
    }
