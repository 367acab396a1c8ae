"""`prune`: deletes old records."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cdp_bridge.cli.options import json_option, open_store, store_option
from cdp_bridge.cli.output import print_json, print_table

if TYPE_CHECKING:
    from cdp_bridge.store.retention import Retention

F = TypeVar("F", bound=Callable[..., Any])

_RETENTION = {
    "runs": (400, "Days that runs are kept; the newest of an audience stays."),
    "requests": (90, "Days that ended run requests and their logs are kept."),
    "dead_letters": (90, "Days that refused members are kept; then they are tried again."),
    "audit": (400, "Days that the audit log is kept."),
}


def retention_options(command: F) -> F:
    """An option for each retention period; `retention` reads them."""
    for name, (days, text) in reversed(_RETENTION.items()):
        option = click.option(
            f"--keep-{name.replace('_', '-')}",
            f"keep_{name}",
            envvar=f"CDP_BRIDGE_KEEP_{name.upper()}",
            type=click.IntRange(1, 36_500),
            default=days,
            show_default=True,
            metavar="DAYS",
            help=text,
        )
        command = option(command)
    return command


def retention(options: dict[str, int]) -> Retention:
    """The retention periods of the options."""
    from cdp_bridge.store.retention import Retention

    return Retention(**{name: options[f"keep_{name}"] for name in _RETENTION})


@click.command()
@retention_options
@store_option
@json_option
def prune(store_url: str, as_json: bool, **kept: int) -> None:
    """Delete old records, and remove deleted data from the file of SQLite."""
    import msgspec

    with open_store(store_url) as store:
        pruned = store.prune(retention(kept))
        store.wipe()
    if as_json:
        print_json(pruned)
    else:
        print_table(("records", "deleted"), list(msgspec.structs.asdict(pruned).items()))
