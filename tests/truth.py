"""The ground truth of who should be at each platform, and comparisons with twin and ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cdp_bridge.staging.packing import unpack
from cdp_bridge.store import Store
from sandbox.churn import churn
from sandbox.directory import sha256
from sandbox.google.directory import normal_email
from sandbox.people import Entry, Person, Population, generate
from sandbox.tiktok.directory import audience_email

Identifiers = dict[str, list[str]]
Pair = tuple[str, str]
"""A column of a profile and a value as it is sent."""


@dataclass(frozen=True)
class Platform:
    """How a platform knows people.

    `forms` make of what is true what the platform is sent, by column of its profile; `kinds` are the columns of what
    its twin holds. One that `joins_profiles` takes with a profile the others of the same human; one that `joins_words`
    wants addresses without any blanks, so that more of them can be recovered.
    """

    forms: Mapping[str, Callable[[str], str]]
    kinds: Mapping[str, str]
    joins_profiles: bool = False
    joins_words: bool = False

    def identifiers(self, person: Person, *, everything: bool = False) -> set[Pair]:
        """What can be recovered of a person, or all that is true; what the CDP has hashed is sent as it is."""
        entries = {"email": person.emails, "phone": person.phones, "mobile_ad_id": person.mobile_ids}
        return {
            (column, entry.raw.lower() if entry.form == "hashed" and not everything else form(entry.true))
            for column, form in self.forms.items()
            for entry in entries[column]
            if everything or self._can_recover(entry)
        }

    def _can_recover(self, entry: Entry) -> bool:
        return entry.recoverable or (self.joins_words and "".join(entry.raw.lower().split()) == entry.true)

    def pairs(self, row: Mapping[str, Any]) -> Iterator[Pair]:
        """What a row of the twin holds; one of Google's has lists."""
        for kind, column in self.kinds.items():
            values = row.get(kind, [])
            yield from ((column, value) for value in ([values] if isinstance(values, str) else values))


PLATFORMS = {
    "meta": Platform(
        {"email": sha256, "phone": lambda phone: sha256(phone.lstrip("+")), "mobile_ad_id": str},
        {"EMAIL": "email", "PHONE": "phone", "MADID": "mobile_ad_id"},
        joins_profiles=True,
    ),
    "google": Platform(
        {"email": lambda email: sha256(normal_email(email)), "phone": sha256},
        {"email": "email", "phone": "phone"},
        joins_words=True,
    ),
    "tiktok": Platform(
        {"email": lambda email: sha256(audience_email(email)), "phone": sha256, "mobile_ad_id": sha256},
        {"EMAIL_SHA256": "email", "PHONE_SHA256": "phone"}
        | dict.fromkeys(["IDFA_SHA256", "AAID_SHA256", "MAID"], "mobile_ad_id"),
    ),
}


