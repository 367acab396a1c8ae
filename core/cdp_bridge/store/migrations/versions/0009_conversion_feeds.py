"""Let there be activations without segment: conversion feeds."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Let the column be empty."""
    with op.batch_alter_table("activation") as table:
        table.alter_column("segment", existing_type=sa.Text(), nullable=True)
