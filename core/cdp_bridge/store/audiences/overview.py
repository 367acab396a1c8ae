"""Every audience with its ref, the size of its ledger, its last run and the platform's match estimate."""

from __future__ import annotations

import sqlalchemy as sa

from cdp_bridge.store import tables
from cdp_bridge.store.audiences import refs
from cdp_bridge.store.audiences.ledger import Ledger
from cdp_bridge.store.audiences.match_estimates import MatchEstimates
from cdp_bridge.store.database import Database
from cdp_bridge.store.runs import sync_logs
from cdp_bridge.store.values import AudienceRow


def overview(database: Database) -> list[AudienceRow]:
    """Every audience that is configured or was ever synced, by name."""
    query = sa.union(sa.select(tables.activation.c.name), sa.select(tables.audience.c.name)).order_by("name")
    with database.reading() as connection:
        names = [str(name) for name in connection.execute(query).scalars()]
    ledger, estimates = Ledger(database), MatchEstimates(database).last(names)
    return [
        AudienceRow(
            name=name,
            ref=refs.get(database, name),
            members=ledger.count(name),
            last_run=next(iter(sync_logs.newest(database, name, 1)), None),
            match=estimates.get(name),
        )
        for name in names
    ]
