"""`plan` and `apply`: the difference between bridge.yaml and the store, shown and made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cdp_bridge.cli.options import command_line_user, find_plugins, json_option, open_store, store_option
from cdp_bridge.cli.output import print_json, print_table

if TYPE_CHECKING:
    from cdp_bridge.configuration import Plan

_file_option = click.option(
    "-f", "--file", "file", required=True, type=click.Path(path_type=Path), metavar="FILE", help="The bridge.yaml."
)
_prune_option = click.option(
    "--prune", is_flag=True, help="Also delete the entries that were made through the API and are not in the file."
)


@click.command()
@_file_option
@_prune_option
@store_option
@json_option
def plan(file: Path, prune: bool, store_url: str, as_json: bool) -> None:
    """Show the entries that `apply` would create, change, delete and keep."""
    from cdp_bridge import configuration

    registry = find_plugins()
    wanted = configuration.load(file, registry)
    with open_store(store_url) as store:
        _print_plan(configuration.plan(store, registry, wanted, prune=prune), as_json)


@click.command()
@_file_option
@_prune_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@store_option
@json_option
def apply(file: Path, prune: bool, yes: bool, store_url: str, as_json: bool) -> None:
    """Make the store's configuration equal to the file, apart from what was made through the API."""
    from cdp_bridge import configuration

    registry = find_plugins()
    wanted = configuration.load(file, registry)
    with open_store(store_url) as store:
        planned = configuration.plan(store, registry, wanted, prune=prune)
        _print_plan(planned, as_json)
        if planned.is_empty:
            return
        if not yes:
            click.confirm("Apply these changes?", abort=True, err=True)
        configuration.apply(store, planned, command_line_user())


def _print_plan(planned: Plan, as_json: bool) -> None:
    if as_json:
        print_json(planned.changes)
        return
    if planned.changes:
        rows: list[tuple[Any, ...]] = [
            (change.action, change.kind, change.name, "\n".join(change.lines())) for change in planned.changes
        ]
        print_table(("", "kind", "name", "details"), rows)
    if planned.is_empty:
        click.echo("Nothing to change.")
