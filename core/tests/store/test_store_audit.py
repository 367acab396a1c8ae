"""The chain of the audit log: whatever is changed or taken out of it shows."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
import sqlalchemy as sa
from cdp_bridge.entities import FieldChange
from cdp_bridge.store import Store, tables
from cdp_bridge.store.access.audit import AuditRecord
from cdp_bridge.store.retention import Retention

audit = tables.audit


def fill(store: Store, count: int = 5) -> None:
    changes = [FieldChange(field="schedule", action="set", new={"every": "15m", "b": [1, 2.5], "a": "Ünï"})]
    for number in range(count):
        store.audit.add(AuditRecord(who="anna", action="change", kind="audience", name=str(number), changes=changes))


def execute(store: Store, statement: sa.Executable) -> None:
    with store._database.writing() as connection:
        connection.execute(statement)


def test_a_log_that_nobody_has_touched_is_whole(store: Store) -> None:
    assert store.audit.verify().length == 0
    fill(store)
    chain = store.audit.verify()
    assert (chain.length, chain.changed) == (5, ())
    assert [digest for _, digest in store.audit.all()][-1] == chain.newest


@pytest.mark.parametrize("column", ["at", "who", "action", "kind", "name", "changes", "digest"])
def test_a_changed_entry_shows(store: Store, column: str) -> None:
    fill(store)
    other = {"at": store.audit.listed()[0].at + timedelta(days=1), "changes": [], "digest": b"x"}.get(column, "eve")
    execute(store, sa.update(audit).where(audit.c.id == 3).values({column: other}))
    assert 3 in store.audit.verify().changed


def test_an_entry_that_was_taken_out_shows(store: Store) -> None:
    fill(store)
    execute(store, sa.delete(audit).where(audit.c.id == 3))
    assert store.audit.verify().changed == (4,)


def test_entries_from_before_the_chain_are_no_fault(store: Store) -> None:
    fill(store)
    execute(store, sa.update(audit).where(audit.c.id <= 2).values(digest=None))
    assert store.audit.verify().changed == ()


def test_what_retention_deletes_leaves_no_gap(store: Store) -> None:
    fill(store)
    # A clock that was set back: the entry in the middle is the oldest.
    execute(store, sa.update(audit).where(audit.c.id == 3).values(at=store.audit.listed()[0].at - timedelta(days=50)))
    changed = store.audit.verify().changed
    store.prune(Retention(audit=40))
    assert store.audit.verify().length == 5
    assert store.audit.verify().changed == changed == (3,)


def test_writers_at_once_make_one_chain(store: Store) -> None:
    threads = [threading.Thread(target=fill, args=(store, 10)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    chain = store.audit.verify()
    assert (chain.length, chain.changed) == (40, ())
