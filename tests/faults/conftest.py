"""Who should be at the platform by the ground truth, and what of it the twin and the ledger hold."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from cdp_bridge.store import Store
from cdp_bridge.sync.members import unpack
from sandbox.churn import churn
from sandbox.meta.directory import Directory
from sandbox.people import Entry, Person, Population, generate

STRONG = {"email": "EMAIL", "phone": "PHONE", "mobile_ad_id": "MADID"}
Identifiers = dict[str, list[str]]


class Truth:
    """The population behind both twins, kept up with the churns that the Segment twin is told of."""

    def __init__(self, people: int, seed: int = 1) -> None:
        self.population: Population = generate(people, seed)
        self.directory = Directory(self.population)
        self._claims: dict[str, set[str]] = {}
        self._claim()

    def churn(self, town: Any, fraction: float, seed: int) -> None:
        """Let people join, leave, change and merge, at the twin and here."""
        town.ask(f"{town.twins.segment}/_twin/churn", {"fraction": fraction, "seed": seed})
        happened = churn(self.population, fraction, seed)
        self.directory.learn(happened.changed.values())
        self.population = happened.population
        self._claim()
        town.suppress(self.population.suppressed)

    def eligible(self, segment: str) -> dict[str, Person]:
        """By segment id, whoever has consented and can be recognised."""
        return {
            person.segment_id: person
            for person in self.population.members(segment)
            if person.consent and not person.suppressed and person.identifiable_by
        }

    def _claim(self) -> None:
        """Note every profile whose identifiers belong to a platform's account, now or at any time before."""
        for person in self.population:
            for account in self._accounts(person, everything=True):
                self._claims.setdefault(account, set()).add(person.person_id)

    def _is_entangled(self, person: Person) -> bool:
        """Whether somebody else's removal may take this one along without any identifier that both were sent with.

        The platform knows that two profiles are one human; the CDP that lists them apart does not tell.
        """
        return any(len(self._claims[account]) > 1 for account in self._accounts(person, everything=True))

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
        eligible = self.eligible(segment)
        accounts = {key: self._accounts(person) for key, person in eligible.items()}
        apart = {key for key, person in eligible.items() if not self._is_entangled(person)}
        known: set[str] = set().union(*accounts.values())
        assert len(apart) > len(eligible) / 2, "too few people to compare"
        by_ledger = {(column, value) for ids in held.values() for column, value in _strong(ids)}
        by_apart = {pair for key in apart & held.keys() for pair in _strong(held[key])}
        by_rows = {(column, row[key]) for row in rows for column, key in STRONG.items() if key in row}
        checks = {
            "people missing in the ledger": accounts.keys() - held.keys(),
            "people in the ledger who should not be": held.keys() - accounts.keys(),
            "people missing at the platform": {key for key in apart if not accounts[key] & people},
            "people at the platform who should not be": people - known,
            "hashes of the ledger missing at the platform": by_apart - by_rows,
            "hashes at the platform unknown to the ledger": by_rows - by_ledger,
        }
        found += [f"{len(some)} {what}" for what, some in checks.items() if some]
        return found + ([f"{doubtful} doubtful ledger rows"] if doubtful else [])

    def _accounts(self, person: Person, *, everything: bool = False) -> set[str]:
        """The platform's accounts by the identifiers that can be recovered, or by all that are true."""

        def true(entries: Iterable[Entry]) -> list[str]:
            return [entry.true for entry in entries if entry.recoverable or everything]

        columns = {
            "EMAIL": list(map(_sha256, true(person.emails))),
            "PHONE": [_sha256(phone.lstrip("+")) for phone in true(person.phones)],
            "MADID": true(person.mobile_ids),
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


LONG = """\
    - {omniads_field: external_id, cdp_field: canonical_segment_id, transformation_rule: "rpad(value, 4000, '.')",
       policy: clear}
suppressions:"""


@contextmanager
def found(found_town: Any, people: int, *segments: str) -> Iterator[Any]:
    """A town whose members have an external id of 4,000 characters, so that about a hundred of them fill a batch."""
    with found_town(people, *segments) as town:
        town.write((town.folder / "bridge.yaml").read_text().replace("suppressions:", LONG))
        applied = town.bridge("apply", "-f", "bridge.yaml", "--yes")
        assert applied.code == 0, applied.err
        yield town


@pytest.fixture(scope="session")
def found_town_of_small_batches(found_town: Any) -> Any:
    return partial(found, found_town)


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
