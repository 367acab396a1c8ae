"""Keep when a platform said what it says of an audience."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the column; of audiences from before nobody knows."""
    op.add_column("audience_ref", sa.Column("asked_at", sa.BigInteger(), nullable=True))
