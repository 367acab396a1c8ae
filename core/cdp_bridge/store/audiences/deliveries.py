"""Reads the batches that were written down before they went out and whose outcome is not recorded."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa

from cdp_bridge.store import tables
from cdp_bridge.store.database import Database
from cdp_bridge.store.values import Delivery, MemberRow

_delivery = tables.delivery


def unfinished(database: Database, audience: str) -> list[Delivery]:
    """The batches of an audience, oldest first."""
    query = sa.select(_delivery).join(tables.audience).where(tables.audience.c.name == audience)
    with database.reading() as connection:
        return [
            Delivery(
                id=row.id,
                audience=audience,
                operation=row.operation,
                run_id=row.run_id,
                members=msgspec.msgpack.decode(row.members, type=list[MemberRow]),
                status=row.status,
                pending=row.pending,
                created_at=row.created_at,
            )
            for row in connection.execute(query.order_by(_delivery.c.created_at, _delivery.c.id))
        ]
