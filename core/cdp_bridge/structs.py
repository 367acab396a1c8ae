"""Structs made ready for threads.

msgspec learns the fields of a Struct when it converts the first value to it. Two threads that do so at once for the
same Struct end the process (seen with 0.22), so that is done beforehand, one Struct at a time.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from weakref import WeakSet

from msgspec import Struct, json

_ready: WeakSet[type[Struct]] = WeakSet()
_lock = threading.Lock()


def make_ready() -> None:
    """Let any thread convert to any Struct defined so far; call it after importing some, before they are used."""
    with _lock:
        for kind in _below(Struct):
            if kind not in _ready:
                # One that cannot be read yet may be of a module that another thread is just importing.
                with suppress(Exception):
                    json.Decoder(kind)
                    _ready.add(kind)


def _below(kind: type[Struct]) -> Iterator[type[Struct]]:
    for one in kind.__subclasses__():
        yield one
        yield from _below(one)
