"""Countries as standards, shops and people spell them.

`country_names.json` has English names by code: ISO 3166 (also with "the" and with commas turned into brackets), Unicode
CLDR, which Magento and Shopify show, and what differs there, in WooCommerce, at the United Nations and the World Bank.
"""

import json
from itertools import pairwise
from pathlib import Path

import pytest
from cdp_bridge.identity import explain
from cdp_bridge.identity.country import _fold, country_code, country_codes
from cdp_bridge.identity.profile import read_data

NAMES: dict[str, list[str]] = json.loads((Path(__file__).parent / "country_names.json").read_text())
STORED: dict[str, list[str]] = json.loads(read_data("data/countries.json"))
EVERY_NAME = [(code, name) for code, names in NAMES.items() for name in names]


def misread(spellings: list[tuple[str, str]]) -> list[tuple[str, str, str]]:
    return [(code, name, found) for code, name in spellings if (found := country_code(name)) != code]


def test_every_name_is_read() -> None:
    assert NAMES.keys() == set(country_codes()) == STORED.keys()
    assert misread(EVERY_NAME) == []


def test_every_name_is_read_however_it_is_written() -> None:
    for change in (
        str.upper,
        str.lower,
        str.title,
        lambda name: f"the {name}" if len(name) > 3 else name,
        lambda name: name.replace(" ", "\u00a0"),
    ):
        assert misread([(code, change(name)) for code, name in EVERY_NAME]) == []
    for ours, theirs in pairwise(["&", "and", "&amp;", "+"]):
        assert misread([(code, name.replace(f" {ours} ", f" {theirs} ")) for code, name in EVERY_NAME]) == []
    for ours, theirs in (("St. ", "Saint "), ("Saint ", "St "), ("Saint ", "St. "), ("\u2019", "'"), ("'", "&#039;")):
        assert misread([(code, name.replace(ours, theirs)) for code, name in EVERY_NAME]) == []


@pytest.mark.parametrize(
    "form", ["{name} ({code})", "{name} [{code}]", "{code} - {name}", "{name}, {code}", "{code}: {name}"]
)
def test_every_name_is_read_beside_its_code(form: str) -> None:
    assert misread([(code, form.format(name=name, code=code)) for code, name in EVERY_NAME]) == []


def test_no_two_countries_share_a_spelling() -> None:
    owners: dict[str, str] = {}
    for code, spellings in STORED.items():
        for spelling in {code.lower(), *spellings}:
            assert owners.setdefault(spelling, code) == code, spelling


def test_what_is_stored_is_folded() -> None:
    assert [spelling for spellings in STORED.values() for spelling in spellings if _fold(spelling) != spelling] == []


@pytest.mark.parametrize(
    "name",
    [
        *(
            "Germany (France)",
            "US/CA",
            "Georgia, US",
            "Congo (CD)",
            "Paris, France",
            "Germany (west)",
            "the",
            "and the",
        ),
        *("Netherlands Antilles", "AN", "XX", "Ger\ufffdmany", "Fr&ance;", "(,)" * 60, "a," * 100_000),
    ],
)
def test_what_names_no_single_country_is_unknown(name: str) -> None:
    assert explain("google", "country", name).rejected == "unknown"


@pytest.mark.parametrize(
    ("country", "google", "meta"),
    [("Kosovo", "XK", "xk"), ("XKX", "XK", "xk"), ("Ascension Island", "SH", "sh"), ("TA", "SH", "sh")],
)
def test_places_without_a_code_of_iso_3166(country: str, google: str, meta: str) -> None:
    assert explain("google", "country", country).normalised == google
    assert explain("meta", "country", country).normalised == meta
    assert explain("meta-events", "country", country).normalised == meta


@pytest.mark.parametrize(
    ("country", "raw", "number"),
    [("XK", "043 201 219", "+38343201219"), ("AC", "62889", "+24762889"), ("TA", "8999", "+2908999")],
)
def test_their_phones_are_read(country: str, raw: str, number: str) -> None:
    assert explain("google", "phone", raw, country).normalised == number


def test_regions_kept_as_html() -> None:
    assert explain("meta", "region", "Qu&eacute;bec", "CA").normalised == "qc"
    assert explain("meta", "region", "Newfoundland &amp; Labrador", "CA").normalised == "nl"
