"""Who should be at the platform by the ground truth, and what of it the twin and the ledger hold."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import pytest
from cdp_bridge.store import Store
from cdp_bridge.sync.members import unpack
from sandbox.churn import churn
from sandbox.meta.directory import Directory
from sandbox.people import Person, Population, generate

STRONG = {"email": "EMAIL", "phone": "PHONE", "mobile_ad_id": "MADID"}
Identifiers = dict[str, list[str]]


class Truth:
    """The population behind both twins, kept up with the churns that the Segment twin is told of."""

    def __init__(self, people: int, seed: int = 1) -> None:
        self.population: Population = generate(people, seed)
        self.directory = Directory(self.population)

    def churn(self, town: Any, fraction: float, seed: int) -> None:
        """Let people join, leave, change and merge, at the twin and here."""
        town.ask(f"{town.twins.segment}/_twin/churn", {"fraction": fraction, "seed": seed})
        happened = churn(self.population, fraction, seed)
        self.directory.learn(happened.changed.values())
        self.population = happened.population
        town.suppress(self.population.suppressed)

    def eligible(self, segment: str) -> dict[str, Person]:
        """By segment id, whoever has consented and can be recognised."""
        return {
            person.segment_id: person
            for person in self.population.members(segment)
            if person.consent and not person.suppressed and person.identifiable_by
        }

    def differences(self, town: Any, segment: str) -> list[str]:
        """What CDP, ledger and platform disagree about, person by person and hash by hash; empty when all is well."""
        name = f"meta-{segment}"
        with town.store() as store:
            held, ref = ledger(store, name), store.audience_ref(name)
            found = [f"{len(store.deliveries(name))} deliveries are open"] if store.deliveries(name) else []
            doubtful = sum(not print_ for chunk in store.ledger.fingerprints(name) for _, print_ in chunk)
        assert ref is not None
        url = f"{town.twins.meta}/_twin/audiences/{ref.id}"
        rows, people = town.ask(f"{url}/rows"), set(town.ask(f"{url}/people"))
        accounts = {key: self._accounts(person) for key, person in self.eligible(segment).items()}
        known: set[str] = set().union(*accounts.values())
        by_ledger = {(column, value) for ids in held.values() for column, value in _strong(ids)}
        by_rows = {(column, row[key]) for row in rows for column, key in STRONG.items() if key in row}
        checks = {
            "people missing in the ledger": accounts.keys() - held.keys(),
            "people in the ledger who should not be": held.keys() - accounts.keys(),
            "people missing at the platform": {key for key, some in accounts.items() if not some & people},
            "people at the platform who should not be": people - known,
            "hashes of the ledger missing at the platform": by_ledger - by_rows,
            "hashes at the platform unknown to the ledger": by_rows - by_ledger,
        }
        found += [f"{len(some)} {what}" for what, some in checks.items() if some]
        return found + ([f"{doubtful} doubtful ledger rows"] if doubtful else [])

    def _accounts(self, person: Person) -> set[str]:
        columns = {
            "EMAIL": [_sha256(entry.true) for entry in person.emails if entry.recoverable],
            "PHONE": [_sha256(entry.true.lstrip("+")) for entry in person.phones if entry.recoverable],
            "MADID": [entry.true for entry in person.mobile_ids if entry.recoverable],
        }
        return {self.directory.ids[number] for number in self.directory.everyone(columns)}


def ledger(store: Store, name: str) -> dict[str, Identifiers]:
    """User id -> the identifiers that the ledger says were sent."""
    return {str(one.user_id): _plain(one.identifiers) for chunk in store.ledger.members(name) for one in chunk}


def rows_needed(before: dict[str, Identifiers], after: dict[str, Identifiers]) -> int:
    """How many rows lead from one ledger to the other: removals, additions, and those who share with the former."""
    leaving = {key for key, ids in before.items() if after.get(key) != ids}
    arriving = {key for key, ids in after.items() if before.get(key) != ids}
    torn = {value for key in leaving for value in _strong(before[key])}
    shared = {key for key, ids in after.items() if key not in arriving and torn & set(_strong(ids))}
    return rows(before[key] for key in leaving) + rows(after[key] for key in arriving | shared)


def rows(members: Iterable[Identifiers]) -> int:
    """How many rows members are sent as: one, and one more for every further value of a column."""
    return sum(max(map(len, ids.values())) for ids in members)


def _strong(ids: Identifiers) -> list[tuple[str, str]]:
    return [(column, value) for column in STRONG for value in ids.get(column, ())]


def _plain(packed: bytes) -> Identifiers:
    return {
        column: [value.hex() if isinstance(value, bytes) else value for value in values]
        for column, values in unpack(packed).items()
    }


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class Rows:
    """What the tests count in rows."""

    ledger = staticmethod(ledger)
    needed = staticmethod(rows_needed)
    of_delivery = staticmethod(lambda delivery: rows(_plain(packed) for *_, packed in delivery.members))


@pytest.fixture(scope="session")
def make_truth() -> type[Truth]:
    return Truth


@pytest.fixture(scope="session")
def count_rows() -> type[Rows]:
    return Rows
