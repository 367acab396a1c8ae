"""What the bridge is configured with and what it records: one type each from `bridge.yaml` to store to API."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

Policy = Literal["hash", "clear", "never"]
OnInvalid = Literal["drop-field", "drop-record", "fail"]
Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$", description="Lower-case letters, digits, - and _")]

Interval = Annotated[
    str, Meta(pattern=r"^[1-9][0-9]{0,4}[smhdw]$", description="A number and s, m, h, d or w: 30s, 15m, 6h, 1d, 2w")
]
RequestKind = Literal["scheduled", "manual", "retry"]
Role = Literal["viewer", "operator", "admin"]
RequestState = Literal["queued", "running", "succeeded", "failed", "partial", "waiting", "cancelled"]


class DataMapping(Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How one OmniAds field is filled from a CDP record.

    The value comes from `cdp_field` (a dotted path; a list gives several values) or is `constant`; `default` stands in
    for a missing one. `transformation_rule` is a SQL scalar expression in which `value` is the mapped field and other
    record fields go by their paths. `validation` holds JSON Schema keywords for each value; `on_invalid` says what a
    breach costs. `policy` narrows how the value may leave: `never` keeps it here, `hash` lets it out only hashed,
    `clear` also in clear where the profile sends it in clear.
    """

    omniads_field: str
    cdp_field: str | None = None
    constant: str | None = None
    default: str | None = None
    transformation_rule: str | None = None
    validation: dict[str, Any] = field(default_factory=dict)
    on_invalid: OnInvalid = "drop-field"
    policy: Policy = "hash"


class CDPConnection(Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A configured CDP account; `cdp_provider` is the source connector's name, `api_credentials` its settings with
    secrets as references.

    `sync_schedule` says when audiences are synced that do not say so themselves: `hourly`, `daily`, `weekly`,
    `monthly`, an interval such as `15m`, or a cron line, all in UTC.
    """

    name: Name
    cdp_provider: str
    api_credentials: dict[str, Any] = field(default_factory=dict)
    sync_schedule: str = "hourly"
    connection_status: Literal["unchecked", "connected", "failed"] = "unchecked"


class DestinationAccount(Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A configured account of an ad platform; `settings` hold secrets as references."""

    name: Name
    connector: str
    settings: dict[str, Any] = field(default_factory=dict)


class Consent(Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """When a person's consent covers an activation: the record's `cdp_field` holds one of `granted`.

    `missing` says what an absent value means; only a platform or a country without a consent duty may say `granted`.
    """

    purpose: Name
    cdp_field: str
    granted: tuple[str, ...] = ("true", "1", "yes", "granted")
    missing: Literal["denied", "granted"] = "denied"


class Retry(Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What follows a failed run: up to `attempts` runs in all, the second after `wait`, each later one after twice the
    wait before.
    """

    attempts: Annotated[int, Meta(ge=1, le=10)] = 3
    wait: Interval = "1m"


class Schedule(Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """When an audience is synced: by a `cron` line of five fields in `time_zone`, `every` so often, or `after` each of
    other audiences has had a newer successful run; by the connection's `sync_schedule` where none of them is given.

    `jitter` is the longest delay of a slot, by chance but always the same. Of slots that passed while nothing was
    scheduled, `catch_up` starts none, the newest, or all. `paused` ones are started by hand only.
    """

    cron: str | None = None
    every: Interval | None = None
    after: tuple[Name, ...] = ()
    time_zone: str = "UTC"
    jitter: Interval | None = None
    catch_up: Literal["skip", "once", "all"] = "once"
    retry: Retry = field(default_factory=Retry)
    paused: bool = False


class Sync(Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What flows from a stream of a connection to a destination, by a named list of mappings.

    `stream` may be left out where the source has only one of the kind. `consent` must all hold. An `incremental` one
    reads what has changed only. Without `schedule`, the connection's `sync_schedule` counts.
    """

    name: Name
    connection: str
    destination: str
    mapping: str
    stream: str | None = None
    consent: tuple[Consent, ...] = ()
    incremental: bool = False
    schedule: Schedule | None = None


class Activation(Sync, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One segment of a connection, kept equal to one audience of a destination.

    A run that would remove more than `removal_limit` (a share of the audience) waits for approval.
    """

    segment: str
    audience_name: str | None = None
    removal_limit: Annotated[float, Meta(ge=0, le=1)] = 0.3


class ConversionFeed(Sync, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The conversions in one stream of a connection, each told to a destination once."""


class Bridge(Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Everything that `bridge.yaml` says; `mappings` are named lists, `suppressions` files with one e-mail, phone or
    hash a line. No two of `audiences` and `conversions` have the same name.
    """

    connections: tuple[CDPConnection, ...] = ()
    destinations: tuple[DestinationAccount, ...] = ()
    mappings: dict[str, tuple[DataMapping, ...]] = field(default_factory=dict)
    audiences: tuple[Activation, ...] = ()
    conversions: tuple[ConversionFeed, ...] = ()
    suppressions: tuple[str, ...] = ()

    @property
    def syncs(self) -> tuple[Sync, ...]:
        """Everything that runs."""
        return (*self.audiences, *self.conversions)


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
    `matched_lower` and `matched_upper` are the platform's own estimate of the audience, if it was asked in this run.
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


class SyncLog(Struct, kw_only=True):
    """The record of one run.

    `latency` is seconds from its start to its end, `match_rate` (0..1) the accepted of those who may be sent (in the
    segment, valid, consented, not suppressed). `adds`, `changes` and `removes` count members, `membership_calls`
    requests.
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


class ApiKey(Struct, frozen=True, kw_only=True):
    """Who may use the API, and for what; the key itself is shown once and not kept.

    A `viewer` reads, an `operator` also activates audiences and steers runs, an `admin` also changes accounts. Whoever
    `sees_hashes` is shown the hashed identifiers of single people.
    """

    id: str
    name: str
    role: Role
    sees_hashes: bool = False
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None


class AuditEntry(Struct, frozen=True, kw_only=True):
    """That somebody changed something; `before` and `after` are digests of it, empty where it did not exist.

    `number` counts up. `who` is id and name of the API key.
    """

    number: int
    at: datetime
    who: str
    action: str
    what: str
    name: str
    before: str = ""
    after: str = ""


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
    """How many hashed identifiers a list has for one profile; `source` is a file, or `api` for what came by request."""

    source: str
    profile: str
    count: int
