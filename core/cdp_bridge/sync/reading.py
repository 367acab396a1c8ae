"""Reads the source's pages once for all runs that want the same, and says where the next run may go on from."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import closing
from typing import Any

from msgspec.structs import replace

from cdp_bridge.connectors.handle import ConnectorHandle
from cdp_bridge.connectors.items import items_of
from cdp_bridge.mapping import record_batch
from cdp_bridge.model import Checkpoint, ReadRequest
from cdp_bridge.staging.stage import Stage
from cdp_bridge.sync.progress import OnProgress, Progress

State = Mapping[str, Any]


class SharedRead:
    """One read of one source for several runs, each in a thread of its own, with one of the `tickets`.

    Each run brings its request and its stage, or leaves. Once all have done either, one of them reads for all; a run
    that comes again, or late, is read for alone. A run alone waits for nobody.
    """

    def __init__(self, runs: int = 1) -> None:
        self.tickets = [ReadTicket(self) for _ in range(runs)]
        self._taken, self._awaited = set(self.tickets), set(self.tickets)
        self._readers: list[_Reader] = []
        self._is_reading = False
        self._changed = threading.Condition()
        self._opening = threading.Lock()
        self._source: tuple[ConnectorHandle, str] | None = None

    def open(self, source: Callable[[], tuple[ConnectorHandle, str]]) -> str:
        """See `ReadTicket.open`."""
        with self._opening:
            if self._source is None:
                self._source = source()
            return self._source[1]

    def read(self, ticket: ReadTicket, reader: _Reader) -> State | None:
        """See `ReadTicket.read`."""
        readers: list[_Reader] = []
        with self._changed:
            self._awaited.discard(ticket)
            self._readers.append(reader)
            self._changed.wait_for(lambda: reader.end.done() or not (self._awaited or self._is_reading))
            if not reader.end.done():
                readers, self._readers, self._is_reading = self._readers, [], True
        if readers:
            try:
                self._read_all(readers)
            finally:
                with self._changed:
                    self._is_reading = False
                    self._changed.notify_all()
        return reader.end.result()

    def leave(self, ticket: ReadTicket) -> None:
        """See `ReadTicket.leave`."""
        with self._changed:
            self._taken.discard(ticket)
            self._awaited.discard(ticket)
            self._changed.notify_all()
            source = None if self._taken else self._source
            if source:
                self._source = None
        if source:
            source[0].close()

    def _read_all(self, readers: Sequence[_Reader]) -> None:
        """Read for all of them; those who go on from different checkpoints are read for apart."""
        for same in _alike(readers):
            try:
                self._read_once(same)
            # Also what ends the process: it must reach each of them.
            except BaseException as error:
                self._end(same, error)

    def _read_once(self, readers: Sequence[_Reader]) -> None:
        assert self._source, "whoever reads has opened the source"
        handle, _ = self._source
        request, state = _merged([reader.request for reader in readers]), None
        with closing(items_of(handle.code, handle.connector, handle.settings, request)) as items:
            for item in items:
                if item.stream != request.stream:
                    continue
                if isinstance(item, Checkpoint):
                    state = item.state
                    continue
                # Once for all: of plain dicts, this takes longer than reading them.
                records = record_batch(item.records)
                for reader in readers:
                    if not reader.end.done():
                        try:
                            reader.take(records, item.table)
                        except BaseException as error:
                            self._end([reader], error)
                if all(reader.end.done() for reader in readers):
                    return
        self._end(readers, state)

    def _end(self, readers: Sequence[_Reader], how: BaseException | State | None) -> None:
        with self._changed:
            for reader in readers:
                if reader.end.done():
                    continue
                if isinstance(how, BaseException):
                    reader.end.set_exception(how)
                else:
                    reader.end.set_result(how)
            self._changed.notify_all()


class ReadTicket:
    """One run's place at a read."""

    def __init__(self, shared: SharedRead) -> None:
        self._shared = shared

    def open(self, source: Callable[[], tuple[ConnectorHandle, str]]) -> str:
        """The stream to read; the first run calls `source` for all, which opens the source and names its stream.

        What it raises reaches that run only; the next one tries anew.
        """
        return self._shared.open(source)

    def read(self, request: ReadRequest, into: Stage, progress: OnProgress) -> State | None:
        """Read everything into the stage; the state of the last checkpoint, or None when the source keeps none.

        Returning at all means that the source said it was complete. What the stage or `progress` raises ends this run's
        part only, what the source raises ends all.
        """
        return self._shared.read(self, _Reader(request, into, progress))

    def leave(self) -> None:
        """Read no more, and let nobody wait; the last to leave closes the source. No error when it was left already."""
        self._shared.leave(self)


class _Reader:
    """A run that waits for the read: its request and its stage; `end` is how the read ends for it."""

    def __init__(self, request: ReadRequest, stage: Stage, progress: OnProgress) -> None:
        self.request = request
        self.end: Future[State | None] = Future()
        self._stage, self._progress = stage, progress
        self._done = 0

    def take(self, records: Any, table: str) -> None:
        """Stage some records, rows of the table, if it has a name."""
        self._done += self._stage.take(records, table)
        self._progress(Progress("read", self._done))


def _alike(readers: Sequence[_Reader]) -> Iterator[list[_Reader]]:
    """Those who want the same, whatever fields of it."""
    left = list(readers)
    while left:
        wanted = replace(left[0].request, fields=())
        yield [reader for reader in left if replace(reader.request, fields=()) == wanted]
        left = [reader for reader in left if replace(reader.request, fields=()) != wanted]


def _merged(requests: Sequence[ReadRequest]) -> ReadRequest:
    """One request for the fields of all; no field named means every field."""
    named = all(request.fields for request in requests)
    fields = dict.fromkeys(field for request in requests for field in request.fields) if named else ()
    return replace(requests[0], fields=tuple(fields))
