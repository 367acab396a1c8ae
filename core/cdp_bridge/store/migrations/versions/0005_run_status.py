"""Find runs by their status without reading all of them."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the index."""
    op.create_index("ix_run_status", "run", ["status", "sync_timestamp"], unique=False)
