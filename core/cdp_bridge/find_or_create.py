"""Finds the object that has a marker, or creates it, and never a second one."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from cdp_bridge.errors import TransientError
from cdp_bridge.retry import at, extend, say

T = TypeVar("T")

PAUSES = (1.0, 4.0, 15.0)
"""Seconds before the search that decides whether a failed create is tried again: lists lag behind."""


def find_or_create(find: Callable[[], T | None], create: Callable[[], T]) -> T:
    """The object that `find` returns, or the one that `create` makes where there is none.

    A create that fails with a TransientError may have worked all the same. So after a pause, which gives the platform's
    lists the time to show the object, each new try begins with a search; at most three. The last error is raised.
    """
    for pause in PAUSES:
        if (existing := find()) is not None:
            return existing
        try:
            return create()
        except TransientError as error:
            seconds = max(pause, error.retry_after or 0.0)
            extend(seconds)
            say(f"{error}; looking at {at(seconds)} whether it was created", seconds)
            time.sleep(seconds)
    existing = find()
    return create() if existing is None else existing
