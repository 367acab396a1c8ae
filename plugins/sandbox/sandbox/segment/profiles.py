"""The profiles of the space as the Profile API sees them: generated people plus what tracking calls added."""

from collections.abc import Iterator
from typing import Any

from msgspec import Struct, field

from sandbox.people import Population
from sandbox.person import Person
from sandbox.segment.catalog import COMPUTED_TRAITS


class Profile(Struct):
    """One profile: a person of the population (None for one that tracking created) and what tracking calls added."""

    segment_id: str
    person: Person | None = None
    added_ids: list[tuple[str, str]] = field(default_factory=list)
    added_traits: dict[str, Any] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)

    def external_ids(self) -> list[tuple[str, str]]:
        """Type and value of each identifier."""
        return [*(self.person.identifiers() if self.person else ()), *self.added_ids]

    def traits(self, kind: str | None = None) -> dict[str, Any]:
        """The traits of class `audience` or `computed_trait`, or all of them, audience flags last."""
        custom = {**(self.person.traits if self.person else {}), **self.added_traits}
        flags: dict[str, Any] = dict(self.person.memberships) if self.person else {}
        if kind == "audience":
            return flags
        if kind == "computed_trait":
            return {key: value for key, value in custom.items() if key in COMPUTED_TRAITS}
        return custom | flags


class Profiles:
    """Finds profiles by identifier; values are matched in lower case, as Segment stores them (segment.md section 3)."""

    def __init__(self, population: Population):
        self._touched: dict[str, Profile] = {}
        self._created: dict[tuple[str, str], str] = {}
        self.renew(population)

    def renew(self, population: Population) -> None:
        """Take over a changed population; what tracking added to profiles that are still there stays."""
        self._people = {person.segment_id: person for person in population}
        self._index: dict[tuple[str, str], str] | None = None
        for segment_id, profile in list(self._touched.items()):
            if profile.person is not None:
                profile.person = self._people.get(segment_id)
                if profile.person is None:
                    del self._touched[segment_id]

    def find(self, kind: str, value: str) -> Profile | None:
        """The profile with this identifier, or None; `segment_id` alone is matched with its capitals."""
        if kind == "segment_id":
            return self._profile(value)
        key = (kind, value.lower())
        segment_id = self._by_identifier().get(key) or self._created.get(key)
        return self._profile(segment_id) if segment_id else None

    def segment_ids(self) -> Iterator[str]:
        """The ids of all profiles."""
        yield from self._people
        yield from (key for key in self._touched if key not in self._people)

    def of_message(self, message: dict[str, Any]) -> Profile:
        """The profile a tracking message belongs to, created when nobody has its identifiers."""
        ids = [("user_id", message.get("userId")), ("anonymous_id", message.get("anonymousId"))]
        known = [(kind, str(value)) for kind, value in ids if value]
        found = next(filter(None, (self.find(kind, value) for kind, value in known)), None)
        profile = found or Profile(f"use_t{len(self._touched)}x{len(self._created)}")
        self._touched[profile.segment_id] = profile
        for kind, value in known:
            self._add(profile, kind, value)
        return profile

    def _add(self, profile: Profile, kind: str, value: str) -> None:
        if self.find(kind, value) is None:
            self._created[kind, value.lower()] = profile.segment_id
            profile.added_ids.append((kind, value))

    def _profile(self, segment_id: str) -> Profile | None:
        if segment_id in self._touched:
            return self._touched[segment_id]
        person = self._people.get(segment_id)
        return Profile(segment_id, person) if person else None

    def _by_identifier(self) -> dict[tuple[str, str], str]:
        if self._index is None:
            people = reversed(self._people.values())
            self._index = {(kind, value.lower()): p.segment_id for p in people for kind, value in p.identifiers()}
        return self._index
