"""The tables; a change here needs a new file in `migrations/versions` and a new `migration.HEAD`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import Dialect

from cdp_bridge.texts.storable import storable

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def microseconds(moment: datetime) -> int:
    """Microseconds since 1970 UTC; a moment without time zone is a TypeError."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def moment(microseconds: int) -> datetime:
    """The moment in UTC."""
    return EPOCH + timedelta(microseconds=microseconds)


class Instant(sa.types.TypeDecorator[datetime]):
    """A moment with time zone, kept as microseconds since 1970: exact, small and the same in both databases."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """As `microseconds`."""
        return None if value is None else microseconds(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        """As `moment`."""
        return None if value is None else moment(value)


class Text(sa.types.TypeDecorator[str]):
    """A text; the characters that a database refuses, as a platform or connector may send them, become U+FFFD."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """As `storable`."""
        return None if value is None else storable(value)


metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
    }
)


Kind = type[sa.types.TypeEngine[Any]]


def _column(name: str, kind: Kind = Text, *, optional: bool = False) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=optional)


def _key(name: str, kind: Kind = Text, references: str | None = None) -> sa.Column[Any]:
    return sa.Column(
        name, kind, *([sa.ForeignKey(references)] if references else ()), primary_key=True, autoincrement=False
    )


def _belongs_to(name: str, references: str) -> sa.Column[Any]:
    return sa.Column(name, Text, sa.ForeignKey(references), nullable=False)


Json = sa.JSON(none_as_null=True)

# Configuration: what bridge.yaml says, in its order.

connection = sa.Table(
    "connection",
    metadata,
    _key("name"),
    _column("position", sa.Integer),
    _column("cdp_provider"),
    sa.Column("api_credentials", Json, nullable=False),
    _column("sync_schedule"),
    _column("connection_status"),
)
destination = sa.Table(
    "destination",
    metadata,
    _key("name"),
    _column("position", sa.Integer),
    _column("connector"),
    sa.Column("settings", Json, nullable=False),
)
mapping = sa.Table("mapping", metadata, _key("name"), _column("position", sa.Integer))
data_mapping = sa.Table(
    "data_mapping",
    metadata,
    _key("mapping", references="mapping.name"),
    _key("position", sa.Integer),
    _column("omniads_field"),
    _column("cdp_field", optional=True),
    _column("constant", optional=True),
    _column("default", optional=True),
    _column("transformation_rule", optional=True),
    sa.Column("validation", Json, nullable=False),
    _column("on_invalid"),
    _column("policy"),
)
# One without segment is a conversion feed.
activation = sa.Table(
    "activation",
    metadata,
    _key("name"),
    _column("position", sa.Integer),
    _belongs_to("connection", "connection.name"),
    _column("segment", optional=True),
    _belongs_to("destination", "destination.name"),
    _belongs_to("mapping", "mapping.name"),
    _column("audience_name", optional=True),
    _column("stream", optional=True),
    _column("object", optional=True),
    sa.Column("consent", Json, nullable=False),
    _column("removal_limit", sa.Double),
    _column("incremental", sa.Boolean),
    sa.Column("schedule", Json, nullable=True),
)
suppression_list = sa.Table("suppression_list", metadata, _key("source"), _column("position", sa.Integer))
# Fields (dotted paths) that were set through the API, all others came from bridge.yaml; "" is the entry as a whole.
api_field = sa.Table("api_field", metadata, _key("kind"), _key("name"), _key("field"))
entry_time = sa.Table(
    "entry_time", metadata, _key("kind"), _key("name"), _column("created_at", Instant), _column("updated_at", Instant)
)

# Segments, audiences, and row by row what the platform has acknowledged.

segment = sa.Table(
    "segment",
    metadata,
    _key("connection"),
    _key("segment_id"),
    _column("segment_name"),
    _column("member_count", sa.BigInteger, optional=True),
    _column("last_sync", Instant, optional=True),
    _column("sync_status"),
    _column("gone_since", Instant, optional=True),
)
# When a connection last listed all of its segments; none if the list was cut.
segment_listing = sa.Table(
    "segment_listing", metadata, _key("connection"), _column("listed_at", Instant), sqlite_with_rowid=False
)
audience = sa.Table(
    "audience",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", Text, nullable=False, unique=True),
)
audience_ref = sa.Table(
    "audience_ref",
    metadata,
    _key("audience_id", sa.Integer, references="audience.id"),
    _column("id"),
    _column("account"),
    _column("status"),
    _column("lower_bound", sa.BigInteger, optional=True),
    _column("upper_bound", sa.BigInteger, optional=True),
    _column("settings_digest", optional=True),
    _column("wanted_name", optional=True),
    _column("given_name", optional=True),
    _column("shown_size", sa.BigInteger, optional=True),
)
# The ledger. Without rowid, rows lie in member_key order: batches that come in that order are appended, not scattered.
member = sa.Table(
    "member",
    metadata,
    _key("audience_id", sa.Integer, references="audience.id"),
    _key("member_key", sa.LargeBinary),
    _column("fingerprint", sa.LargeBinary),
    _column("user_id", optional=True),
    _column("identifiers", sa.LargeBinary),
    _column("outcome"),
    _column("acknowledged_at", Instant),
    sqlite_with_rowid=False,
)
dead_letter = sa.Table(
    "dead_letter",
    metadata,
    _key("audience_id", sa.Integer, references="audience.id"),
    _key("member_key", sa.LargeBinary),
    _column("fingerprint", sa.LargeBinary),
    _column("operation"),
    _column("reason"),
    _column("run_id"),
    _column("created_at", Instant),
    sqlite_with_rowid=False,
)
delivery = sa.Table(
    "delivery",
    metadata,
    _key("id"),
    sa.Column("audience_id", sa.Integer, sa.ForeignKey("audience.id"), nullable=False, index=True),
    _column("operation"),
    _column("run_id"),
    _column("members", sa.LargeBinary),
    _column("status"),
    _column("pending", optional=True),
    _column("created_at", Instant),
)
match_estimate = sa.Table(
    "match_estimate",
    metadata,
    _key("audience_id", sa.Integer, references="audience.id"),
    _key("at", Instant),
    _key("source"),
    _column("members", sa.BigInteger),
    _column("lower_people", sa.BigInteger, optional=True),
    _column("upper_people", sa.BigInteger, optional=True),
    _column("lower_rate", sa.Double, optional=True),
    _column("upper_rate", sa.Double, optional=True),
    sqlite_with_rowid=False,
)
suppression = sa.Table(
    "suppression",
    metadata,
    _key("source"),
    _key("identifier"),
    _key("digest", sa.LargeBinary),
    sqlite_with_rowid=False,
)

# Records of runs, and the cursors that they save.

run = sa.Table(
    "run",
    metadata,
    _key("run_id"),
    _column("audience"),
    _column("sync_timestamp", Instant),
    _column("status"),
    _column("records_processed", sa.BigInteger),
    _column("adds", sa.BigInteger),
    _column("changes", sa.BigInteger),
    _column("removes", sa.BigInteger),
    _column("membership_calls", sa.BigInteger),
    _column("rejected", sa.BigInteger),
    _column("unknown", sa.BigInteger),
    _column("errors", sa.BigInteger),
    _column("error"),
    _column("match_rate", sa.Double, optional=True),
    _column("latency", sa.Double, optional=True),
    sa.Column("funnel", Json, nullable=False),
    sa.Index("ix_run_audience", "audience", "sync_timestamp"),
    sa.Index("ix_run_sync_timestamp", "sync_timestamp"),
    sa.Index("ix_run_status", "status", "sync_timestamp"),
    sa.Index("ix_run_audience_status", "audience", "status", "sync_timestamp"),
)
cursor = sa.Table(
    "cursor", metadata, _key("sync"), _key("stream"), _key("segment"), sa.Column("state", Json, nullable=False)
)

# Schedules and run requests. A slot is a moment of a timetable; each is requested at most once.

schedule = sa.Table(
    "schedule",
    metadata,
    _key("audience"),
    _column("version", sa.BigInteger),
    _column("timetable"),
    _column("last_slot", Instant),
    sa.Column("served", Json, nullable=False),
    _column("successes", sa.BigInteger),
    _column("paused", sa.Boolean),
)
run_request = sa.Table(
    "run_request",
    metadata,
    _key("id"),
    _column("audience"),
    _column("kind"),
    _column("state"),
    _column("attempt", sa.Integer),
    _column("slot", Instant, optional=True),
    sa.Column("retry_of", Text, nullable=True, unique=True),
    _column("not_before", Instant, optional=True),
    _column("requested_at", Instant),
    _column("requested_by"),
    _column("started_at", Instant, optional=True),
    _column("finished_at", Instant, optional=True),
    _column("token", sa.BigInteger, optional=True),
    _column("run_id", optional=True),
    _column("cancelling", sa.Boolean),
    _column("approve_removals", sa.Boolean),
    _column("takeovers", sa.Integer),
    sa.Index("uq_run_request_slot", "audience", "slot", unique=True),
    sa.Index("ix_run_request_state", "state", "requested_at"),
    sa.Index("ix_run_request_audience", "audience", "requested_at"),
    sa.Index("ix_run_request_requested_at", "requested_at"),
    sa.Index("ix_run_request_run_id", "run_id"),
)
# Log lines and progress of a run under way.
run_note = sa.Table(
    "run_note",
    metadata,
    sa.Column("request_id", Text, sa.ForeignKey("run_request.id", ondelete="CASCADE"), primary_key=True),
    _key("number", sa.Integer),
    _column("at", Instant),
    _column("level"),
    _column("text"),
    _column("phase", optional=True),
    _column("done", sa.BigInteger, optional=True),
    _column("total", sa.BigInteger, optional=True),
)

# API keys, the audit log, and answers to requests with an idempotency key.

api_key = sa.Table(
    "api_key",
    metadata,
    _key("id"),
    _column("name"),
    sa.Column("digest", sa.LargeBinary, nullable=False, unique=True),
    _column("role"),
    _column("sees_hashes", sa.Boolean),
    _column("created_at", Instant),
    _column("expires_at", Instant, optional=True),
    _column("revoked_at", Instant, optional=True),
)
audit = sa.Table(
    "audit",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    _column("at", Instant),
    _column("who"),
    _column("action"),
    _column("kind"),
    _column("name"),
    sa.Column("changes", Json, nullable=False),
    _column("digest", sa.LargeBinary, optional=True),
)
answer = sa.Table(
    "answer",
    metadata,
    _key("asked_by"),
    _key("idempotency_key"),
    _column("request", sa.LargeBinary),
    sa.Column("claimed_at", Instant, nullable=False, index=True),
    _column("status", sa.Integer, optional=True),
    sa.Column("headers", Json, nullable=True),
    _column("body", sa.LargeBinary, optional=True),
)

# Secrets, encrypted; see `cipher`.

secret = sa.Table(
    "secret",
    metadata,
    _key("name"),
    _column("envelope", sa.LargeBinary),
    sa.Column("expires_at", Instant, nullable=True, index=True),
)

# Keys, leases and budgets that processes share. Times are seconds since 1970.

secret_key = sa.Table("secret_key", metadata, _key("name"), _column("value", sa.LargeBinary))
lease = sa.Table(
    "lease",
    metadata,
    _key("name"),
    _column("token", sa.BigInteger),
    _column("holder"),
    _column("expires_at", sa.Double),
)
budget = sa.Table("budget", metadata, _key("account"), _column("paused_until", sa.Double))
budget_use = sa.Table(
    "budget_use",
    metadata,
    _key("account", references="budget.account"),
    _key("expires_at", sa.Double),
    _column("requests", sa.Integer),
)
