"""Find the newest successful run of an audience without reading all of its runs."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the index."""
    op.create_index("ix_run_audience_status", "run", ["audience", "status", "sync_timestamp"], unique=False)
