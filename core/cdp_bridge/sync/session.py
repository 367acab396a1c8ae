"""What surrounds a run: its engine, its lease that is renewed, its failures as errors of ours."""

from __future__ import annotations

import errno
import gc
import logging
import tempfile
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cdp_bridge import engine
from cdp_bridge.errors import BridgeError, ConfigError
from cdp_bridge.store import Lease, LeaseLostError, Store

if TYPE_CHECKING:
    import duckdb

log = logging.getLogger(__name__)

LEASE_SECONDS = 45.0
"""A dead worker's audience is free after that, so that another can take over within a minute."""


@contextmanager
def connected() -> Iterator[duckdb.DuckDBPyConnection]:
    """The engine of one run; what exceeds its memory (digests only) spills into a folder that nobody else can read."""
    with (
        tempfile.TemporaryDirectory(prefix="cdp-bridge-") as folder,
        engine.connect(temp_directory=Path(folder)) as connection,
    ):
        yield connection


@contextmanager
def held(store: Store, audience: str) -> Iterator[Lease]:
    """The right to work on an audience, kept until the end of the block; LeaseHeldError when somebody else has it."""
    with store.requests.hold(audience, LEASE_SECONDS) as lease, _renewed(lease):
        yield lease


@contextmanager
def _renewed(lease: Lease) -> Iterator[None]:
    """Renews the lease from a thread of its own, so that a long wait for the platform does not lose it."""
    ended = threading.Event()

    def renew() -> None:
        while not ended.wait(LEASE_SECONDS / 3):
            try:
                lease.renew()
            except LeaseLostError:
                return
            except BridgeError as error:
                log.warning("the lease could not be renewed, trying again: %s", error)

    renewer = threading.Thread(target=renew, daemon=True)
    renewer.start()
    try:
        yield
    finally:
        ended.set()
        renewer.join()


class _Collector:
    """The settings of Python's garbage collector, which all runs of this process share."""

    def __init__(self) -> None:
        self._lock, self._runs = threading.Lock(), 0
        self._usual = gc.get_threshold()

    def __enter__(self) -> None:
        with self._lock:
            if not self._runs:
                self._usual = gc.get_threshold()
                gc.freeze()
                gc.set_threshold(50_000, 20, 50)
            self._runs += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._runs -= 1
            if not self._runs:
                gc.set_threshold(*self._usual)
                gc.unfreeze()


rare_collections = _Collector()
"""Lets Python look for garbage seldom: scanning all modules while millions of small lists pass doubles a run."""


@contextmanager
def plain_failures() -> Iterator[None]:
    """Any failure as BridgeError; only of our own the message is shown, others may quote the values they are about."""
    try:
        yield
    except BridgeError:
        raise
    except Exception as error:
        if _is_out_of_space(error):
            raise ConfigError(
                "the sync ran out of memory, or of disk space for temporary files",
                place=tempfile.gettempdir(),
                remedy="Free some space there, or name a roomier folder in TMPDIR, and sync again",
            ) from error
        log.debug("%s at\n%s", type(error).__name__, "".join(traceback.format_tb(error.__traceback__)))
        raise BridgeError(
            f"the sync failed with {type(error).__name__}; nothing is half-done, the next sync goes on"
        ) from error


def _is_out_of_space(error: Exception) -> bool:
    """Whether memory or the folder that DuckDB spills into is full; Arrow passes DuckDB's words on as an OSError."""
    import duckdb

    if isinstance(error, OSError):
        return error.errno == errno.ENOSPC or str(error).startswith(("Out of Memory Error", "IO Error"))
    return isinstance(error, duckdb.OutOfMemoryException | duckdb.IOException)
