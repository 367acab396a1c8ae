"""One segment at three platforms, through its creation, changes, and somebody's wish to be forgotten: each has exactly
the people it should have, and nothing that says in clear who they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from sandbox.people import Person
from sandbox.trial import Controlled

from tests.ear import Ear
from tests.truth import PLATFORMS, Truth

PEOPLE, SEGMENT = 400, "everyone"
HALF_AN_HOUR, MOST_RUNS = 1_800, 6


class Street:
    """Three platforms overheard, and everything that the bridge has said."""

    def __init__(self, town: Any, ears: dict[str, Ear]) -> None:
        self.town, self.ears = town, ears
        self.truth = Truth(PEOPLE)
        self.twins = {name: Controlled(getattr(town.twins, name)) for name in PLATFORMS}
        self.said: list[str] = []
        self.people: dict[str, Person] = {}
        """Everybody who ever was, as they were last."""

    def sync(self) -> None:
        """What a schedule does: run each half an hour, here until there is nothing left to do."""
        self.people |= {person.person_id: person for person in self.truth.population}
        for _ in range(MOST_RUNS):
            ended = self.town.bridge("--debug", "sync", "--all", "--json")
            self.said += [ended.out, ended.err]
            assert ended.code == 0, ended.err
            if all(log["status"] == "succeeded" and not log["membership_calls"] for log in ended.json):
                return
            for twin in self.twins.values():
                twin.advance(HALF_AN_HOUR)
        raise AssertionError(f"{MOST_RUNS} runs were not enough: {ended.out}")

    def assert_equal(self) -> None:
        for platform in PLATFORMS:
            assert (platform, self.truth.differences(self.town, SEGMENT, platform)) == (platform, [])

    def held(self, platform: str) -> set[str]:
        """The hashes that a platform holds."""
        with self.town.store() as store:
            ref = store.audience_ref(f"{platform}-{SEGMENT}")
        rows = self.twins[platform].rows(ref.id)
        return {value for row in rows for _, value in PLATFORMS[platform].pairs(row)}

    def clear(self) -> Iterator[str]:
        """What says in clear who somebody is, in small letters."""
        for person in self.people.values():
            for entry in (*person.emails, *person.phones):
                yield entry.true.lstrip("+")
                if entry.form not in ("hashed", "meaningless"):
                    yield entry.raw.strip().lower()
            yield from (person.true.first_name.lower(), person.true.last_name.lower())


@pytest.fixture(scope="module")
def street(found_town: Any) -> Iterator[Street]:
    """One segment at three platforms: created, and changed twice."""
    with found_town(PEOPLE, SEGMENT, platforms=PLATFORMS) as town, ExitStack() as stack:
        street = Street(town, {name: stack.enter_context(town.overhear(name)) for name in PLATFORMS})
        street.sync()
        yield street
        for twin in street.twins.values():
            twin.close()


def test_all_are_filled(street: Street) -> None:
    street.assert_equal()


def test_all_follow_their_segment(street: Street) -> None:
    for seed in (1, 2):
        street.truth.churn(street.town, 0.2, seed=seed)
        street.sync()
        street.assert_equal()


def test_whoever_is_to_be_forgotten_leaves_all_three(street: Street) -> None:
    somebody = next(
        person
        for person in street.truth.eligible(SEGMENT).values()
        if len(person.emails) > 1 and person.phones and all(entry.recoverable for entry in person.emails)
    )
    values = {
        platform: {value for _, value in known.identifiers(somebody) if street.truth.is_of_one(platform, value)}
        for platform, known in PLATFORMS.items()
    }
    assert all(values[platform] and values[platform] <= street.held(platform) for platform in PLATFORMS)
    before = {platform: street.held(platform) for platform in PLATFORMS}
    street.town.suppress([*street.truth.population.suppressed, somebody.emails[-1].true])
    street.sync()
    for platform in PLATFORMS:
        assert before[platform] - street.held(platform) == values[platform]


def test_nobody_is_named(street: Street) -> None:
    """Neither in what a platform was sent, nor in what the bridge has said."""
    sent = [
        text.lower()
        for ear in street.ears.values()
        for one in ear.heard
        for text in (one.request.path, *one.request.headers.values(), one.request.body.decode())
    ]
    assert all(any(one.request.body for one in ear.heard) for ear in street.ears.values())
    words = sorted({word for word in street.clear() if len(word) > 3})
    assert len(words) > PEOPLE
    named = re.compile(r"(?<![0-9a-z])(?:" + "|".join(map(re.escape, words)) + r")(?![0-9a-z])")
    assert named.search(f'"{words[0]}"')
    found = {match[0] for text in [*sent, *map(str.lower, street.said)] for match in named.finditer(text)}
    assert found == set()
