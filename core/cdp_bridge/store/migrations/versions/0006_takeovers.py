"""Count how often a run was taken over from a worker that died."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the column; of runs that go on, nothing before now is counted."""
    op.add_column("run_request", sa.Column("takeovers", sa.Integer(), nullable=False, server_default="0"))
