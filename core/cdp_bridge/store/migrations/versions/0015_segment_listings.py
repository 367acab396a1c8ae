"""Record when the segments of a connection were listed as a whole."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table; of lists from before nobody knows when they were made."""
    op.create_table(
        "segment_listing",
        sa.Column("connection", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("listed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("connection", name=op.f("pk_segment_listing")),
        sqlite_with_rowid=False,
    )
