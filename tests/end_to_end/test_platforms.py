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

from tests.recording_proxy import RecordingProxy
from tests.truth import PLATFORMS, Truth

PEOPLE, SEGMENT = 400, "everyone"
HALF_AN_HOUR, MAX_RUNS = 1_800, 6


class PlatformSandbox:
    """Three platforms behind recording proxies, and the output of the bridge."""

    def __init__(self, harness: Any, proxies: dict[str, RecordingProxy]) -> None:
        self.harness, self.proxies = harness, proxies
        self.truth = Truth(PEOPLE)
        self.twins = {name: Controlled(getattr(harness.twins, name)) for name in PLATFORMS}
        self.output: list[str] = []
        self.people: dict[str, Person] = {}
        """Everybody who ever was, as they were last."""

    def sync(self) -> None:
        """What a schedule does: run each half an hour, here until there is nothing left to do."""
        self.people |= {person.person_id: person for person in self.truth.population}
        for _ in range(MAX_RUNS):
            ended = self.harness.bridge("--debug", "sync", "--all", "--json")
            self.output += [ended.out, ended.err]
            assert ended.code == 0, ended.err
            if all(log["status"] == "succeeded" and not log["membership_calls"] for log in ended.json):
                return
            for twin in self.twins.values():
                twin.advance(HALF_AN_HOUR)
        raise AssertionError(f"{MAX_RUNS} runs were not enough: {ended.out}")

    def assert_equal(self) -> None:
        for platform in PLATFORMS:
            assert (platform, self.truth.differences(self.harness, SEGMENT, platform)) == (platform, [])

    def held(self, platform: str) -> set[str]:
        """The hashes that a platform holds."""
        with self.harness.store() as store:
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
def platforms(bridge_sandbox: Any) -> Iterator[PlatformSandbox]:
    """One segment at three platforms: created, and changed twice."""
    with bridge_sandbox(PEOPLE, SEGMENT, platforms=PLATFORMS) as harness, ExitStack() as stack:
        platforms = PlatformSandbox(harness, {name: stack.enter_context(harness.record(name)) for name in PLATFORMS})
        platforms.sync()
        yield platforms
        for twin in platforms.twins.values():
            twin.close()


def test_all_are_filled(platforms: PlatformSandbox) -> None:
    platforms.assert_equal()


def test_all_follow_their_segment(platforms: PlatformSandbox) -> None:
    for seed in (1, 2):
        platforms.truth.churn(platforms.harness, 0.2, seed=seed)
        platforms.sync()
        platforms.assert_equal()


def test_whoever_is_to_be_forgotten_leaves_all_three(platforms: PlatformSandbox) -> None:
    somebody = next(
        person
        for person in platforms.truth.eligible(SEGMENT).values()
        if len(person.emails) > 1 and person.phones and all(entry.recoverable for entry in person.emails)
    )
    values = {
        platform: {value for _, value in known.identifiers(somebody) if platforms.truth.is_of_one(platform, value)}
        for platform, known in PLATFORMS.items()
    }
    assert all(values[platform] and values[platform] <= platforms.held(platform) for platform in PLATFORMS)
    before = {platform: platforms.held(platform) for platform in PLATFORMS}
    platforms.harness.suppress([*platforms.truth.population.suppressed, somebody.emails[-1].true])
    platforms.sync()
    for platform in PLATFORMS:
        assert before[platform] - platforms.held(platform) == values[platform]


def test_nobody_is_named(platforms: PlatformSandbox) -> None:
    """Neither in what a platform was sent, nor in what the bridge has said."""
    sent = [
        text.lower()
        for proxy in platforms.proxies.values()
        for one in proxy.exchanges
        for text in (one.request.path, *one.request.headers.values(), one.request.body.decode())
    ]
    assert all(any(one.request.body for one in proxy.exchanges) for proxy in platforms.proxies.values())
    words = sorted({word for word in platforms.clear() if len(word) > 3})
    assert len(words) > PEOPLE
    named = re.compile(r"(?<![0-9a-z])(?:" + "|".join(map(re.escape, words)) + r")(?![0-9a-z])")
    assert named.search(f'"{words[0]}"')
    found = {match[0] for text in [*sent, *map(str.lower, platforms.output)] for match in named.finditer(text)}
    assert found == set()
