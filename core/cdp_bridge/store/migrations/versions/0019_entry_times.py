"""Keep when an entry of the configuration was created and last changed; of old ones, as the audit log says."""

import time

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_NAMES = {
    "connection": "SELECT name FROM connection",
    "destination": "SELECT name FROM destination",
    "mapping": "SELECT name FROM mapping",
    "audience": "SELECT name FROM activation WHERE segment IS NOT NULL",
    "conversion": "SELECT name FROM activation WHERE segment IS NULL",
    "suppression": "SELECT source FROM suppression_list",
}


def upgrade() -> None:
    """Create the table and fill it; what the log does not know of was created now."""
    op.create_table(
        "entry_time",
        sa.Column("kind", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "name", name=op.f("pk_entry_time")),
    )
    connection, now = op.get_bind(), time.time_ns() // 1_000
    insert = sa.text(
        "INSERT INTO entry_time (kind, name, created_at, updated_at) VALUES (:kind, :name, :created, :updated)"
    )
    logged = sa.text("SELECT max(at) FROM audit WHERE kind = :kind AND name = :name AND action IN (:create, :change)")
    for kind, names in _NAMES.items():
        for name in connection.scalars(sa.text(names)).all():
            of_it = {"kind": kind, "name": name, "create": "create"}
            created = connection.scalar(logged, {**of_it, "change": "create"}) or now
            updated = connection.scalar(logged, {**of_it, "change": "change"}) or created
            connection.execute(
                insert, {"kind": kind, "name": name, "created": created, "updated": max(created, updated)}
            )
