"""`connectors`, `spec`, `discover`, `read`, `write`: what is installed, and its protocol in this process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from .options import catalog_option, config_option, find_plugins, json_option
from .output import print_json, print_table

if TYPE_CHECKING:
    from ..model import Kind


@click.command()
@json_option
def connectors(as_json: bool) -> None:
    """List the installed connectors, and the plugins that cannot be used."""
    registry = find_plugins()
    columns = ("name", "kind", "version", "delivery", "documentation")
    found = [
        (one.name, one.kind, registry.version(one), one.delivery, one.documentation)
        for one in sorted(registry.connectors.values(), key=lambda one: (one.kind, one.name))
    ]
    if as_json:
        rows = [dict(zip(columns, row, strict=True)) for row in found]
        print_json({"connectors": rows, "failures": registry.failures})
        return
    print_table(columns, found)
    if registry.failures:
        failures = [(failure.plugin, failure.reason) for failure in registry.failures]
        print_table(("plugin", "why it is not used"), failures)


@click.command()
@click.argument("name")
def spec(name: str) -> None:
    """Print a connector's specification (settings as JSON Schema)."""
    from ..protocol.description import specification

    print_json(specification(find_plugins().connector(name)))


@click.command()
@click.argument("name")
@config_option
def discover(name: str, config: str) -> None:
    """Print what a connector offers under these settings, as an Airbyte message."""
    _execute(name, None, ["discover", "--config", config])


@click.command()
@click.argument("name")
@config_option
@catalog_option
@click.option("--state", metavar="FILE", help="The STATE messages of an earlier read, as a JSON list.")
def read(name: str, config: str, catalog: str, state: str | None) -> None:
    """Read from a source; prints Airbyte messages."""
    extra = ["--state", state] if state else []
    _execute(name, "source", ["read", "--config", config, "--catalog", catalog, *extra])


@click.command()
@click.argument("name")
@config_option
@catalog_option
def write(name: str, config: str, catalog: str) -> None:
    """Write the Airbyte messages on standard input to a destination."""
    _execute(name, "destination", ["write", "--config", config, "--catalog", catalog])


def _execute(name: str, kind: Kind | None, arguments: Sequence[str]) -> None:
    connector = find_plugins().connector(name, kind)
    from ..protocol import run

    run(connector, arguments)
