"""`plan` and `apply`: the difference between bridge.yaml and the store, shown and made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cdp_bridge.cli.options import find_plugins, json_option, open_store, store_option
from cdp_bridge.cli.output import print_json, print_table

if TYPE_CHECKING:
    from cdp_bridge.configuration import Change

_file_option = click.option(
    "-f", "--file", "file", required=True, type=click.Path(path_type=Path), metavar="FILE", help="The bridge.yaml."
)


@click.command()
@_file_option
@store_option
@json_option
def plan(file: Path, store_url: str, as_json: bool) -> None:
    """Show what `apply` would create, change and remove."""
    from cdp_bridge import configuration

    wanted = configuration.load(file, find_plugins())
    with open_store(store_url) as store:
        _print_changes(configuration.plan(store.bridge(), wanted), as_json)


@click.command()
@_file_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@store_option
@json_option
def apply(file: Path, yes: bool, store_url: str, as_json: bool) -> None:
    """Make the store's configuration equal to the file."""
    from cdp_bridge import configuration

    wanted = configuration.load(file, find_plugins())
    with open_store(store_url) as store:
        changes = configuration.plan(store.bridge(), wanted)
        _print_changes(changes, as_json)
        if not changes:
            return
        if not yes:
            click.confirm("Apply these changes?", abort=True, err=True)
        store.save_bridge(wanted)


def _print_changes(changes: list[Change], as_json: bool) -> None:
    if as_json:
        print_json(changes)
    elif changes:
        rows: list[tuple[Any, ...]] = [(one.kind, one.what, one.name, "\n".join(one.details)) for one in changes]
        print_table(("", "what", "name", "details"), rows)
    else:
        click.echo("Nothing to change.")
