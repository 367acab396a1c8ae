"""Chain the entries of the audit log from now on: each has a digest of itself and of the one before."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; entries from before have none."""
    op.add_column("audit", sa.Column("digest", sa.LargeBinary(), nullable=True))
