"""Let a sync name its object; keep suppression lists for all profiles alike."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the column, and leave out which profile a digest was made for: each suppresses everywhere."""
    op.add_column("activation", sa.Column("object", sa.Text(), nullable=True))
    op.execute("CREATE TABLE suppressed AS SELECT DISTINCT source, identifier, digest FROM suppression")
    op.drop_table("suppression")
    op.create_table(
        "suppression",
        sa.Column("source", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("identifier", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("digest", sa.LargeBinary(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("source", "identifier", "digest", name=op.f("pk_suppression")),
        sqlite_with_rowid=False,
    )
    op.execute("INSERT INTO suppression (source, identifier, digest) SELECT source, identifier, digest FROM suppressed")
    op.drop_table("suppressed")
