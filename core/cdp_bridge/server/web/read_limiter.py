"""Limits how many threads read the store at once, since more only contend for the interpreter lock."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

import anyio

P = ParamSpec("P")
T = TypeVar("T")

AT_ONCE = 2
_limiter = anyio.CapacityLimiter(AT_ONCE)


async def limited_read(function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """Call a function that only reads the store, in a thread."""
    return await anyio.to_thread.run_sync(partial(function, *arguments, **named), limiter=_limiter)
