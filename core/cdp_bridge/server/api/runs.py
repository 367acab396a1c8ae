"""/v1/runs: lists, shows, follows, cancels and retries runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, get_args

import anyio
import msgspec
from litestar import Controller
from litestar.params import HeaderParameter, QueryParameter
from litestar.response import ServerSentEvent, ServerSentEventMessage

from cdp_bridge.entities import ApiKey, RequestState, Run, RunNote, RunRequest
from cdp_bridge.server.api.audiences import ask
from cdp_bridge.server.web.endpoint import Caller, CoreGiven, Filter, PathText, posts, reads
from cdp_bridge.server.web.paging import Listing, LogPageGiven
from cdp_bridge.server.web.problems import missing, problem
from cdp_bridge.store import Store
from cdp_bridge.store.runs.notes import MAX_NOTES

FINAL_STATES = frozenset(get_args(RequestState)) - {"queued", "running"}
POLL_SECONDS = 0.5
PING_SECONDS = 15.0

LastEventId = Annotated[
    int | None,
    HeaderParameter(name="Last-Event-ID", ge=0, le=MAX_NOTES, description="The id of the last event that was received"),
]


class Runs(Controller):
    """Runs."""

    path = "/runs"
    tags = ("runs",)

    @reads("/")
    def list_runs(
        self,
        core: CoreGiven,
        log_page: LogPageGiven,
        audience: Filter = None,
        run_state: Annotated[RequestState | None, QueryParameter(name="state")] = None,
    ) -> Listing[Run]:
        """List runs by their time; those of the command line included."""
        window = core.page_tokens.window(log_page, tuple[datetime, str])
        rows = core.store.history.listed(audience, run_state, window)
        return core.page_tokens.page(log_page, rows, lambda run: (run.at, run.id))

    @reads("/{run_id:str}")
    def run(self, core: CoreGiven, run_id: PathText) -> Run:
        """One run, with its record so far."""
        return _existing(core.store, run_id)

    @posts("/{run_id:str}/cancel", status_code=202)
    def cancel(self, core: CoreGiven, caller: Caller, run_id: PathText) -> RunRequest:
        """Cancel a run: one that waits ends at once, one that is running within seconds."""
        request = _existing(core.store, run_id).request
        if request is None or request.state in FINAL_STATES:
            raise problem(
                HTTPStatus.CONFLICT,
                "it is neither queued nor running here",
                place="path",
                remedy="Runs of the command line end with its process",
            )
        core.audit(caller, "cancel", "run", run_id)
        return core.store.requests.cancel(run_id) or request

    @posts("/{run_id:str}/retry", status_code=202)
    def retry(self, core: CoreGiven, caller: Caller, run_id: PathText) -> RunRequest:
        """Request a new run of the same audience."""
        run = _existing(core.store, run_id)
        if run.state not in FINAL_STATES:
            raise problem(HTTPStatus.CONFLICT, "it is not over yet", place="path", remedy="Wait, or cancel it")
        return ask(core, caller, run.audience, "retry")

    @reads("/{run_id:str}/events", media_type="text/event-stream")
    async def events(
        self, core: CoreGiven, caller: Caller, run_id: PathText, last: LastEventId = None
    ) -> ServerSentEvent:
        """Follow a run until it is over or the key is revoked, as server-sent events.

        `run` has the whole run after each change; `progress` and `log` have its notes, with their number as id;
        `end` is the last one.
        """
        await anyio.to_thread.run_sync(_existing, core.store, run_id)
        return ServerSentEvent(_watch(core.store, caller, run_id, last or 0))


async def _watch(store: Store, caller: ApiKey, run_id: str, number: int) -> AsyncIterator[ServerSentEventMessage]:
    """Poll a run and yield an event for each change; ends without one when the caller's key is no longer valid."""
    before, silence = b"", 0.0
    while True:
        run, notes, is_valid = await anyio.to_thread.run_sync(_read, store, caller, run_id, number)
        if not is_valid:
            return
        encoded = msgspec.json.encode(run)
        for note in notes:
            number = note.number
            event = "progress" if note.level == "progress" else "log"
            yield ServerSentEventMessage(msgspec.json.encode(note).decode(), event=event, id=number)
        if encoded != before:
            yield ServerSentEventMessage(encoded.decode(), event="run")
        if run is None or run.state in FINAL_STATES:
            yield ServerSentEventMessage("{}", event="end")
            return
        silence = 0.0 if notes or encoded != before else silence + POLL_SECONDS
        if silence >= PING_SECONDS:
            silence = 0.0
            yield ServerSentEventMessage(None, comment="still there")
        before = encoded
        await anyio.sleep(POLL_SECONDS)


def _read(store: Store, caller: ApiKey, run_id: str, number: int) -> tuple[Run | None, list[RunNote], bool]:
    # The run is read first: once it is over, no notes are added.
    run = store.history.get(run_id)
    return run, store.notes.after(run_id, number), store.api_keys.is_valid(caller.id)


def _existing(store: Store, run_id: str) -> Run:
    run = store.history.get(run_id)
    if run is None:
        raise missing("run")
    return run
