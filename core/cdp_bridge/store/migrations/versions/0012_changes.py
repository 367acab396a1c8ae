"""Keep which fields came through the API, and in the audit log the fields that changed in place of digests."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_ADOPT = """
INSERT INTO api_field (kind, name, field)
SELECT DISTINCT audit.kind, audit.name, '' FROM audit JOIN ({entries}) AS entry
ON entry.kind = audit.kind AND entry.name = audit.name
WHERE audit.action = 'create'
"""
_ENTRIES = """
SELECT 'connection' AS kind, name FROM connection
UNION ALL SELECT 'destination', name FROM destination
UNION ALL SELECT 'mapping', name FROM mapping
UNION ALL SELECT 'audience', name FROM activation WHERE segment IS NOT NULL
UNION ALL SELECT 'conversion', name FROM activation WHERE segment IS NULL
"""


def upgrade() -> None:
    """Create table and columns; the entries that the audit log says were created came through the API."""
    op.create_table(
        "api_field",
        sa.Column("kind", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("field", sa.Text(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("kind", "name", "field", name=op.f("pk_api_field")),
    )
    op.alter_column("audit", "what", new_column_name="kind")
    op.add_column("audit", sa.Column("changes", sa.JSON(none_as_null=True), nullable=False, server_default="[]"))
    op.drop_column("audit", "before")
    op.drop_column("audit", "after")
    op.execute(_ADOPT.format(entries=_ENTRIES))
