"""The people generator: a population of any size, the same for the same seed, clean first and dirtied afterwards."""

import unicodedata
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from msgspec import Struct
from msgspec.structs import replace

from sandbox import dirt
from sandbox.dice import Dice, weighted
from sandbox.people_data import BY_CODE, COUNTRIES, Country
from sandbox.person import Attributes, Entry, Person

__all__ = ["Attributes", "Entry", "Person", "Population", "generate", "make_person"]

_LIVE_IN = weighted(**{country.code: country.weight for country in COUNTRIES})
_HOSTS = weighted(**{"example.com": 30, "example.org": 15, "example.net": 15, "gmail.com": 30, "googlemail.com": 10})
_EMAIL_COUNT = weighted(**{"1": 74, "2": 14, "0": 8, "3": 4})
_PHONE_COUNT = weighted(**{"1": 70, "0": 20, "2": 10})
_MOBILE_ID_COUNT = weighted(**{"0": 60, "1": 30, "2": 10})
_CONSENT = weighted(true=85, false=12, absent=3)
_PLAIN_LETTERS = str.maketrans({"ß": "ss", "ł": "l", "Ł": "L", "ø": "o", "Ø": "O", "æ": "ae", "đ": "d"})
_UNUSED_SUBSCRIBERS = {"1": 2_000_000}
_BLOCK = 32


class _Human(Struct, frozen=True, gc=False):
    number: int
    emails: tuple[str, ...]
    phones: tuple[str, ...]
    mobile_ids: tuple[tuple[str, str], ...]
    attributes: Attributes
    opted_out: bool


@dataclass(frozen=True)
class Population:
    """The profiles of one CDP space; `next_number` is the number of the next person to be made."""

    people: list[Person]
    seed: int
    next_number: int
    by_id: dict[str, Person] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_id", {person.person_id: person for person in self.people})

    def __iter__(self) -> Iterator[Person]:
        return iter(self.people)

    def __len__(self) -> int:
        return len(self.people)

    def members(self, audience_key: str) -> Iterator[Person]:
        """The people who are in the audience now."""
        return (person for person in self.people if person.memberships.get(audience_key))

    @cached_property
    def suppressed(self) -> list[str]:
        """Raw e-mails, some in capitals, of the people who opted out: the advertiser's separate list."""
        true = sorted({entry.true for person in self.people if person.suppressed for entry in person.emails})
        return [address.upper() if number % 3 == 0 else address for number, address in enumerate(true)]


def generate(count: int, seed: int) -> Population:
    """A population of `count` profiles; person number i is the same whatever the count."""
    dice = Dice()
    return Population([make_person(dice, seed, number) for number in range(count)], seed, count)


def make_person(dice: Dice, seed: int, number: int) -> Person:
    """Profile `number` of the population with this seed; every 32nd is a second profile of an earlier human."""
    human = _human_of(dice, seed, number)
    duplicate = human.number != number
    dice.seed((seed << 34) + (1 << 33) + number)
    country = BY_CODE[human.attributes.country]
    country_text, readable = dirt.country(dice, country)
    keep = duplicate or human.opted_out
    emails = tuple(dirt.email(dice, true, keep) for true in human.emails)
    phones = tuple(dirt.phone(dice, true, country, readable) for true in human.phones)
    traits = _traits(dice, human.attributes, emails, phones, country_text)
    return Person(
        person_id=f"p-{number}",
        human_id=f"p-{human.number}",
        segment_id=_segment_id(dice),
        merged_segment_ids=(_segment_id(dice),) if dice.chance(0.02) else (),
        user_id=None if emails and dice.chance(0.04) else f"u-{100_000 + number}",
        anonymous_id=_uuid(dice),
        emails=emails,
        phones=phones,
        mobile_ids=tuple(dirt.mobile_id(dice, true, kind) for kind, true in human.mobile_ids),
        true=human.attributes,
        traits=traits,
        memberships=_memberships(dice, country),
        suppressed=human.opted_out,
    )


def _human_of(dice: Dice, seed: int, number: int) -> _Human:
    place = number % _BLOCK
    if place == _BLOCK - 1:
        return _human(dice, seed, number - 7)
    human = _human(dice, seed, number)
    if place in {5, 13}:
        return _in_household(human, _human(dice, seed, number - 1))
    return human


