"""Values that are refused rather than hashed, with their reasons, and odd spellings that are understood."""

from datetime import UTC, datetime, timedelta

import pytest
from cdp_bridge.errors import ConfigError
from cdp_bridge.identity import FIELDS, Question, explain, explain_many, installed
from cdp_bridge.identity.country import country_codes

REFUSED = [
    ("email", "", None, "empty"),
    ("email", " \u00a0\u200b", None, "empty"),
    ("email", "NULL", None, "empty"),
    ("email", "(none)", None, "empty"),
    ("email", "mary.example.com", None, "invalid"),
    ("email", "mary@@example.com", None, "invalid"),
    ("email", "mary@localhost", None, "invalid"),
    ("email", "mary,anne@example.com", None, "invalid"),
    ("email", "Mary <mary@example.com>", None, "invalid"),
    ("email", "a" * 250 + "@example.com", None, "invalid"),
    ("email", "test@test.com", None, "placeholder"),
    ("email", "no-reply@example.com", None, "placeholder"),
    ("email", "mar\ufffd@example.com", None, "damaged"),
    ("email", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855".upper(), None, "empty_hash"),
    ("email", "5d41402abc4b2a76b9719d911017c592", None, "invalid"),
    ("email", "a" * 65, None, "invalid"),
    ("phone", "0000000000", "US", "placeholder"),
    ("phone", "1234567890", "US", "placeholder"),
    ("phone", "+49 99999999999", None, "placeholder"),
    ("phone", "+0000000000", None, "placeholder"),
    ("phone", "12345", "DE", "too_short"),
    ("phone", "hello", None, "unreadable"),
    ("phone", "+999 1234567", None, "unreadable"),
    ("phone", "+1 555 0100", None, "too_short"),
    ("phone", "+1 650 253 00001", None, "too_long"),
    ("phone", "650 253 00001", "US", "too_long"),
    ("phone", "6.502530001E9", "US", "scientific_notation"),
    ("phone", "4,91512E+12", "DE", "scientific_notation"),
    ("phone", "4921123456", "AQ", "unknown_country"),
    ("phone", "07700 900123", None, "no_country"),
    ("phone", "07700 900123", "nowhere", "unknown_country"),
    ("first_name", "1234", None, "invalid"),
    ("first_name", "-", None, "empty"),
    ("last_name", "M\ufffdller", None, "damaged"),
    ("date_of_birth", "30/02/1990", None, "invalid"),
    ("date_of_birth", "1990-13-01", None, "invalid"),
    ("date_of_birth", "02/03/1990", None, "ambiguous"),
    ("date_of_birth", "1850-01-01", None, "out_of_range"),
    ("date_of_birth", "1900-01-01", None, "placeholder"),
    ("date_of_birth", "0000", None, "out_of_range"),
    ("date_of_birth", "12/31/90", None, "invalid"),
    ("gender", "diverse", None, "unknown"),
    ("city", "München", None, "not_a_to_z"),
    ("city", "東京", None, "not_a_to_z"),
    ("region", "Bayern", None, "unknown"),
    ("region", "CA", "MX", "unsupported_country"),
    ("region", "ON", "US", "unknown"),
    ("postal_code", "9403", "US", "invalid"),
    ("postal_code", "00000", None, "placeholder"),
    ("postal_code", "see notes below", None, "invalid"),
    ("country", "Atlantis", None, "unknown"),
    ("country", "XX", None, "unknown"),
    ("mobile_ad_id", "00000000-0000-0000-0000-000000000000", None, "placeholder"),
    ("mobile_ad_id", "A" * 64, None, "invalid"),
    ("external_id", "undefined", None, "empty"),
]
UNDERSTOOD = [
    ("phone", "011 44 7700 900123", "US", "447700900123"),
    ("phone", "0044 7700 900123", "US", "447700900123"),
    ("phone", "+1 650 253 0000 ext. 42", None, "16502530000"),
    ("phone", "1-800-FLOWERS", "US", "18003569377"),
    ("phone", "+4477009001\uff12\uff13", None, "447700900123"),
    ("phone", "\uff0b\uff14\uff14 7700 900123", None, "447700900123"),
    ("phone", "8 (912) 345-67-89", "RU", "79123456789"),
    ("phone", "06 12 34 56 78", "France", "33612345678"),
    ("phone", "06 698 1234", "IT", "39066981234"),
    ("email", "\ufeffmary@example.com\t", None, "mary@example.com"),
    ("email", "jürgen@müller.example", None, "jürgen@müller.example"),
    ("first_name", "ΓΙΩΡΓΟΣ", None, "γιωργος"),
    ("first_name", "Jean-Luc", None, "jeanluc"),
    ("first_name", "Na", None, "na"),
    ("date_of_birth", "1990-02-03T00:00:00Z", None, "19900203"),
    ("date_of_birth", "1990/2/3", None, "19900203"),
    ("date_of_birth", "19900203", None, "19900203"),
    ("date_of_birth", "31/12/1990", None, "19901231"),
    ("date_of_birth", "12-31-1990", None, "19901231"),
    ("date_of_birth", "03.02.1990", None, "19900203"),
    ("date_of_birth", "05/05/1990", None, "19900505"),
    ("gender", "Weiblich", None, "f"),
    ("region", "new york", "United States", "ny"),
    ("region", "US-CA", None, "ca"),
    ("region", "Québec", "ca", "qc"),
    ("postal_code", "940351234", "US", "94035"),
    ("postal_code", "SW1A 1AA", "UK", "sw1a1aa"),
    ("country", "uk", None, "gb"),
    ("country", "DEU", None, "de"),
    ("country", "Deutschland", None, "de"),
    ("country", "the Netherlands", None, "nl"),
    ("country", "Côte d’Ivoire", None, "ci"),
    ("country", "U.S.A.", None, "us"),
    ("country", "NA", None, "na"),
    ("country", "日本", None, "jp"),
]


def test_refused_values_are_never_hashed() -> None:
    answers = explain_many("meta", [Question(field, raw, country) for field, raw, country, _ in REFUSED])
    for (field, raw, country, reason), answer in zip(REFUSED, answers, strict=True):
        assert (answer.rejected, answer.normalised, answer.value) == (reason, None, None), (field, raw, country, answer)


def test_odd_spellings_are_understood() -> None:
    answers = explain_many("meta", [Question(field, raw, country) for field, raw, country, _ in UNDERSTOOD])
    for (field, raw, country, normalised), answer in zip(UNDERSTOOD, answers, strict=True):
        assert answer.normalised == normalised, (field, raw, country, answer)


def test_google_names_lose_titles_and_keep_punctuation() -> None:
    spellings = {"Mrs. Joana": "joana", "Dr. Mr. Lee": "lee", "Drew": "drew", "Anne-Marie": "anne-marie"}
    answers = explain_many("google", [Question("first_name", raw) for raw in spellings])
    assert [answer.normalised for answer in answers] == list(spellings.values())
    families = {"Lee III": "lee", "Lee, M D": "lee, m d", "Lee, MD, PhD": "lee", "Levi": "levi", "Vi": "vi"}
    answers = explain_many("google", [Question("last_name", raw) for raw in families])
    assert [answer.normalised for answer in answers] == list(families.values())


def test_no_birth_date_after_today() -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=2)).date().isoformat()
    assert explain("meta", "date_of_birth", tomorrow).rejected == "out_of_range"


def test_every_country_code_is_known_by_itself() -> None:
    codes = country_codes()
    beyond = {"XK": "XK", "AC": "SH", "TA": "SH"}
    assert len(set(codes) - set(beyond)) == 249
    answers = explain_many("google", [Question("country", code.lower()) for code in codes])
    assert [answer.value for answer in answers] == [beyond.get(code, code) for code in codes]


@pytest.mark.parametrize("profile", installed().profiles)
def test_lone_surrogates_are_refused_not_raised(profile: str) -> None:
    for field in FIELDS:
        assert explain(profile, field, "a\ud800b").rejected is not None


def test_unknown_names_say_what_there_is() -> None:
    with pytest.raises(ConfigError, match="tiktok-events"):
        explain("bing", "email", "a@example.com")
    with pytest.raises(ConfigError, match="postal_code"):
        explain("meta", "zip", "94035")
