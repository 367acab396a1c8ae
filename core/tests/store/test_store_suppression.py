"""Suppression lists are replaced whole, list by list."""

from collections.abc import Iterator

import pytest
from cdp_bridge.entities import Bridge
from cdp_bridge.store import Store
from cdp_bridge.testing.configuring import configure


def suppressed(store: Store) -> list[tuple[str, bytes]]:
    return sorted(entry for chunk in store.suppressed() for entry in chunk)


def digest(number: int) -> bytes:
    return number.to_bytes(32, "big")


def test_a_list_is_replaced_and_others_stay(store: Store) -> None:
    store.suppress([("email", digest(1)), ("email", digest(1)), ("phone", digest(2))], "optout.csv")
    store.suppress([("email", digest(1)), ("email", digest(3))], "legal.csv")
    assert suppressed(store) == [("email", digest(1)), ("email", digest(3)), ("phone", digest(2))]
    store.suppress(iter([("phone", digest(4))]), "optout.csv")
    assert suppressed(store) == [("email", digest(1)), ("email", digest(3)), ("phone", digest(4))]
    store.suppress([], "legal.csv")
    assert suppressed(store) == [("phone", digest(4))]


def test_a_list_that_breaks_off_changes_nothing(store: Store) -> None:
    store.suppress([("email", digest(1))], "optout.csv")

    def torn() -> Iterator[tuple[str, bytes]]:
        yield from (("email", digest(number)) for number in range(2, 9_000))
        raise InterruptedError

    with pytest.raises(InterruptedError):
        store.suppress(torn(), "optout.csv")
    assert suppressed(store) == [("email", digest(1))]


def test_many_entries_come_in_chunks(store: Store) -> None:
    store.suppress((("email", digest(number)) for number in range(60_000)), "optout.csv")
    chunks = list(store.suppressed())
    assert len(chunks) > 1
    assert sum(map(len, chunks)) == 60_000


def test_a_list_that_is_not_configured_any_more_is_deleted(store: Store) -> None:
    configure(store, Bridge(suppressions=("optout.csv", "legal.csv")))
    store.suppress([("email", digest(1))], "optout.csv")
    store.suppress([("email", digest(2))], "legal.csv")
    store.suppress([("email", digest(3))], "by hand")
    configure(store, Bridge(suppressions=("legal.csv",)))
    assert suppressed(store) == [("email", digest(2)), ("email", digest(3))]
