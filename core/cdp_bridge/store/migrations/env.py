"""Lets Alembic work on the connection that `migration.upgrade` (or a developer's `alembic` command) brings."""

from alembic import context
from cdp_bridge.store.migration import VERSION_TABLE
from cdp_bridge.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
