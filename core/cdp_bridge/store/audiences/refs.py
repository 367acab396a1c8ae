"""Reads what the platforms call the audiences, and how they were when they were last ensured."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from cdp_bridge.model import AudienceRef
from cdp_bridge.store import tables
from cdp_bridge.store.database import Database, by_chunks, struct_of, structs_of
from cdp_bridge.store.values import Ensured

_ref, _name = tables.audience_ref, tables.audience.c.name
# Made once: it takes as long as to run it.
_REFS = (
    sa.select(_ref, _name.label("audience"))
    .join(tables.audience)
    .where(_name.in_(sa.bindparam("names", expanding=True)))
)


def get(database: Database, audience: str) -> AudienceRef | None:
    """What the platform calls the audience, or None."""
    with database.reading() as connection:
        row = connection.execute(sa.select(_ref).join(tables.audience).where(_name == audience)).first()
    return struct_of(AudienceRef, row) if row else None


def ensured(database: Database, audience: str) -> Ensured:
    """See `Store.ensured`."""
    with database.reading() as connection:
        row = connection.execute(sa.select(_ref).join(tables.audience).where(_name == audience)).first()
    return struct_of(Ensured, row) if row else Ensured()


def by_name(database: Database, names: Sequence[str]) -> dict[str, AudienceRef]:
    """What the platforms call those of these audiences that they have."""
    with database.reading() as connection:
        rows = [row for chunk in by_chunks(names) for row in connection.execute(_REFS, {"names": chunk}).all()]
    return dict(zip((row.audience for row in rows), structs_of(AudienceRef, rows), strict=True))
