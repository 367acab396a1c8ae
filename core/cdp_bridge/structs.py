"""Prepares msgspec Structs for use in threads.

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
    """Prepare all Structs defined so far; call it after importing some, before threads use them."""
    with _lock:
        for struct in _below(Struct):
            if struct not in _ready:
                # It may be of a module that another thread is just importing.
                with suppress(Exception):
                    json.Decoder(struct)
                    _ready.add(struct)


def _below(base: type[Struct]) -> Iterator[type[Struct]]:
    for struct in base.__subclasses__():
        yield struct
        yield from _below(struct)
