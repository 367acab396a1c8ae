"""Batches are made one ahead, in order, and the last one is known as such."""

import threading
from collections.abc import Iterator

import pytest
from cdp_bridge.delivery.batches import ahead, with_last


def test_ahead_yields_all_in_order_and_works_in_another_thread() -> None:
    threads = set()

    def numbers() -> Iterator[int]:
        for number in range(5):
            threads.add(threading.get_ident())
            yield number

    assert list(ahead(numbers())) == [0, 1, 2, 3, 4]
    assert threading.get_ident() not in threads


def test_ahead_passes_a_failure_on_at_its_place() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    seen: list[int | str] = []
    try:
        for item in ahead(broken()):
            seen.append(item)
    except ValueError:
        seen.append("failed")
    assert seen == [1, "failed"]


@pytest.mark.parametrize(("items", "marked"), [([], []), ([1], [(1, True)]), ([1, 2], [(1, False), (2, True)])])
def test_with_last_knows_the_end(items: list[int], marked: list[tuple[int, bool]]) -> None:
    assert list(with_last(iter(items))) == marked
