"""Suppression lists are replaced whole, list by list and profile by profile."""

from collections.abc import Iterator

import pytest
from cdp_bridge.entities import Bridge
from cdp_bridge.store import Store
from cdp_bridge.testing.configuring import configure


def suppressed(store: Store, profile: str = "meta") -> list[tuple[str, bytes]]:
    return sorted(entry for chunk in store.suppressed(profile) for entry in chunk)


def digest(number: int) -> bytes:
    return number.to_bytes(32, "big")


def test_a_list_is_replaced_and_others_stay(store: Store) -> None:
    store.suppress("meta", [("email", digest(1)), ("email", digest(1)), ("phone", digest(2))], "optout.csv")
    store.suppress("meta", [("email", digest(1)), ("email", digest(3))], "legal.csv")
    store.suppress("google", [("email", digest(9))], "optout.csv")
    assert suppressed(store) == [("email", digest(1)), ("email", digest(3)), ("phone", digest(2))]
    store.suppress("meta", iter([("phone", digest(4))]), "optout.csv")
    assert suppressed(store) == [("email", digest(1)), ("email", digest(3)), ("phone", digest(4))]
    store.suppress("meta", [], "legal.csv")
    assert suppressed(store) == [("phone", digest(4))]
    assert suppressed(store, "google") == [("email", digest(9))]


def test_a_list_that_breaks_off_changes_nothing(store: Store) -> None:
    store.suppress("meta", [("email", digest(1))], "optout.csv")

    def torn() -> Iterator[tuple[str, bytes]]:
        yield from (("email", digest(number)) for number in range(2, 9_000))
        raise InterruptedError

    with pytest.raises(InterruptedError):
        store.suppress("meta", torn(), "optout.csv")
    assert suppressed(store) == [("email", digest(1))]


def test_many_entries_come_in_chunks(store: Store) -> None:
    store.suppress("meta", (("email", digest(number)) for number in range(60_000)), "optout.csv")
    chunks = list(store.suppressed("meta"))
    assert len(chunks) > 1
    assert sum(map(len, chunks)) == 60_000


def test_a_list_that_is_not_configured_any_more_is_deleted(store: Store) -> None:
    configure(store, Bridge(suppressions=("optout.csv", "legal.csv")))
    store.suppress("meta", [("email", digest(1))], "optout.csv")
    store.suppress("meta", [("email", digest(2))], "legal.csv")
    store.suppress("meta", [("email", digest(3))], "by hand")
    configure(store, Bridge(suppressions=("legal.csv",)))
    assert suppressed(store) == [("email", digest(2)), ("email", digest(3))]
