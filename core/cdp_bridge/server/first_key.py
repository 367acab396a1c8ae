"""Gives the first administrator a way in: a key in a file, which makes one other key within ten minutes."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from cdp_bridge.errors import ConfigError
from cdp_bridge.store import Store
from cdp_bridge.store.access.api_keys import FIRST_KEY

LIFE = timedelta(minutes=10)


@contextmanager
def first_key(store: Store, file: Path) -> Iterator[bool]:
    """While no key of the store is valid: a new one in a file of mode 0600, which is gone when the key has expired.

    True if there is such a file for the block. ConfigError where it cannot be made.
    """
    if any(store.api_keys.is_valid(key.id) for key in store.api_keys.all()):
        yield False
        return
    _, text = store.api_keys.create(FIRST_KEY, "admin", life=LIFE)
    try:
        # Never through a link that somebody has put there; one that a killed process has left is worth nothing.
        file.unlink(missing_ok=True)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
            opened.write(text)
    except OSError as error:
        remedy = "Name another with --first-key-file"
        raise ConfigError(f"cannot be made ({error.strerror})", place=str(file.resolve()), remedy=remedy) from None
    end = threading.Timer(LIFE.total_seconds(), file.unlink, kwargs={"missing_ok": True})
    end.daemon = True
    end.start()
    try:
        yield True
    finally:
        end.cancel()
        file.unlink(missing_ok=True)
