"""`runs` and `audiences`: lists runs, and audiences with their last run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cdp_bridge.cli.options import json_option, open_store, store_option
from cdp_bridge.cli.output import print_json, print_table, print_text

if TYPE_CHECKING:
    from cdp_bridge.entities import MatchEstimate, SyncLog

RUN_COLUMNS = ("audience", "status", "people", "+", "~", "-", "rejected", "unknown", "acceptance rate", "seconds")


def run_row(log: SyncLog) -> tuple[object, ...]:
    """One run in a table with `RUN_COLUMNS`: people read; members added, changed, removed; acceptance rate."""
    counts = log.records_processed, log.adds, log.changes, log.removes, log.rejected, log.unknown
    return (log.audience, log.status, *counts, log.match_rate, log.latency)


@click.command()
@click.option("--audience", metavar="NAME", help="Only the runs of this audience.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1), help="How many, the newest first.")
@store_option
@json_option
def runs(audience: str | None, limit: int, store_url: str, as_json: bool) -> None:
    """List runs, newest first."""
    with open_store(store_url) as store:
        logs = store.runs(audience, limit)
    if as_json:
        print_json(logs)
        return
    print_table(("time", *RUN_COLUMNS), [(_time(log), *run_row(log)) for log in logs])
    for log in logs:
        if log.error:
            print_text(f"{_time(log)} {log.audience}: {log.error}")


@click.command()
@store_option
@json_option
def audiences(store_url: str, as_json: bool) -> None:
    """List audiences: what the platform calls them, how many members are acknowledged, the last run."""
    with open_store(store_url) as store:
        listed = store.audiences()
    if as_json:
        print_json(listed)
        return
    rows = [
        (
            row.name,
            row.ref.id if row.ref else None,
            row.ref.status if row.ref else None,
            row.members,
            _match(row.match),
            row.last_run.status if row.last_run else "never",
            _time(row.last_run) if row.last_run else None,
        )
        for row in listed
    ]
    print_table(("audience", "id at the platform", "status there", "members", "platform match", "last run", "at"), rows)


def _match(estimate: MatchEstimate | None) -> str | None:
    """The platform's own estimate of whom it knows, as an interval, and its time."""
    if estimate is None:
        return None
    people = [f"{bound:,}" for bound in (estimate.lower_people, estimate.upper_people) if bound is not None]
    rates = [f"{bound:.0%}" for bound in (estimate.lower_rate, estimate.upper_rate) if bound is not None]
    told = [" to ".join(dict.fromkeys(bounds)) for bounds in (people, rates) if bounds]
    return f"{', '.join(told)} ({estimate.at:%m-%d %H:%M})"


def _time(log: SyncLog) -> str:
    return f"{log.sync_timestamp:%m-%d %H:%M}"