class Truth:
    """The population behind all twins, kept up with the churns that the Segment twin is told of."""

    def __init__(self, people: int, seed: int = 1) -> None:
        self.population: Population = generate(people, seed)
        self._owners: dict[str, dict[str, str]] = {name: {} for name in PLATFORMS}
        self._claims: dict[str, dict[str, set[str]]] = {name: {} for name in PLATFORMS}
        self._learn(self.population)

    def churn(self, harness: Any, fraction: float, seed: int) -> None:
        """Let people join, leave, change and merge, at the twin and here."""
        harness.ask(f"{harness.twins.segment}/_twin/churn", {"fraction": fraction, "seed": seed})
        happened = churn(self.population, fraction, seed)
        self.population = happened.population
        self._learn(happened.changed.values())
        harness.suppress(self.population.suppressed)

    def eligible(self, segment: str, platform: str = "meta") -> dict[str, Person]:
        """By segment id, whoever has consented and can be recognised."""
        return {
            person.segment_id: person
            for person in self.population.members(segment)
            if person.consent and not person.suppressed and PLATFORMS[platform].identifiers(person)
        }

    def member(self, platform: str, person: Person) -> frozenset[str]:
        """What somebody is sent with."""
        return frozenset(value for _, value in PLATFORMS[platform].identifiers(person))

    def is_of_one(self, platform: str, value: str) -> bool:
        """Whether an identifier has always been of one profile, and its account too."""
        return len(self._claims[platform].get(self._owners[platform].get(value, ""), ())) == 1

    def differences(self, harness: Any, segment: str, platform: str = "meta") -> list[str]:
        """What CDP, ledger and platform disagree about, person by person and hash by hash; empty when all is well."""
        name, twin = f"{platform}-{segment}", PLATFORMS[platform]
        with harness.store() as store:
            held, ref = ledger(store, name), store.audience_ref(name)
            found = [f"{len(store.deliveries(name))} deliveries are open"] if store.deliveries(name) else []
            doubtful = sum(not print_ for chunk in store.ledger.fingerprints(name) for _, print_ in chunk)
        assert ref is not None
        url = f"{getattr(harness.twins, platform)}/_twin/audiences/{ref.id}"
        rows, people = harness.ask(f"{url}/rows"), set(harness.ask(f"{url}/people"))
        eligible = self.eligible(segment, platform)
        accounts = {key: self._accounts(platform, person) for key, person in eligible.items()}
        apart = {key for key, person in eligible.items() if not self._is_entangled(platform, person)}
        known = {person.human_id for person in eligible.values()}.union(*accounts.values())
        assert len(apart) > len(eligible) / 2, "too few people to compare"
        by_ledger = {pair for ids in held.values() for pair in strong(ids)}
        by_apart = {pair for key in apart & held.keys() for pair in strong(held[key])}
        by_rows = {pair for row in rows for pair in twin.pairs(row)}
        both = eligible.keys() & held.keys()
        checks = {
            "people missing in the ledger": eligible.keys() - held.keys(),
            "people in the ledger who should not be": held.keys() - eligible.keys(),
            "people in the ledger as they are not": {
                key for key in both if set(strong(held[key])) != twin.identifiers(eligible[key])
            },
            "people missing at the platform": {key for key in apart if accounts[key] and not accounts[key] & people},
            "people at the platform who should not be": people - known,
            "hashes of the ledger missing at the platform": (by_apart if twin.joins_profiles else by_ledger) - by_rows,
            "hashes at the platform unknown to the ledger": by_rows - by_ledger,
        }
        found += [f"{len(some)} {what}" for what, some in checks.items() if some]
        return found + ([f"{doubtful} doubtful ledger rows"] if doubtful else [])

    def _learn(self, people: Iterable[Person]) -> None:
        """Note whose each identifier is (of several people the first one's), and who claims each of these accounts."""
        known = list(people)
        for platform, owners in self._owners.items():
            for person in known:
                for _, value in PLATFORMS[platform].identifiers(person, everything=True):
                    account = owners.setdefault(value, person.human_id)
                    self._claims[platform].setdefault(account, set()).add(person.person_id)

    def _is_entangled(self, platform: str, person: Person) -> bool:
        """Whether somebody else means the same account, now or at any time before.

        The platform knows that two profiles are one human, or whose phone it is that they share; the CDP that lists
        them apart does not tell.
        """
        pairs = PLATFORMS[platform].identifiers(person, everything=True)
        return not all(self.is_of_one(platform, value) for _, value in pairs)

    def _accounts(self, platform: str, person: Person) -> set[str]:
        """The platform's accounts by the identifiers that can be recovered."""
        owners = self._owners[platform]
        return {owners[value] for _, value in PLATFORMS[platform].identifiers(person) if value in owners}


def ledger(store: Store, name: str) -> dict[str, Identifiers]:
    """User id -> the identifiers that the ledger says were sent."""
    return {str(one.user_id): plain(one.identifiers) for chunk in store.ledger.members(name) for one in chunk}


def plain(packed: bytes) -> Identifiers:
    """The packed identifiers of a member as text."""
    return {
        column: [value.hex() if isinstance(value, bytes) else value for value in values]
        for column, values in unpack(packed).items()
    }


def rows(members: Iterable[Identifiers]) -> int:
    """How many rows members are sent as: one, and one more for every further value of a column."""
    return sum(max(map(len, ids.values())) for ids in members)


def rows_of(delivery: Any) -> int:
    """How many rows the members of a delivery are sent as."""
    return rows(plain(packed) for *_, packed in delivery.members)


def rows_needed(before: dict[str, Identifiers], after: dict[str, Identifiers]) -> int:
    """How many rows lead from one ledger to the other: removals, additions, and those who share with the former."""
    leaving = {key for key, ids in before.items() if after.get(key) != ids}
    arriving = {key for key, ids in after.items() if before.get(key) != ids}
    torn = {value for key in leaving for value in strong(before[key])}
    shared = {key for key, ids in after.items() if key not in arriving and torn & set(strong(ids))}
    return rows(before[key] for key in leaving) + rows(after[key] for key in arriving | shared)


def strong(ids: Identifiers) -> list[Pair]:
    """What identifies a member by itself."""
    return [(column, value) for column in ("email", "phone", "mobile_ad_id") for value in ids.get(column, ())]
