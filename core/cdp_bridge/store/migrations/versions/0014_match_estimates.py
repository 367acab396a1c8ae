"""Record what platforms say of how many members they know."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "match_estimate",
        sa.Column("audience_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("source", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("members", sa.BigInteger(), nullable=False),
        sa.Column("lower_people", sa.BigInteger(), nullable=True),
        sa.Column("upper_people", sa.BigInteger(), nullable=True),
        sa.Column("lower_rate", sa.Double(), nullable=True),
        sa.Column("upper_rate", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["audience_id"], ["audience.id"], name=op.f("fk_match_estimate_audience_id")),
        sa.PrimaryKeyConstraint("audience_id", "at", "source", name=op.f("pk_match_estimate")),
        sqlite_with_rowid=False,
    )
