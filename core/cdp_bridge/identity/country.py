"""Countries (ISO 3166-1 alpha-2) and the subdivisions of the United States and Canada, found by code or by name.

`data/countries.json`: code -> names, folded as here: English as ISO 3166, Unicode CLDR, the United Nations and shop
systems write it, the larger European languages, the country's own languages (CLDR) and common spellings, with the
alpha-3 code. Beyond ISO it has Kosovo (XK), and Ascension Island (AC) and Tristan da Cunha (TA), which ISO counts to
Saint Helena but which have telephone numbers of their own. `data/subdivisions.json`: country -> code -> names.
"""

import re
from collections.abc import Iterator
from functools import cache
from unicodedata import normalize

import msgspec

from cdp_bridge.identity.html import html_text
from cdp_bridge.identity.profile import read_data
from cdp_bridge.identity.refusal import refusal

# The sign of lost letters is a word, so that damaged text is no name.
_WORD = re.compile("[^\\W_]+|\N{REPLACEMENT CHARACTER}")
_UNSAID = {"the", "and"}
_MAX_LENGTH = 200
_BRACKETED = re.compile(r"([^()\[\]{}]+)[(\[{]([^()\[\]{}]+)[)\]}](.*)")
_SEPARATOR = re.compile(r"[()\[\]{}<>,;:/|]+|\s[-\u2013\u2014]\s")


def country_code(raw: str) -> str:
    """Alpha-2 code in upper case, or a refusal (`unknown`)."""
    text = html_text(raw)
    named = (_name(text) or _twice(text)) if len(text) <= _MAX_LENGTH else None
    return named or refusal("unknown")


def country_codes() -> list[str]:
    """All codes that are known, in upper case."""
    return sorted(set(_countries().values()))


def subdivision_code(raw: str, country: str) -> str:
    """Two-letter code in upper case, or a refusal (`unknown`, `unsupported_country`).

    Without a country a US or Canadian code is taken as such: the two sets share no code and no name.
    """
    subdivisions = _subdivisions()
    if country and country not in subdivisions:
        return refusal("unsupported_country")
    places, name = [country] if country else list(subdivisions), _fold(html_text(raw))
    found = (subdivisions[place].get(name) for place in places)
    return next(filter(None, found), None) or refusal("unknown")


def _name(text: str) -> str | None:
    """A name as it stands, or as `Congo (Republic of the)`, `Korea, Republic of`, `United States (US) Islands`."""
    return next(filter(None, map(_spelled, _orders(text))), None)


def _orders(text: str) -> Iterator[str]:
    yield text
    if match := _BRACKETED.fullmatch(text):
        before, inside, after = match.groups()
        yield f"{inside} {before} {after}"
        if (code := _spelled(before)) and code == _spelled(inside):
            yield before + after
    before, _, after = text.partition(",")
    yield f"{after} {before}"


def _twice(text: str) -> str | None:
    """A country that is named more than once, in any way: `DE - Germany`, `Cocos (Keeling) Islands (CC)`."""
    for separator in [match for match in _SEPARATOR.finditer(text) if match.end() < len(text)]:
        code = _name(text[: separator.start()])
        if code and code == _name(text[separator.end() :]):
            return code
    parts = {_spelled(part) for part in _SEPARATOR.split(text) if part.strip()}
    return parts.pop() if len(parts) == 1 else None


def _spelled(name: str) -> str | None:
    return _countries().get(_fold(name))


def _fold(name: str) -> str:
    """Letters and digits only, without case, accents, "the" and "and"; "Saint" is "St."."""
    words = _WORD.findall(normalize("NFKD", name).casefold())
    said = [word for word in words if word not in _UNSAID] or words
    return "".join("st" if word == "saint" else word for word in said)


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
