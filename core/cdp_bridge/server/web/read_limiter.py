"""Reads of the store in threads, by turns: at 200 requests a second more at once fight over the interpreter's lock."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

import anyio

P = ParamSpec("P")
T = TypeVar("T")

AT_ONCE = 2
_turns = anyio.CapacityLimiter(AT_ONCE)


async def limited_read(function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """What it returns; it should wait for nothing but reads of the store."""
    return await anyio.to_thread.run_sync(partial(function, *arguments, **named), limiter=_turns)
