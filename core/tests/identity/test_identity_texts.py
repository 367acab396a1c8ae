"""Texts of names, places and addresses as exports hold them: case, invisible characters, HTML, words for nothing."""

import sys
from collections.abc import Iterator
from html.entities import html5
from itertools import product
from unicodedata import category

import pytest
from cdp_bridge.identity import CLEAR, Question, explain, explain_many, installed
from cdp_bridge.identity.profile import NAMES
from cdp_bridge.identity.steps import STEPS
from duckdb import DuckDBPyConnection

# Default_Ignorable_Code_Point of Unicode's DerivedCoreProperties, and the braille pattern without dots.
INVISIBLE = (
    *(0x00AD, 0x034F, 0x061C, 0x115F, 0x1160, 0x17B4, 0x17B5, *range(0x180B, 0x1810), *range(0x200B, 0x2010)),
    *(*range(0x202A, 0x202F), *range(0x2060, 0x2070), 0x2800, 0x3164, *range(0xFE00, 0xFE10), 0xFEFF, 0xFFA0),
    *(*range(0xFFF0, 0xFFF9), *range(0x1BCA0, 0x1BCA4), *range(0x1D173, 0x1D17B), *range(0xE0000, 0xE1000)),
)
OUTSIDE_Z_AND_C = [code for code in INVISIBLE if category(chr(code)) != "Cf"]
HASHING = sorted(installed().profiles.keys() - {CLEAR})


def normalised(profile: str, field: str, raws: list[str], country: str | None = None) -> list[str | None]:
    return [answer.normalised for answer in explain_many(profile, [Question(field, raw, country) for raw in raws])]


def rejected(profile: str, field: str, raws: list[str]) -> set[str | None]:
    return {answer.rejected for answer in explain_many(profile, [Question(field, raw) for raw in raws])}


def takers(field: str) -> Iterator[str]:
    return (name for name in HASHING if field in installed().profiles[name].fields)


def lowered(connection: DuckDBPyConnection, texts: list[str]) -> list[str]:
    connection.execute(f"SELECT list_transform($1::VARCHAR[], lambda x: {STEPS['lower'].replace('{x}', 'x')})", [texts])
    (answer,) = connection.fetchall()
    return list(answer[0])


def test_every_code_point_is_lower_cased_as_the_platforms_helpers_do(connection: DuckDBPyConnection) -> None:
    characters = [chr(code) for code in range(sys.maxunicode + 1) if category(chr(code)) != "Cs"]
    for before, after in (("", ""), ("Na", "Me")):
        texts = [before + character + after for character in characters]
        answers = lowered(connection, texts)
        assert [text for text, answer in zip(texts, answers, strict=True) if answer != text.lower()] == []


def test_a_sigma_is_lower_cased_by_what_stands_around_it(connection: DuckDBPyConnection) -> None:
    around = ["", "Α", "a", "'", ".", "\u0301", "\u00ad", " ", "1", "-", "Σ", "σ", "İ", "文"]
    texts = ["".join(text) for text in product(around, around, ["Σ"], around, around)]
    assert lowered(connection, texts) == [text.lower() for text in texts]


def test_the_dotted_capital_i_keeps_its_dot() -> None:
    assert normalised("google", "last_name", ["İnce"]) == ["i\u0307nce"]
    for profile in HASHING:
        assert normalised(profile, "email", ["İpek@example.com"]) == ["i\u0307pek@example.com"]


@pytest.mark.parametrize("profile", installed().profiles)
def test_invisible_characters_come_off_both_ends_of_every_field(profile: str) -> None:
    plain = {"email": "mary@example.com", "first_name": "Mary", "city": "Paris", "postal_code": "94045"}
    plain |= {"last_name": "O'Neill", "date_of_birth": "1997-02-16", "gender": "f", "country": "US", "external_id": "7"}
    for field in plain.keys() & installed().profiles[profile].fields.keys():
        (expected,) = normalised(profile, field, [plain[field]])
        ends = [chr(code) for code in INVISIBLE]
        raws = [f"{end} {plain[field]}{end}" for end in ends]
        assert expected is not None
        assert set(normalised(profile, field, raws)) == {expected}, field


@pytest.mark.parametrize("profile", HASHING)
def test_invisible_characters_alone_are_nothing(profile: str) -> None:
    assert rejected(profile, "email", [chr(code) * 2 for code in INVISIBLE]) == {"empty"}


@pytest.mark.parametrize("profile", HASHING)
def test_an_address_with_an_invisible_character_inside_is_refused(profile: str) -> None:
    marks = [chr(code) for code in OUTSIDE_Z_AND_C]
    inside = [place.replace("_", mark) for mark in marks for place in ("a@exam_ple.com", "a@b.c_om", "ma_ry@b.com")]
    assert rejected(profile, "email", inside) == {"invalid"}


