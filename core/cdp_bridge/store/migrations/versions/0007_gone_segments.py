"""Mark segments that their CDP lists no more."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the column; every segment is there until it is seen to be gone."""
    op.add_column("segment", sa.Column("gone_since", sa.BigInteger(), nullable=True))