def _in_household(human: _Human, other: _Human) -> _Human:
    home = other.attributes
    attributes = replace(
        human.attributes, city=home.city, region=home.region, postal_code=home.postal_code, country=home.country
    )
    return replace(human, phones=other.phones, attributes=attributes)


def _human(dice: Dice, seed: int, number: int) -> _Human:
    dice.seed((seed << 34) + number)
    country = BY_CODE[dice.pick(_LIVE_IN)]
    attributes = _attributes(dice, country)
    emails = tuple(_email(dice, attributes, number, slot) for slot in range(int(dice.pick(_EMAIL_COUNT))))
    phones = tuple(_phone(dice, country, 2 * number + slot) for slot in range(int(dice.pick(_PHONE_COUNT))))
    mobile_ids = tuple(
        (dice.pick(("ios.idfa", "android.idfa")), _uuid(dice)) for _ in range(int(dice.pick(_MOBILE_ID_COUNT)))
    )
    return _Human(number, emails, phones, mobile_ids, attributes, bool(emails) and dice.chance(0.005))


def _attributes(dice: Dice, country: Country) -> Attributes:
    gender = dice.pick(("f", "m", "f", "m", "f", "m", ""))
    city, region = dice.pick(country.places)
    return Attributes(
        first_name=dice.pick(country.male if gender == "m" else country.female),
        last_name=dice.pick(country.last),
        city=city,
        region=region,
        postal_code=_postal_code(dice, country.postal),
        country=country.code,
        birth_date=f"{1940 + dice.below(68)}-{1 + dice.below(12):02d}-{1 + dice.below(28):02d}",
        gender=gender,
    )


def _postal_code(dice: Dice, pattern: str) -> str:
    digits = pattern.count("#")
    filled = pattern.replace("#", "%s") % tuple(f"{dice.below(10**digits):0{digits}d}")
    return filled.replace("@@", dice.pick(("AB", "XK", "TR"))).replace("@", dice.pick("ABEHKLR"))


def _email(dice: Dice, attributes: Attributes, number: int, slot: int) -> str:
    first, last = _ascii_letters(attributes.first_name), _ascii_letters(attributes.last_name)
    host = dice.pick(_HOSTS)
    tag = "+news" if host.endswith("mail.com") and dice.chance(0.2) else ""
    joint = dice.pick((".", "_", "", "."))
    return f"{first}{joint}{last}{number}{'abc'[slot]}{tag}@{host}"


@lru_cache(maxsize=4096)
def _ascii_letters(name: str) -> str:
    folded = unicodedata.normalize("NFKD", name.translate(_PLAIN_LETTERS)).encode("ascii", "ignore").decode()
    return "".join(filter(str.isalpha, folded)).lower() or "member"


def _phone(dice: Dice, country: Country, ordinal: int) -> str:
    lowest = _UNUSED_SUBSCRIBERS.get(country.calling, 0)
    size = 10_000_000 - lowest
    subscriber = lowest + (ordinal * 7_654_321 + 1_234_567) % size
    return f"+{country.calling}{dice.pick(country.mobile)}{subscriber:07d}"


def _segment_id(dice: Dice) -> str:
    return "use_" + b64encode(dice.randbytes(18), b"xX").decode()


def _uuid(dice: Dice) -> str:
    digits = f"{dice.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def _traits(
    dice: Dice, true: Attributes, emails: tuple[Entry, ...], phones: tuple[Entry, ...], country: str | None
) -> dict[str, str]:
    traits = dirt.traits(dice, true)
    consent = dice.pick(_CONSENT)
    if country is not None:
        traits["country"] = country
    if emails:
        traits["email"] = emails[0].raw
    if phones:
        traits["phone"] = phones[0].raw
    if consent != "absent":
        traits["consent_advertising"] = consent
    traits["plan"] = dice.pick(("free", "basic", "pro"))
    traits["lifetime_value"] = f"{dice.random() * 2000:.2f}"
    return traits


def _memberships(dice: Dice, country: Country) -> dict[str, bool]:
    flags = {"everyone": True}
    for key, share in (
        ("cart_abandoners_7d", 0.4),
        ("vip_eu", 0.17 if country.eu else 0.0),
        ("winter_sale_2025", 0.05),
    ):
        point = dice.random()
        if point < share:
            flags[key] = True
        elif point < share + (1 - share) / 2:
            flags[key] = False
    return flags
