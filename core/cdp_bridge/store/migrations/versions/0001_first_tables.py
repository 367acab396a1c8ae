"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create every table."""
    op.create_table(
        "audience",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audience")),
        sa.UniqueConstraint("name", name=op.f("uq_audience_name")),
    )
    op.create_table(
        "budget",
        sa.Column("account", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("paused_until", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_budget")),
    )
    op.create_table(
        "connection",
        sa.Column("name", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("cdp_provider", sa.Text(), nullable=False),
        sa.Column("api_credentials", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("sync_schedule", sa.Text(), nullable=False),
        sa.Column("connection_status", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_connection")),
    )
    op.create_table(
        "cursor",
        sa.Column("connection", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("stream", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("segment", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("state", sa.JSON(none_as_null=True), nullable=False),
        sa.PrimaryKeyConstraint("connection", "stream", "segment", name=op.f("pk_cursor")),
    )
    op.create_table(
        "destination",
        sa.Column("name", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("connector", sa.Text(), nullable=False),
        sa.Column("settings", sa.JSON(none_as_null=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_destination")),
    )
    op.create_table(
        "lease",
        sa.Column("name", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_lease")),
    )
    op.create_table(
        "mapping",
        sa.Column("name", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_mapping")),
    )
    op.create_table(
        "run",
        sa.Column("run_id", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("audience", sa.Text(), nullable=False),
        sa.Column("sync_timestamp", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("records_processed", sa.BigInteger(), nullable=False),
        sa.Column("adds", sa.BigInteger(), nullable=False),
        sa.Column("changes", sa.BigInteger(), nullable=False),
        sa.Column("removes", sa.BigInteger(), nullable=False),
        sa.Column("membership_calls", sa.BigInteger(), nullable=False),
        sa.Column("rejected", sa.BigInteger(), nullable=False),
        sa.Column("unknown", sa.BigInteger(), nullable=False),
        sa.Column("errors", sa.BigInteger(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("match_rate", sa.Double(), nullable=True),
        sa.Column("latency", sa.Double(), nullable=True),
        sa.Column("funnel", sa.JSON(none_as_null=True), nullable=False),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_run")),
    )
    op.create_index("ix_run_audience", "run", ["audience", "sync_timestamp"], unique=False)
    op.create_index("ix_run_sync_timestamp", "run", ["sync_timestamp"], unique=False)
    op.create_table(
        "secret_key",
        sa.Column("name", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_secret_key")),
    )
    op.create_table(
        "segment",
        sa.Column("connection", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("segment_id", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("segment_name", sa.Text(), nullable=False),
        sa.Column("member_count", sa.BigInteger(), nullable=True),
        sa.Column("last_sync", sa.BigInteger(), nullable=True),
        sa.Column("sync_status", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("connection", "segment_id", name=op.f("pk_segment")),
    )
    op.create_table(
        "suppression",
        sa.Column("profile", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("source", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("identifier", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("digest", sa.LargeBinary(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("profile", "source", "identifier", "digest", name=op.f("pk_suppression")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "suppression_list",
        sa.Column("source", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("source", name=op.f("pk_suppression_list")),
    )
    op.create_table(
        "activation",
        sa.Column("name", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("connection", sa.Text(), nullable=False),
        sa.Column("segment", sa.Text(), nullable=False),
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("mapping", sa.Text(), nullable=False),
        sa.Column("audience_name", sa.Text(), nullable=True),
        sa.Column("stream", sa.Text(), nullable=True),
        sa.Column("consent", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("removal_limit", sa.Double(), nullable=False),
        sa.Column("incremental", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["connection"], ["connection.name"], name=op.f("fk_activation_connection")),
        sa.ForeignKeyConstraint(["destination"], ["destination.name"], name=op.f("fk_activation_destination")),
        sa.ForeignKeyConstraint(["mapping"], ["mapping.name"], name=op.f("fk_activation_mapping")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_activation")),
    )
    op.create_table(
        "audience_ref",
        sa.Column("audience_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("lower_bound", sa.BigInteger(), nullable=True),
        sa.Column("upper_bound", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["audience_id"], ["audience.id"], name=op.f("fk_audience_ref_audience_id")),
        sa.PrimaryKeyConstraint("audience_id", name=op.f("pk_audience_ref")),
    )
    op.create_table(
        "budget_use",
        sa.Column("account", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("expires_at", sa.Double(), autoincrement=False, nullable=False),
        sa.Column("requests", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["account"], ["budget.account"], name=op.f("fk_budget_use_account")),
        sa.PrimaryKeyConstraint("account", "expires_at", name=op.f("pk_budget_use")),
    )
    op.create_table(
        "data_mapping",
        sa.Column("mapping", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("omniads_field", sa.Text(), nullable=False),
        sa.Column("cdp_field", sa.Text(), nullable=True),
        sa.Column("constant", sa.Text(), nullable=True),
        sa.Column("default", sa.Text(), nullable=True),
        sa.Column("transformation_rule", sa.Text(), nullable=True),
        sa.Column("validation", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("on_invalid", sa.Text(), nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["mapping"], ["mapping.name"], name=op.f("fk_data_mapping_mapping")),
        sa.PrimaryKeyConstraint("mapping", "position", name=op.f("pk_data_mapping")),
    )
    op.create_table(
        "dead_letter",
        sa.Column("audience_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("member_key", sa.LargeBinary(), autoincrement=False, nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["audience_id"], ["audience.id"], name=op.f("fk_dead_letter_audience_id")),
        sa.PrimaryKeyConstraint("audience_id", "member_key", name=op.f("pk_dead_letter")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "delivery",
        sa.Column("id", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("audience_id", sa.Integer(), nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("members", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("pending", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["audience_id"], ["audience.id"], name=op.f("fk_delivery_audience_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery")),
    )
    op.create_index(op.f("ix_delivery_audience_id"), "delivery", ["audience_id"], unique=False)
    op.create_table(
        "member",
        sa.Column("audience_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("member_key", sa.LargeBinary(), autoincrement=False, nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("identifiers", sa.LargeBinary(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("acknowledged_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["audience_id"], ["audience.id"], name=op.f("fk_member_audience_id")),
        sa.PrimaryKeyConstraint("audience_id", "member_key", name=op.f("pk_member")),
        sqlite_with_rowid=False,
    )
