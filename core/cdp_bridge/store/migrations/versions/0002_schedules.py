"""Schedules of audiences, and the runs that are asked for."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables; audiences that are there go by the schedule of their connection."""
    op.add_column("activation", sa.Column("schedule", sa.JSON(none_as_null=True), nullable=True))
    op.create_table(
        "schedule",
        sa.Column("audience", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("timetable", sa.Text(), nullable=False),
        sa.Column("last_slot", sa.BigInteger(), nullable=False),
        sa.Column("served", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("successes", sa.BigInteger(), nullable=False),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("audience", name=op.f("pk_schedule")),
    )
    op.create_table(
        "run_request",
        sa.Column("id", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("audience", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("slot", sa.BigInteger(), nullable=True),
        sa.Column("retry_of", sa.Text(), nullable=True),
        sa.Column("not_before", sa.BigInteger(), nullable=True),
        sa.Column("requested_at", sa.BigInteger(), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("token", sa.BigInteger(), nullable=True),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.Column("cancelling", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run_request")),
        sa.UniqueConstraint("retry_of", name=op.f("uq_run_request_retry_of")),
    )
    op.create_index("uq_run_request_slot", "run_request", ["audience", "slot"], unique=True)
    op.create_index("ix_run_request_state", "run_request", ["state", "requested_at"], unique=False)
    op.create_index("ix_run_request_audience", "run_request", ["audience", "requested_at"], unique=False)
    op.create_index("ix_run_request_requested_at", "run_request", ["requested_at"], unique=False)
