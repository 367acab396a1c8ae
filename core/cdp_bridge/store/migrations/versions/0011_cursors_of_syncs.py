"""Key cursors by sync; keep the digest of the settings that an audience was made with beside its ref."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_DIGESTS = "(destination)"
"""The stream under which the digests stood among the cursors."""


def upgrade() -> None:
    """Rename the column, which always held the names of syncs, and move the digests."""
    op.add_column("audience_ref", sa.Column("settings_digest", sa.Text(), nullable=True))
    op.execute("ALTER TABLE cursor RENAME COLUMN connection TO sync")
    cursor = sa.table("cursor", sa.column("sync"), sa.column("stream"), sa.column("state", sa.JSON()))
    audience = sa.table("audience", sa.column("id"), sa.column("name"))
    ref = sa.table("audience_ref", sa.column("audience_id"), sa.column("settings_digest"))
    connection = op.get_bind()
    is_digest = cursor.c.stream == _DIGESTS
    for name, state in connection.execute(sa.select(cursor.c.sync, cursor.c.state).where(is_digest)).all():
        audience_id = sa.select(audience.c.id).where(audience.c.name == name).scalar_subquery()
        moved = sa.update(ref).where(ref.c.audience_id == audience_id).values(settings_digest=state["digest"])
        connection.execute(moved)
    connection.execute(sa.delete(cursor).where(is_digest))
