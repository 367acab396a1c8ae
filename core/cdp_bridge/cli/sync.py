"""`sync`: run audiences and conversion feeds of the store, or say what a run would do."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import click

from cdp_bridge.cli.options import (
    connectors_print_to_stderr,
    find_plugins,
    json_option,
    launcher_option,
    open_store,
    store_option,
)
from cdp_bridge.cli.output import print_json, print_table
from cdp_bridge.cli.runs import RUN_COLUMNS, run_row
from cdp_bridge.errors import BridgeError, ConfigError

if TYPE_CHECKING:
    from cdp_bridge.connectors.registry import Registry
    from cdp_bridge.entities import Funnel, Sync, SyncLog
    from cdp_bridge.model import Launcher
    from cdp_bridge.store import Store
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
def sync(  # noqa: PLR0913 - a parameter for each option
    names: tuple[str, ...],
    everything: bool,
    dry_run: bool,
    approve_removals: bool,
    rejection_limit: float,
    launcher_name: str | None,
    store_url: str,
    as_json: bool,
) -> None:
    """Make audiences equal to their segments; tell platforms of conversions."""
    from cdp_bridge.sync.run import Run

    if bool(names) == everything:
        raise click.UsageError("name the audiences to sync, or give --all")
    registry = find_plugins()
    launcher = registry.launcher(launcher_name) if launcher_name else None
    with open_store(store_url) as store:
        syncs = _chosen(store.bridge().syncs, names)
        if dry_run:
            with connectors_print_to_stderr():
                previews = {one.name: Run(store, registry, one, launcher=launcher).preview() for one in syncs}
            _show(previews, as_json)
            return
        with _bars(quiet=as_json) as show, connectors_print_to_stderr():
            logs = _Runs(store, registry, launcher, show, approve_removals).sync(syncs)
    if as_json:
        print_json(logs)
    else:
        print_table(RUN_COLUMNS, map(run_row, logs))
        for one in logs:
            if one.error:
                click.echo(f"{one.audience}: {one.error}", err=True)
    click.get_current_context().exit(exit_code(logs, rejection_limit))


def exit_code(logs: Sequence[SyncLog], rejection_limit: float) -> int:
    """1 if a run failed, else 3 if one was rejected too much or waits for approval, else 0."""
    if any(one.status == "failed" for one in logs):
        return 1
    partly = any(one.status == "waiting" or _rejected_share(one) > rejection_limit for one in logs)
    return 3 if partly else 0


def _rejected_share(log: SyncLog) -> float:
    return log.rejected / max(log.adds + log.changes + log.removes, log.rejected, 1)


def _chosen(syncs: Sequence[Sync], names: Sequence[str]) -> list[Sync]:
    known = {one.name: one for one in syncs}
    if not (names or known):
        raise ConfigError("the store has no audience to sync", remedy="Apply a bridge.yaml first, or check --store")
    for name in names:
        if name not in known:
            remedy = f"There are: {', '.join(known)}" if known else "Apply a bridge.yaml first"
            raise ConfigError(f"there is no audience or conversion feed named {name}", remedy=remedy)
    return [known[name] for name in dict.fromkeys(names)] if names else list(syncs)


class _Runs:
    """Carries out runs, those that read the same side by side, and ends all of them when it is interrupted."""

    def __init__(
        self, store: Store, registry: Registry, launcher: Launcher | None, show: Show, approve_removals: bool
    ) -> None:
        self._store, self._registry, self._launcher, self._show = store, registry, launcher, show
        self._approve_removals = approve_removals
        self._stop = threading.Event()

    def sync(self, syncs: Sequence[Sync]) -> list[SyncLog]:
        """A run of each, in this order."""
        from cdp_bridge.sync.run_group import groups, together

        jobs = ([partial(self._sync, one) for one in group] for group in groups(syncs))
        logs = {log.audience: log for group in jobs for log in together(group, self._stop)}
        return [logs[one.name] for one in syncs]

    def _sync(self, chosen: Sync, ticket: ReadTicket) -> SyncLog:
        """One run; one that cannot even start is a failed run, so that the others go on."""
        from datetime import UTC, datetime

        from cdp_bridge.entities import SyncLog
        from cdp_bridge.protocol.failure import sentence
        from cdp_bridge.sync.run import Run
        from cdp_bridge.sync.session import held

        def progress(made: Progress) -> None:
            if self._stop.is_set():
                raise KeyboardInterrupt
            self._show(chosen.name, made)

        try:
            with held(self._store, chosen.name) as lease:
                run = Run(
                    self._store,
                    self._registry,
                    chosen,
                    progress=progress,
                    sleep=self._sleep,
                    launcher=self._launcher,
                    lease=lease,
                    ticket=ticket,
                )
                return run.sync(approve_removals=self._approve_removals)
        except BridgeError as error:
            moment, why = datetime.now(UTC), sentence(error)
            return SyncLog(run_id="", audience=chosen.name, sync_timestamp=moment, status="failed", errors=1, error=why)

    def _sleep(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise KeyboardInterrupt


@contextmanager
def _bars(*, quiet: bool) -> Iterator[Show]:
    """A bar per audience and phase on a terminal, nothing elsewhere."""
    if quiet or not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    with Bars(console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def show(name: str, made: Progress) -> None:
            title = f"{name}: {made.phase}"
            if title not in tasks:
                tasks[title] = bars.add_task(title, total=made.total)
            bars.update(tasks[title], completed=made.done, total=made.total)

        yield show


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
            print_table((title, "count"), counts.items())