def test_invisible_characters_go_with_the_symbols_of_a_name() -> None:
    for profile in ("meta", "meta-events", "generic"):
        raws = [f"An\u2764{chr(code)}na \u2764{chr(code)}" for code in OUTSIDE_Z_AND_C]
        assert set(normalised(profile, "first_name", raws)) == {"anna"}
    assert rejected("google", "last_name", [f"1{chr(code)}2" for code in OUTSIDE_Z_AND_C]) == {"invalid"}


def test_marks_that_carry_vowels_stay() -> None:
    assert normalised("meta", "first_name", ["मीरा", "நிலா"]) == ["मीरा", "நிலா"]
    assert normalised("google", "first_name", ["می\u200cنا"]) == ["می\u200cنا"]


NAMES_OF_SOMEBODY = ["Null", "NULL", "null", "None", "Nan", "NaN", "Na", "Nil", "Nulles"]
NOBODY = [
    "N/A",
    "n/a",
    "#N/A",
    "#REF!",
    "(null)",
    "[none]",
    "<null>",
    "<NA>",
    "{Null}",
    "(not set)",
    "-",
    "\u2014",
    "?",
]
NOBODY += ["...", "N.A.", "undefined", "Unknown", "not available", r"\N", " - ", "_", "(None)"]


@pytest.mark.parametrize("field", NAMES)
def test_what_names_people_and_places_is_a_name(field: str) -> None:
    for profile in takers(field):
        assert normalised(profile, field, NAMES_OF_SOMEBODY) == [name.lower() for name in NAMES_OF_SOMEBODY]
        assert rejected(profile, field, NOBODY) == {"empty"}


@pytest.mark.parametrize(
    "field", ["email", "external_id", "postal_code", "gender", "date_of_birth", "country", "region"]
)
def test_in_other_fields_these_words_are_nothing(field: str) -> None:
    for profile in takers(field):
        assert rejected(profile, field, [*NOBODY, "null", "NULL", "None", "NaN"]) == {"empty"}


def test_html_in_names_is_decoded() -> None:
    spelled = {
        "O&#039;Neill": "o'neill",
        "O&#x27;Neill": "o'neill",
        "O&apos;Neill": "o'neill",
        "O&amp;#039;Neill": "o'neill",
        "O&#039Neill": "o'neill",
        "Caf&eacute;": "café",
        "&Eacute;MILE": "émile",
        "M&UUML;LLER": "müller",
        "&nbsp;Lee&nbsp;": "lee",
        "Smith &amp; Sons": "smith & sons",
        "Smith & Sons": "smith & sons",
        "AT&T": "at&t",
    }
    assert normalised("google", "last_name", list(spelled)) == list(spelled.values())
    assert normalised("meta", "last_name", ["O&#039;Neill", "O&amp;apos;Neill"]) == ["oneill", "oneill"]
    assert normalised("meta", "city", ["D&uuml;sseldorf"]) == [None]
    assert normalised("meta-events", "city", ["D&uuml;sseldorf"]) == ["düsseldorf"]


def test_every_named_character_of_html_is_read_as_itself() -> None:
    references = {name: character for name, character in html5.items() if name.endswith(";")}
    raws = [f"a&{name}b" for name in references]
    plain = [f"a{character}b" for character in references.values()]
    for profile in takers("last_name"):
        assert normalised(profile, "last_name", raws) == normalised(profile, "last_name", plain)


@pytest.mark.parametrize(
    "name", ["a &foo; b", "a&#0;b", "a&#xD800;b", f"a&#{'9' * 5000};b", "&amp;" * 9, "&" + "amp;" * 9 + "lt;"]
)
def test_html_that_is_none_is_never_hashed_with_its_letters(name: str) -> None:
    for profile in takers("last_name"):
        answer = explain(profile, "last_name", f"{name}z")
        assert answer.rejected == "damaged" or "amp" not in str(answer.normalised)


def test_html_cannot_forge_a_refusal() -> None:
    for profile in takers("last_name"):
        assert normalised(profile, "last_name", ["&#1;empty", "&#x01;empty"]) == ["empty", "empty"]


def test_postal_codes_of_metas_conversions_have_no_dash() -> None:
    codes = {"1229-076": "PT", "1229\u2013076": "PT", " 1229 - 076": "PT", "94035-1234": "US", "M1 1AE": "GB"}
    answers = [explain("meta-events", "postal_code", code, country).normalised for code, country in codes.items()]
    assert answers == ["1229076", "1229076", "1229076", "94035", "m11ae"]
    assert explain("meta", "postal_code", "1229-076", "PT").normalised == "1229-076"


def test_published_spellings_stay() -> None:
    assert normalised("google", "email", ["Jane.doe+shopping@gmail.com"]) == ["janedoe@gmail.com"]
    assert normalised("google", "email", ["test.user@googlemail.com"]) == ["testuser@googlemail.com"]
    assert normalised("tiktok-audience", "email", ["local-part.123+suffix@domain.com"]) == ["local-part123@domain.com"]
    assert normalised("google", "last_name", [" O'Connor-Smith 2 "]) == ["o'connor-smith 2"]
    assert normalised("google", "postal_code", [" 94045 "], "US") == ["94045"]
