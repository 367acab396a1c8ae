"""`connectors`, `spec`, `discover`, `read`, `write`: lists connectors and runs their protocol in this process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from cdp_bridge.cli.options import (
    catalog_option,
    config_option,
    connectors_print_to_stderr,
    find_plugins,
    json_option,
    open_store,
    store_option,
)
from cdp_bridge.cli.output import print_json, print_table

if TYPE_CHECKING:
    from cdp_bridge.model import Inventory, Kind, Stream


@click.command()
@json_option
def connectors(as_json: bool) -> None:
    """List the installed connectors, and the plugins that cannot be used."""
    registry = find_plugins()
    columns = ("name", "kind", "version", "delivery", "documentation")
    listed = [
        (connector.name, connector.kind, registry.version(connector), connector.delivery, connector.documentation)
        for connector in sorted(registry.connectors.values(), key=lambda connector: (connector.kind, connector.name))
    ]
    if as_json:
        rows = [dict(zip(columns, row, strict=True)) for row in listed]
        print_json({"connectors": rows, "failures": registry.failures})
        return
    print_table(columns, listed)
    if registry.failures:
        failures = [(failure.plugin, failure.reason) for failure in registry.failures]
        print_table(("plugin", "why it is not used"), failures)


@click.command()
@click.argument("name")
@click.option("--manifest", "of_package", is_flag=True, help="Print connectors.json of its package instead.")
def spec(name: str, of_package: bool) -> None:
    """Print a connector's specification (settings as JSON Schema)."""
    registry = find_plugins()
    connector = registry.connector(name)
    if of_package:
        from cdp_bridge.connectors.manifest import package_of, written

        package = package_of(connector)
        found = [each for each in registry.connectors.values() if package_of(each) == package]
        click.echo(written(found), nl=False)
        return
    from cdp_bridge.protocol.description import specification

    print_json(specification(connector))


@click.command()
@click.argument("name")
@click.option("--config", metavar="FILE", help="The connector's settings as JSON: prints an Airbyte message.")
@click.option("--connection", metavar="NAME", help="A connection or destination of the store, instead of --config.")
@store_option
@json_option
def discover(name: str, config: str | None, connection: str | None, store_url: str, as_json: bool) -> None:
    """Print what a connector offers: streams or objects, and of a platform its accounts and audiences."""
    if (config is None) == (connection is None):
        raise click.UsageError("give either --config FILE or --connection NAME")
    if config is not None:
        _execute(name, None, ["discover", "--config", config])
        return
    streams, inventory = _discovered(name, str(connection), store_url)
    if as_json:
        print_json({"streams": streams, "inventory": inventory})
        return
    offered = [(stream.name, ", ".join(stream.operations), stream.profile) for stream in streams]
    print_table(("stream", "operations", "profile"), offered)
    if inventory.accounts:
        print_table(("account", "name"), inventory.accounts.items())
    if inventory.audiences:
        rows = [(ref.id, ref.name, ref.status, ref.lower_bound, ref.upper_bound) for ref in inventory.audiences]
        print_table(("audience", "name", "status", "at least", "at most"), rows)


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


def _discovered(name: str, connection: str, store_url: str) -> tuple[tuple[Stream, ...], Inventory]:
    from cdp_bridge.cli.check import settings_of
    from cdp_bridge.connectors.credentials import resolver
    from cdp_bridge.connectors.probing import discovered

    registry = find_plugins()
    connector = registry.connector(name)
    with open_store(store_url) as store:
        raw = settings_of(store.bridge(), connector, connection)
        secrets = resolver(store, registry)
        with connectors_print_to_stderr(), discovered(registry, connector, raw, secrets) as account:
            return account.catalog.streams, account.inventory()


def _execute(name: str, kind: Kind | None, arguments: Sequence[str]) -> None:
    connector = find_plugins().connector(name, kind)
    from cdp_bridge.protocol import run

    run(connector, arguments)
