"""Saves what a run logs and how far it is in the store, for those who watch it."""

from __future__ import annotations

import logging
import threading
from collections import deque
from contextlib import suppress
from typing import Any, Self

from cdp_bridge.errors import BridgeError
from cdp_bridge.redact import redact
from cdp_bridge.store import Store
from cdp_bridge.sync.progress import Progress

EVERY_SECONDS = 1.0
MAX_WAITING = 1_000
_LEVELS = ((logging.ERROR, "error"), (logging.WARNING, "warning"))


class RunLogHandler(logging.Handler):
    """Notes of one run, for the length of a `with` block in the run's thread.

    They are written from a thread of its own: the run may log in the middle of a transaction, and must not wait for
    the store here. Of progress, only the newest is saved.
    """

    def __init__(self, store: Store, request_id: str) -> None:
        super().__init__(logging.INFO)
        self._notes, self._request = store.notes, request_id
        self._lines: deque[dict[str, Any]] = deque(maxlen=MAX_WAITING)
        self._progress: Progress | None = None
        self._ended = threading.Event()
        self._run_thread = threading.get_ident()
        self._writer = threading.Thread(target=self._write, name="run log", daemon=True)
        # Of the whole package: a run logs in many rooms.
        self._logger = logging.getLogger("cdp_bridge")

    def __enter__(self) -> Self:
        self._logger.addHandler(self)
        self._writer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self)
        self._ended.set()
        self._writer.join()

    def emit(self, record: logging.LogRecord) -> None:
        """Take a line of the run's own thread."""
        if record.thread == self._run_thread:
            level = next((name for least, name in _LEVELS if record.levelno >= least), "info")
            self._lines.append({"level": level, "text": redact(record.getMessage())})

    def progress(self, progress: Progress) -> None:
        """Take how far the run is."""
        self._progress = progress

    def _write(self) -> None:
        saved: Progress | None = None
        while True:
            is_last = self._ended.wait(EVERY_SECONDS)
            # A store that is away costs notes, not the run.
            with suppress(BridgeError):
                while self._lines:
                    self._notes.add(self._request, **self._lines.popleft())
                if (now := self._progress) is not None and now != saved:
                    saved = now
                    self._notes.add(self._request, level="progress", phase=now.phase, done=now.done, total=now.total)
            if is_last:
                return
