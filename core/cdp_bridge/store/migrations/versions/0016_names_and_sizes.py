"""Keep the names and the size that a platform's audience had; drop when it was asked, since each run asks."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the columns, and drop the one."""
    op.add_column("audience_ref", sa.Column("wanted_name", sa.Text(), nullable=True))
    op.add_column("audience_ref", sa.Column("given_name", sa.Text(), nullable=True))
    op.add_column("audience_ref", sa.Column("shown_size", sa.BigInteger(), nullable=True))
    op.drop_column("audience_ref", "asked_at")
