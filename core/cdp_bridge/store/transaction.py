"""The changes that a run makes in one transaction: deliveries, ledger, dead letters, run record, cursor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from msgspec.structs import asdict

from cdp_bridge.entities import CDPSegment, DeadLetter, MatchEstimate, SyncLog
from cdp_bridge.model import AudienceRef
from cdp_bridge.store import tables
from cdp_bridge.store.audiences import ledger
from cdp_bridge.store.database import by_chunks, insert_missing, row_of, upsert
from cdp_bridge.store.values import Acknowledgement, Delivery, Ensured, MemberRow


class Transaction:
    """One open transaction; see `Store.transaction`. `audience` is the name of the activation everywhere."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._audience_ids: dict[str, int] = {}

    def open_delivery(self, delivery: Delivery) -> None:
        """Write a batch down before it is sent."""
        row = row_of(
            tables.delivery,
            delivery,
            audience_id=self._id(delivery.audience),
            members=msgspec.msgpack.encode(delivery.members),
        )
        self._connection.execute(sa.insert(tables.delivery), row)

    def close_delivery(self, delivery_id: str) -> None:
        """Delete a batch whose outcome this transaction records."""
        self._connection.execute(sa.delete(tables.delivery).where(tables.delivery.c.id == delivery_id))

    def put_members(self, audience: str, members: Sequence[MemberRow], outcome: Acknowledgement, at: datetime) -> None:
        """Insert or replace ledger rows; fastest when they come in member_key order."""
        ledger.put(self._connection, self._id(audience), members, outcome, at)

    def drop_members(self, audience: str, keys: Sequence[bytes]) -> None:
        """Delete ledger rows, any number of them; unknown keys are no error."""
        for where in self._members(tables.member, audience, keys):
            self._connection.execute(sa.delete(tables.member).where(where))

    def mark_in_doubt(self, audience: str, keys: Sequence[bytes]) -> None:
        """Empty the fingerprints: the state at the platform is unknown, so the next run sends these members again."""
        for where in self._members(tables.member, audience, keys):
            self._connection.execute(sa.update(tables.member).where(where).values(fingerprint=b"", outcome="unknown"))

    def save_dead_letters(self, dead_letters: Sequence[DeadLetter]) -> None:
        """Record refused members; a member's newer dead letter replaces the older one."""
        rows = [row_of(tables.dead_letter, letter, audience_id=self._id(letter.audience)) for letter in dead_letters]
        upsert(self._connection, tables.dead_letter, rows)

    def delete_dead_letters(self, audience: str, keys: Sequence[bytes]) -> None:
        """Delete the dead letters of these members, if there are any."""
        for where in self._members(tables.dead_letter, audience, keys):
            self._connection.execute(sa.delete(tables.dead_letter).where(where))

    def save_run(self, run: SyncLog) -> None:
        """Insert or replace the record of a run."""
        upsert(self._connection, tables.run, [row_of(tables.run, run)])

    def save_cursor(self, sync: str, stream: str, segment: str | None, state: Mapping[str, Any]) -> None:
        """Move the cursor of a sync; belongs in the transaction that records what precedes it."""
        row = {"sync": sync, "stream": stream, "segment": segment or "", "state": dict(state)}
        upsert(self._connection, tables.cursor, [row])

    def delete_cursors(self, sync: str) -> None:
        """Delete the cursors of a sync, if there are any: its next run reads everything."""
        self._connection.execute(sa.delete(tables.cursor).where(tables.cursor.c.sync == sync))

    def save_audience(self, audience: str, ref: AudienceRef, ensured: Ensured | None = None) -> None:
        """Record what the platform says of the audience, and how it was ensured."""
        remembered = asdict(ensured or Ensured())
        row = row_of(tables.audience_ref, ref, audience_id=self._id(audience), **remembered)
        upsert(self._connection, tables.audience_ref, [row])

    def save_match_estimate(self, estimate: MatchEstimate) -> None:
        """Record what the platform says of whom it knows; one of the same audience, moment and source is replaced."""
        row = row_of(tables.match_estimate, estimate, audience_id=self._id(estimate.audience))
        upsert(self._connection, tables.match_estimate, [row])

    def save_segment(self, segment: CDPSegment) -> None:
        """Insert or replace a segment."""
        upsert(self._connection, tables.segment, [row_of(tables.segment, segment)])

    def _id(self, audience: str) -> int:
        if audience not in self._audience_ids:
            query = sa.select(tables.audience.c.id).where(tables.audience.c.name == audience)
            audience_id = self._connection.execute(query).scalar()
            if audience_id is None:
                insert_missing(self._connection, tables.audience, {"name": audience})
                audience_id = self._connection.execute(query).scalar_one()
            self._audience_ids[audience] = audience_id
        return self._audience_ids[audience]

    def _members(self, table: sa.Table, audience: str, keys: Sequence[bytes]) -> list[sa.ColumnElement[bool]]:
        audience_id = self._id(audience)
        return [(table.c.audience_id == audience_id) & table.c.member_key.in_(chunk) for chunk in by_chunks(keys)]
