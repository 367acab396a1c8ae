"""The generated people: deterministic, valid, dirty in every announced way, and true to what they say of themselves."""

import hashlib
import re
from collections import Counter

import phonenumbers
import pytest
from sandbox.churn import churn
from sandbox.dirt import is_readable
from sandbox.people import Population, generate
from sandbox.people_data import COUNTRIES
from sandbox.person import Person

COUNT = 6000


@pytest.fixture(scope="module")
def population() -> Population:
    return generate(COUNT, 11)


def test_a_person_does_not_depend_on_the_size_of_the_population(population: Population) -> None:
    assert generate(200, 11).people == population.people[:200]
    assert generate(200, 12).people != population.people[:200]


def test_every_true_phone_is_a_valid_number_of_its_country(population: Population) -> None:
    for person in population:
        for entry in person.phones:
            number = phonenumbers.parse(entry.true)
            assert phonenumbers.is_valid_number(number), entry.true
            assert phonenumbers.region_code_for_number(number) == person.true.country


def test_every_prefix_of_every_country_makes_valid_numbers() -> None:
    for country in COUNTRIES:
        for prefix in country.mobile:
            for subscriber in range(2_000_000, 10_000_000, 199_999):
                number = phonenumbers.parse(f"+{country.calling}{prefix}{subscriber:07d}")
                assert phonenumbers.is_valid_number(number), (country.code, prefix, subscriber)


def test_a_recoverable_phone_is_what_libphonenumber_reads_beside_the_country(population: Population) -> None:
    names = {name.lower(): country.code for country in COUNTRIES for name in (*country.spellings, country.code)}
    for person in population:
        region = names.get(person.traits.get("country", "").strip().lower())
        for entry in person.phones:
            assert recovered_phone(entry.raw, region) == (entry.true if entry.recoverable else None), entry


def recovered_phone(raw: str, region: str | None) -> str | None:
    """What a straightforward reader makes of a raw phone, as E.164; a hash is looked up among the true numbers."""
    if re.fullmatch(r"[0-9a-fA-F]{64}", raw):
        return HASHES.get(raw.lower())
    text = f"+{raw[2:]}" if raw.startswith("00") and raw.strip("0") else raw
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    valid = phonenumbers.is_valid_number(number)
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) if valid else None


HASHES: dict[str, str] = {}


@pytest.fixture(autouse=True)
def _known_hashes(population: Population) -> None:
    for person in population:
        HASHES.update({hashlib.sha256(e.true[1:].encode()).hexdigest(): e.true for e in person.phones})
        HASHES.update({hashlib.sha256(e.true.encode()).hexdigest(): e.true for e in person.emails})


def test_a_recoverable_email_is_trimmed_lower_case_or_its_hash(population: Population) -> None:
    for person in population:
        for entry in person.emails:
            plain = entry.raw.strip().lower()
            found = HASHES.get(plain, plain if re.fullmatch(r"[^@\s]+@[^@\s]+\.[a-z]+", plain) else None)
            assert found == (entry.true if entry.recoverable else None), entry


def test_all_announced_kinds_of_dirt_occur(population: Population) -> None:
    emails = Counter(entry.form for person in population for entry in person.emails)
    phones = Counter(entry.form for person in population for entry in person.phones)
    mobile_ids = Counter(entry.form for person in population for entry in person.mobile_ids)
    assert set(emails) == {"plain", "mixed_case", "upper", "blanks", "hashed", "meaningless", "invalid"}
    assert set(phones) == {
        *("national", "international", "e164", "exit_code", "trunk_in_brackets", "hashed", "meaningless", "invalid"),
    }
    assert set(mobile_ids) == {"ios.idfa", "android.idfa", "ios.idfa nil", "android.idfa nil"}
    assert {person.true.country for person in population} == {country.code for country in COUNTRIES}
    assert any(re.search("[０-９]", entry.raw) for person in population for entry in person.phones)


def test_households_and_second_profiles_share_identifiers(population: Population) -> None:
    for person in population:
        first = population.by_id[person.human_id]
        assert [e.true for e in person.emails] == [e.true for e in first.emails]
    seconds = [person for person in population if person.human_id != person.person_id]
    holders = Counter(e.true for p in population for e in p.phones if p.human_id == p.person_id)
    assert len(seconds) == pytest.approx(COUNT / 32, rel=0.1)
    assert len({person.segment_id for person in population}) == COUNT
    assert sum(1 for count in holders.values() if count == 2) > COUNT / 50


@pytest.mark.parametrize(
    ("key", "share"), [("everyone", 1.0), ("cart_abandoners_7d", 0.4), ("vip_eu", 0.1), ("winter_sale_2025", 0.05)]
)
def test_audiences_have_about_their_share(population: Population, key: str, share: float) -> None:
    assert sum(1 for _ in population.members(key)) / COUNT == pytest.approx(share, abs=0.025)


def test_consent_suppression_and_missing_user_ids_have_about_their_share(population: Population) -> None:
    consent = Counter(person.consent for person in population)
    assert consent[None] / COUNT == pytest.approx(0.03, abs=0.01)
    assert consent[False] / COUNT == pytest.approx(0.12, abs=0.02)
    assert sum(person.user_id is None for person in population) / COUNT == pytest.approx(0.04, abs=0.01)
    assert sum(person.suppressed for person in population) / COUNT == pytest.approx(0.005, abs=0.003)


def test_the_suppression_list_names_exactly_the_suppressed(population: Population) -> None:
    listed = {address.lower() for address in population.suppressed}
    for person in population:
        recoverable = {entry.true for entry in person.emails if entry.recoverable}
        assert person.suppressed == bool(recoverable & listed)


def test_churn_reports_exactly_what_it_did(population: Population) -> None:
    happened = churn(population, 0.02, 7)
    after = happened.population
    summary = happened.summary()
    assert all(summary.values()), summary
    assert summary["merged"] == 1
    assert len(after) == COUNT + summary["created"] - summary["deleted"] - 1
    differing = {p.person_id for p in after if population.by_id.get(p.person_id) != p}
    assert differing == set(happened.changed)
    assert population.by_id.keys() - after.by_id.keys() == set(happened.gone)
    kept, gone = happened.merged[0]
    assert population.by_id[gone].segment_id in after.by_id[kept].merged_segment_ids
    assert churn(population, 0.02, 7).summary() == summary


def test_churned_phones_stay_valid(population: Population) -> None:
    changed = churn(population, 0.2, 3)
    moved: list[Person] = [changed.changed[key] for key in changed.changed_phone]
    assert all(phonenumbers.is_valid_number(phonenumbers.parse(person.phones[0].true)) for person in moved)


def test_a_national_number_of_merged_profiles_is_recoverable_beside_the_country_that_is_left() -> None:
    population = generate(2_000, 1)
    merged = []
    for seed in range(120):
        happened = churn(population, 0.002, seed)
        population = happened.population
        merged += [happened.changed[kept] for kept, _ in happened.merged]
    national = [
        (entry.recoverable, is_readable(person.traits.get("country")))
        for person in merged
        for entry in person.phones
        if entry.form == "national"
    ]
    assert {readable for _, readable in national} == {True, False}
    assert all(recoverable == readable for recoverable, readable in national)
