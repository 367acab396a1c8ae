"""What is known of each audience besides its ledger: the platform's name for it, open deliveries, dead letters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from cdp_bridge.entities import DeadLetter
from cdp_bridge.model import AudienceRef
from cdp_bridge.store import tables
from cdp_bridge.store.audiences.ledger import Ledger
from cdp_bridge.store.database import Database, by_chunks, struct_of, structs_of
from cdp_bridge.store.runs import records as runs
from cdp_bridge.store.values import AudienceRow, Delivery, MemberRow


def _named(table: sa.Table) -> sa.Select[Any]:
    return sa.select(table, tables.audience.c.name.label("audience")).join(tables.audience)


# Made once: it takes as long as to run it.
_REFS = _named(tables.audience_ref).where(tables.audience.c.name.in_(sa.bindparam("names", expanding=True)))


def deliveries(database: Database, audience: str) -> list[Delivery]:
    """Batches whose outcome is not recorded, oldest first."""
    table = tables.delivery
    wanted = _named(table).where(tables.audience.c.name == audience).order_by(table.c.created_at, table.c.id)
    with database.reading() as connection:
        return [
            Delivery(
                id=row.id,
                audience=row.audience,
                operation=row.operation,
                run_id=row.run_id,
                members=msgspec.msgpack.decode(row.members, type=list[MemberRow]),
                status=row.status,
                pending=row.pending,
                created_at=row.created_at,
            )
            for row in connection.execute(wanted)
        ]


def dead_letters(database: Database, audience: str | None, limit: int | None) -> list[DeadLetter]:
    """Refused members of one audience or of all, newest first."""
    table = tables.dead_letter
    wanted = _named(table).order_by(table.c.created_at.desc(), table.c.member_key).limit(limit)
    if audience is not None:
        wanted = wanted.where(tables.audience.c.name == audience)
    with database.reading() as connection:
        return structs_of(DeadLetter, connection.execute(wanted).all())


def dead_fingerprints(database: Database, audience: str) -> dict[bytes, bytes]:
    """member_key -> refused fingerprint."""
    table = tables.dead_letter
    wanted = (
        sa.select(table.c.member_key, table.c.fingerprint)
        .join(tables.audience)
        .where(tables.audience.c.name == audience)
    )
    with database.reading() as connection:
        return {row.member_key: row.fingerprint for row in connection.execute(wanted)}


def ref(database: Database, audience: str) -> AudienceRef | None:
    """What the platform calls the audience, or None."""
    wanted = sa.select(tables.audience_ref).join(tables.audience).where(tables.audience.c.name == audience)
    with database.reading() as connection:
        row = connection.execute(wanted).first()
    return struct_of(AudienceRef, row) if row else None


def settings_digest(database: Database, audience: str) -> str | None:
    """See `Store.settings_digest`."""
    digest = sa.select(tables.audience_ref.c.settings_digest).join(tables.audience)
    with database.reading() as connection:
        return connection.execute(digest.where(tables.audience.c.name == audience)).scalar()


def refs(database: Database, names: Sequence[str]) -> dict[str, AudienceRef]:
    """What the platforms call those of these audiences that they have."""
    with database.reading() as connection:
        rows = [row for chunk in by_chunks(names) for row in connection.execute(_REFS, {"names": chunk}).all()]
    return dict(zip((row.audience for row in rows), structs_of(AudienceRef, rows), strict=True))


def overview(database: Database) -> list[AudienceRow]:
    """Every audience that is configured or known, by name."""
    known = sa.union(sa.select(tables.activation.c.name), sa.select(tables.audience.c.name)).order_by("name")
    with database.reading() as connection:
        names = [str(name) for name in connection.execute(known).scalars()]
    ledger = Ledger(database)
    return [
        AudienceRow(
            name=name,
            ref=ref(database, name),
            members=ledger.count(name),
            last_run=next(iter(runs.newest(database, name, 1)), None),
        )
        for name in names
    ]
