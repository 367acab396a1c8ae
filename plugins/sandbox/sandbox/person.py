"""The types of generated people: the truth about a person, and what the CDP holds."""

from collections.abc import Iterator

from msgspec import Struct


class Entry(Struct, frozen=True, gc=False):
    """One e-mail, phone or mobile ad id.

    `true` is the canonical value by Meta's rules (e-mail trimmed and lower-case, phone in E.164 with its plus sign,
    ad id lower-case); `raw` is what the CDP holds in its place; `form` names how `raw` was made (`mixed_case`,
    `national`, `hashed` ...); `recoverable` says whether correct rules get from `raw`, and the person's country, back
    to `true`.
    """

    raw: str
    true: str
    form: str
    recoverable: bool


class Attributes(Struct, frozen=True, gc=False):
    """What is true of a person beside their identifiers.

    Country is ISO alpha-2, birth date `YYYY-MM-DD`, gender `f`, `m` or empty.
    """

    first_name: str
    last_name: str
    city: str
    region: str
    postal_code: str
    country: str
    birth_date: str
    gender: str


class Person(Struct, frozen=True, gc=False):
    """One profile of the CDP.

    `person_id` is unique to the profile, `human_id` is the `person_id` of the first profile of the same human being.
    `traits` are the dirty custom traits (a missing key is a trait never set); `memberships` maps an audience key to its
    flag (missing: never computed). The form of a mobile ad id starts with its identifier type, `ios.idfa` or
    `android.idfa`.
    """

    person_id: str
    human_id: str
    segment_id: str
    merged_segment_ids: tuple[str, ...]
    user_id: str | None
    anonymous_id: str
    emails: tuple[Entry, ...]
    phones: tuple[Entry, ...]
    mobile_ids: tuple[Entry, ...]
    true: Attributes
    traits: dict[str, str]
    memberships: dict[str, bool]
    suppressed: bool

    @property
    def audiences(self) -> tuple[str, ...]:
        """The keys of the audiences that the person is in now."""
        return tuple(key for key, member in self.memberships.items() if member)

    @property
    def consent(self) -> bool | None:
        """Consent to advertising; None when it was never recorded."""
        given = self.traits.get("consent_advertising")
        return None if given is None else given == "true"

    @property
    def identifiable_by(self) -> frozenset[str]:
        """Which of `email`, `phone` and `mobile_id` survive in the CDP in a recoverable form."""
        kinds = (("email", self.emails), ("phone", self.phones), ("mobile_id", self.mobile_ids))
        return frozenset(kind for kind, entries in kinds if any(entry.recoverable for entry in entries))

    def identifiers(self) -> Iterator[tuple[str, str]]:
        """Type and raw value of every identifier, with Segment's names of the types."""
        yield "anonymous_id", self.anonymous_id
        if self.user_id is not None:
            yield "user_id", self.user_id
        for entry in self.emails:
            yield "email", entry.raw
        for entry in self.phones:
            yield "phone", entry.raw
        for entry in self.mobile_ids:
            yield entry.form.partition(" ")[0], entry.raw
