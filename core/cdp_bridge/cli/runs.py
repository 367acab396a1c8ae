"""`runs` and `audiences`: what happened, and what there is."""

from __future__ import annotations

import click

from .options import json_option, open_store, store_option
from .output import print_json, print_table

_COLUMNS = (
    "run_id",
    "audience",
    "status",
    "records_processed",
    "adds",
    "changes",
    "removes",
    "rejected",
    "unknown",
    "match_rate",
    "latency",
    "error",
)


@click.command()
@click.option("--audience", metavar="NAME", help="Only the runs of this audience.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1), help="The newest so many.")
@store_option
@json_option
def runs(audience: str | None, limit: int, store_url: str, as_json: bool) -> None:
    """List runs, newest first."""
    with open_store(store_url) as store:
        found = store.runs(audience, limit)
    if as_json:
        print_json(found)
        return
    rows = [(f"{one.sync_timestamp:%Y-%m-%d %H:%M:%S}", *(getattr(one, name) for name in _COLUMNS)) for one in found]
    print_table(("time", *_COLUMNS), rows)


@click.command()
@store_option
@json_option
def audiences(store_url: str, as_json: bool) -> None:
    """List audiences: what the platform calls them, how many members are acknowledged, the last run."""
    with open_store(store_url) as store:
        found = store.audiences()
    if as_json:
        print_json(found)
        return
    rows = [
        (
            one.name,
            one.ref.id if one.ref else None,
            one.ref.status if one.ref else None,
            one.members,
            one.last_run.status if one.last_run else "never",
            f"{one.last_run.sync_timestamp:%Y-%m-%d %H:%M:%S}" if one.last_run else None,
        )
        for one in found
    ]
    print_table(("audience", "id at the platform", "status there", "members", "last run", "at"), rows)
