"""`sync`: run audiences and conversion feeds of the store, or say what a run would do."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from cdp_bridge.cli.options import (
    connectors_print_to_stderr,
    find_plugins,
    json_option,
    launcher_option,
    open_store,
    store_option,
)
from cdp_bridge.cli.output import GrowingTable, print_json, print_reasons, print_table, print_text
from cdp_bridge.cli.runs import RUN_COLUMNS, run_row
from cdp_bridge.errors import BridgeError, ConfigError

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

    from cdp_bridge.entities import Funnel, Sync, SyncLog
    from cdp_bridge.orchestration.runner import Runner
    from cdp_bridge.sync.progress import Preview, Progress
    from cdp_bridge.sync.reading import ReadTicket

    Show = Callable[[str, Progress], None]

_STEPS = ("in_segment", "mapped", "valid", "consented", "not_suppressed", "identifiable")


@click.command()
@click.argument("names", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Sync every audience and conversion feed of the store.")
@click.option("--dry-run", is_flag=True, help="Read and compare only; print funnel, counts and a sample request.")
@click.option("--approve-removals", is_flag=True, help="Carry out removals above the audience's removal limit.")
@click.option(
    "--rejection-limit",
    type=click.FloatRange(0, 1),
    default=0.01,
    show_default=True,
    help="Share of the members sent that the platform may reject before the exit code is 3.",
)
@launcher_option
@store_option
@json_option
def sync(**given: Any) -> None:
    """Bring audiences in sync with their segments; send conversions to platforms."""
    from cdp_bridge.orchestration.runner import Runner

    options = _Options(**given)
    if bool(options.names) == options.everything:
        raise click.UsageError("name the audiences to sync, or give --all")
    registry = find_plugins()
    launcher = registry.launcher(options.launcher_name) if options.launcher_name else None
    with open_store(options.store_url) as store:
        syncs = _chosen(store.bridge().syncs, options.names)
        runner = Runner(store, registry, launcher)
        if options.dry_run:
            with connectors_print_to_stderr():
                previews = {sync.name: runner.preview(sync) for sync in syncs}
            _show(previews, options.as_json)
            return
        # Before what connectors print goes elsewhere.
        finished = _Finished(syncs, quiet=options.as_json)
        with _bars(finished, quiet=options.as_json) as show, connectors_print_to_stderr():
            logs = _Runs(runner, show, finished, approve_removals=options.approve_removals).sync(syncs)
    if options.as_json:
        print_json(logs)
    click.get_current_context().exit(exit_code(logs, options.rejection_limit))


class _Options(NamedTuple):
    """What the command was given."""

    names: tuple[str, ...]
    everything: bool
    dry_run: bool
    approve_removals: bool
    rejection_limit: float
    launcher_name: str | None
    store_url: str
    as_json: bool


def exit_code(logs: Sequence[SyncLog], rejection_limit: float) -> int:
    """1 if a run failed, else 3 if one was rejected too much or waits for approval, else 0."""
    if any(log.status == "failed" for log in logs):
        return 1
    partly = any(log.status == "waiting" or _rejected_share(log) > rejection_limit for log in logs)
    return 3 if partly else 0


def _rejected_share(log: SyncLog) -> float:
    return log.rejected / max(log.adds + log.changes + log.removes, log.rejected, 1)


def _chosen(syncs: Sequence[Sync], names: Sequence[str]) -> list[Sync]:
    known = {sync.name: sync for sync in syncs}
    if not (names or known):
        raise ConfigError("the store has no audience to sync", remedy="Apply a bridge.yaml first, or check --store")
    for name in names:
        if name not in known:
            remedy = f"There are: {', '.join(known)}" if known else "Apply a bridge.yaml first"
            raise ConfigError(f"there is no audience or conversion feed named {name}", remedy=remedy)
    return [known[name] for name in dict.fromkeys(names)] if names else list(syncs)


class _Runs:
    """Carries out runs, those that read the same side by side, and ends all of them when it is interrupted."""

    def __init__(self, runner: Runner, show: Show, finished: _Finished, *, approve_removals: bool) -> None:
        self._runner, self._show, self._finished, self._approve_removals = runner, show, finished, approve_removals
        self._stop = threading.Event()

    def sync(self, syncs: Sequence[Sync]) -> list[SyncLog]:
        """A run of each, in this order; `finished` gets each as soon as it has ended."""
        from cdp_bridge.sync.run_group import groups, run_group

        jobs = ([partial(self._sync_and_tell, sync) for sync in group] for group in groups(syncs))
        logs = {log.audience: log for group in jobs for log in run_group(group, self._stop)}
        return [logs[sync.name] for sync in syncs]

    def _sync_and_tell(self, sync: Sync, ticket: ReadTicket) -> SyncLog:
        log = self._sync(sync, ticket)
        self._finished.show(log)
        return log

    def _sync(self, sync: Sync, ticket: ReadTicket) -> SyncLog:
        """One run; one that cannot even start is a failed run, so that the others go on."""
        from datetime import UTC, datetime

        from cdp_bridge.entities import SyncLog
        from cdp_bridge.protocol.failure import sentence
        from cdp_bridge.sync.session import held

        watcher = _Watcher(sync.name, self._show, self._stop)
        try:
            with held(self._runner.store, sync.name) as lease:
                return self._runner.sync(sync, lease, ticket, watcher, approve_removals=self._approve_removals)
        except BridgeError as error:
            moment, why = datetime.now(UTC), sentence(error)
            return SyncLog(run_id="", audience=sync.name, sync_timestamp=moment, status="failed", errors=1, error=why)


class _Finished:
    """Prints each run as it ends, without the bars: a row of the table, and its error to stderr."""

    def __init__(self, syncs: Sequence[Sync], *, quiet: bool) -> None:
        width = max((len(sync.name) for sync in syncs), default=0)
        self._table, self._lock = GrowingTable(RUN_COLUMNS, (width, len("succeeded"))), threading.Lock()
        self._quiet = quiet
        self.bars: Bars | None = None

    def show(self, log: SyncLog) -> None:
        """Print one."""
        if self._quiet:
            return
        with self._lock, self._without_bars():
            self._table.add(run_row(log))
            if log.error:
                print_text(f"{log.audience}: {log.error}", err=True)

    @contextmanager
    def _without_bars(self) -> Iterator[None]:
        if self.bars:
            self.bars.stop()
        yield
        if self.bars:
            self.bars.start()


class _Watcher:
    """Shows the progress of one run, and ends it once `stop` is set."""

    def __init__(self, name: str, show: Show, stop: threading.Event) -> None:
        self._name, self._show, self._stop = name, show, stop

    def progress(self, progress: Progress) -> None:
        """See `Watcher.progress`."""
        if self._stop.is_set():
            raise KeyboardInterrupt
        self._show(self._name, progress)

    def sleep(self, seconds: float) -> None:
        """See `Watcher.sleep`."""
        if self._stop.wait(seconds):
            raise KeyboardInterrupt


@contextmanager
def _bars(finished: _Finished, *, quiet: bool) -> Iterator[Show]:
    """A bar per audience and phase on a terminal, nothing elsewhere."""
    if quiet or not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    with Bars(console=Console(stderr=True), transient=True) as bars, _logged_above_bars():
        finished.bars = bars
        tasks: dict[str, TaskID] = {}

        def show(name: str, progress: Progress) -> None:
            title = f"{name}: {progress.phase}"
            if title not in tasks:
                tasks[title] = bars.add_task(title, total=progress.total)
            bars.update(tasks[title], completed=progress.done, total=progress.total)

        yield show
        finished.bars = None


@contextmanager
def _logged_above_bars() -> Iterator[None]:
    """Let the log go where the bars have redirected stderr to: they would overwrite it."""
    handlers = [handler for handler in logging.getLogger().handlers if type(handler) is logging.StreamHandler]
    streams = [handler.setStream(sys.stderr) for handler in handlers]
    try:
        yield
    finally:
        for handler, stream in zip(handlers, streams, strict=True):
            if stream is not None:
                handler.setStream(stream)


def _show(previews: Mapping[str, Preview], as_json: bool) -> None:
    if as_json:
        print_json([{"audience": name, **_fields(preview)} for name, preview in previews.items()])
        return
    for name, preview in previews.items():
        _print_funnel(name, preview.funnel)
        click.echo(f"would add {preview.adds:,}, change {preview.changes:,}, remove {preview.removes:,}")
        if preview.sample is not None:
            click.echo("a request would look like this:")
            print_json(preview.sample)


def _fields(preview: Preview) -> dict[str, object]:
    from msgspec.structs import asdict

    return asdict(preview)


def _print_funnel(name: str, funnel: Funnel) -> None:
    steps: list[tuple[str, int]] = [(step, getattr(funnel, step)) for step in _STEPS]
    print_table(("step", "people"), steps, title=name)
    for title, counts in (
        ("dropped because", funnel.dropped),
        ("value refused because", funnel.fields_rejected),
        ("refused by the platform because", funnel.platform_reasons),
    ):
        if counts:
            print_reasons(title, counts, values=counts is funnel.fields_rejected)
