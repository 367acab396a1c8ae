"""What the bridge is configured with: one type each from `bridge.yaml` to store to API."""

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


Role = Literal["viewer", "operator", "admin"]


EntryKind = Literal["connection", "destination", "mapping", "audience", "conversion", "suppression"]


class DataMapping(Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How one OmniAds field is filled from a CDP record.

    The value comes from `cdp_field` (a dotted path; a list gives several values) or is `constant`; `default` stands in
    for a missing one, and says that the field may be missing from every record (empty: nothing stands in).
    `transformation_rule` is a SQL scalar expression in which `value` is the mapped field and other record fields go by
    their paths. `validation` holds JSON Schema keywords for each value; `on_invalid` says what a breach costs. `policy`
    narrows how the value may leave: `never` keeps it here, `hash` lets it out only hashed, `clear` also in clear where
    the profile sends it in clear, or where an object of the destination has no profile.
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

    `stream` of the source and `object` of the destination, by the names that `cdp-bridge discover` shows, may be left
    out where there is only one of the kind. `consent` must all hold. An `incremental` one
    reads what has changed only. Without `schedule`, the connection's `sync_schedule` counts.
    """

    name: Name
    connection: str
    destination: str
    mapping: str
    stream: str | None = None
    object: str | None = None
    consent: tuple[Consent, ...] = ()
    incremental: bool = False
    schedule: Schedule | None = None


class Activation(Sync, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One segment of a connection, kept in sync with one audience of a destination.

    A run that would remove more than `removal_limit` (a share of the audience) waits for approval.
    """

    segment: str
    audience_name: str | None = None
    removal_limit: Annotated[float, Meta(ge=0, le=1)] = 0.3


class ConversionFeed(Sync, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The conversions in one stream of a connection, each told to a destination once."""


class Bridge(Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Everything that `bridge.yaml` says; `mappings` are named lists, `suppressions` files with who must be in no
    audience: an e-mail, phone or hash a line, or a CSV. No two of `audiences` and `conversions` have the same name.
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
