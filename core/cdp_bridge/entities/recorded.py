"""What the bridge records: segments as they were seen, runs, whom platforms refused, who changed what."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from msgspec import Struct, field

RequestKind = Literal["scheduled", "manual", "retry"]


RequestState = Literal["queued", "running", "succeeded", "failed", "partial", "waiting", "cancelled"]


class CDPSegment(Struct, kw_only=True):
    """A segment as last seen in the CDP; `gone_since` is when the CDP was first seen to list it no more."""

    connection: str
    segment_id: str
    segment_name: str
    member_count: int | None = None
    last_sync: datetime | None = None
    sync_status: Literal["never", "running", "synced", "failed"] = "never"
    gone_since: datetime | None = None


class Funnel(Struct, kw_only=True):
    """How many people of the segment got how far, and why the others did not; every dropped person has exactly one
    reason.

    `sent` and later steps count members whose present state the platform has taken, in this run or an earlier one.
    `matched_lower` and `matched_upper` are the platform's own estimate of how many people it knows, if it was asked in
    this run and says a number.
    `platform_reasons` count whom the platform has refused since the last run without saying who it is.
    """

    in_segment: int = 0
    mapped: int = 0
    valid: int = 0
    consented: int = 0
    not_suppressed: int = 0
    identifiable: int = 0
    sent: int = 0
    accepted: int = 0
    matched_lower: int | None = None
    matched_upper: int | None = None
    dropped: dict[str, int] = field(default_factory=dict)
    fields_rejected: dict[str, int] = field(default_factory=dict)
    platform_reasons: dict[str, int] = field(default_factory=dict)


class MatchEstimate(Struct, frozen=True, kw_only=True):
    """A platform's own estimate of whom it knows in an audience, or in one upload to it, at one time.

    `members` is how many the audience (by our ledger) or the upload had. Of these the platform knows between
    `lower_people` and `upper_people`, a share (0 to 1) between `lower_rate` and `upper_rate`. Where a platform tells a
    number of people only, the share is that number of `members`; where it tells a share only, there is no number.
    """

    audience: str
    at: datetime
    source: Literal["audience", "upload"]
    members: int
    lower_people: int | None = None
    upper_people: int | None = None
    lower_rate: float | None = None
    upper_rate: float | None = None

    @classmethod
    def of(
        cls,
        audience: str,
        at: datetime,
        source: Literal["audience", "upload"],
        members: int,
        told: tuple[tuple[int, int] | None, tuple[float, float] | None],
    ) -> MatchEstimate | None:
        """What a platform has told, as (people, rate); None if it has told neither."""
        people, rate = told
        if people is None and rate is None:
            return None
        if rate is None and people is not None and members:
            rate = min(people[0] / members, 1.0), min(people[1] / members, 1.0)
        return cls(
            audience=audience,
            at=at,
            source=source,
            members=members,
            lower_people=people[0] if people else None,
            upper_people=people[1] if people else None,
            lower_rate=rate[0] if rate else None,
            upper_rate=rate[1] if rate else None,
        )


class SyncLog(Struct, kw_only=True):
    """The record of one run.

    `latency` is seconds from its start to its end. `match_rate` (0..1) is the acceptance rate: the accepted of those
    who may be sent (in the segment, valid, consented, not suppressed); what the platform makes of them is a
    `MatchEstimate`. `adds`, `changes` and `removes` count members, `membership_calls` requests.
    """

    run_id: str
    audience: str
    sync_timestamp: datetime
    status: Literal["running", "succeeded", "partial", "failed", "waiting"] = "running"
    records_processed: int = 0
    adds: int = 0
    changes: int = 0
    removes: int = 0
    membership_calls: int = 0
    rejected: int = 0
    unknown: int = 0
    errors: int = 0
    error: str = ""
    match_rate: float | None = None
    latency: float | None = None
    funnel: Funnel = field(default_factory=Funnel)


class RunRequest(Struct, frozen=True, kw_only=True):
    """That an audience is to be synced, and what came of it.

    `slot` is the moment of the timetable that asked for it; a retry has `retry_of` and is the `attempt`-th try. It may
    start from `not_before` on. `token` is that of the lease under which it was started last. A running request that is
    `cancelling` should stop. `run_id` names its SyncLog. `approve_removals` lets it remove more than the limit.
    `takeovers` counts the workers that died with it.
    """

    id: str
    audience: str
    kind: RequestKind
    state: RequestState = "queued"
    attempt: int = 1
    slot: datetime | None = None
    retry_of: str | None = None
    not_before: datetime | None = None
    requested_at: datetime
    requested_by: str
    started_at: datetime | None = None
    finished_at: datetime | None = None
    token: int | None = None
    run_id: str | None = None
    cancelling: bool = False
    approve_removals: bool = False
    takeovers: int = 0


class RunNote(Struct, frozen=True, kw_only=True):
    """One thing that a run says while it goes on: a line of its log, or (with `phase`) how far it is, in members."""

    number: int
    at: datetime
    level: Literal["progress", "info", "warning", "error"] = "info"
    text: str = ""
    phase: str | None = None
    done: int | None = None
    total: int | None = None


class Run(Struct, frozen=True, kw_only=True):
    """A run, queued, going on or over: what asked for it (None: a person at the command line) and its record.

    `at` is when it was asked for, or started where nothing asked for it.
    """

    id: str
    audience: str
    at: datetime
    state: RequestState
    request: RunRequest | None = None
    log: SyncLog | None = None


class FieldChange(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One field that changed, by its dotted path in the entry, with its value before and after.

    Connector settings are named without values. `through_api`: an applied file changed what the API had set.
    """

    field: str
    action: Literal["set", "changed", "removed"]
    old: Any = None
    new: Any = None
    through_api: bool = False


class AuditEntry(Struct, frozen=True, kw_only=True):
    """That somebody did something to an entry of the configuration, a run or an API key, and the fields that changed.

    `number` counts up. `who` is id and name of the API key, or `cli:` and the login name at the command line.
    """

    number: int
    at: datetime
    who: str
    action: str
    kind: str
    name: str
    changes: list[FieldChange] = field(default_factory=list)


class DeadLetter(Struct, kw_only=True):
    """A member that the platform refused, and why; tried again once its fingerprint changes."""

    audience: str
    member_key: bytes
    fingerprint: bytes
    operation: str
    reason: str
    run_id: str
    created_at: datetime


class SuppressionCount(Struct, frozen=True, kw_only=True):
    """How many hashed identifiers a list has; `source` is a file, or `api` for what came by request."""

    source: str
    count: int
