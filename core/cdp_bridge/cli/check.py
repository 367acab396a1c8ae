"""`check`: checks settings of a connector, probe by probe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cdp_bridge.cli.options import connectors_print_to_stderr, find_plugins, json_option, open_store, store_option
from cdp_bridge.cli.output import print_json, print_table
from cdp_bridge.errors import ConfigError

if TYPE_CHECKING:
    from cdp_bridge.connectors.registry import Registry
    from cdp_bridge.entities import Bridge
    from cdp_bridge.model import Connector, Probe
    from cdp_bridge.secrets import Resolver


@click.command()
@click.argument("name")
@click.option("--config", metavar="FILE", help="The connector's settings as JSON; secrets may be references.")
@click.option("--connection", metavar="NAME", help="A connection or destination of the store, instead of --config.")
@store_option
@json_option
def check(name: str, config: str | None, connection: str | None, store_url: str, as_json: bool) -> None:
    """Check credentials, permissions and reachability of a connector."""
    if (config is None) == (connection is None):
        raise click.UsageError("give either --config FILE or --connection NAME")
    registry = find_plugins()
    connector = registry.connector(name)
    if config is not None:
        from cdp_bridge.protocol import catalog
        from cdp_bridge.secrets import Resolver

        probes = probe(registry, connector, catalog.config(config), Resolver(plugins=registry.secret))
    else:
        probes = _check_configured(registry, connector, str(connection), store_url)
    report(probes, as_json)


def report(probes: list[Probe], as_json: bool) -> None:
    """Print probes, and exit with 1 if one has failed."""
    if as_json:
        print_json(probes)
    else:
        print_probes(probes)
    if not all(probe.passed for probe in probes):
        click.get_current_context().exit(1)


def probe(registry: Registry, connector: Connector, raw: dict[str, Any], resolver: Resolver) -> list[Probe]:
    """The probes of a connector; each wrong setting is a failed probe."""
    from cdp_bridge.connectors.probing import check

    with connectors_print_to_stderr():
        return check(registry, connector, raw, resolver)


def print_probes(probes: list[Probe]) -> None:
    """A table of probes."""
    rows = [("ok" if probe.passed else "FAILED", probe.name, probe.detail, probe.remedy) for probe in probes]
    print_table(("", "probe", "found", "remedy"), rows)


def configured(bridge: Bridge) -> dict[str, tuple[str, dict[str, Any]]]:
    """Connector and raw settings of everything that the store has configured, by name."""
    sources = {account.name: (account.cdp_provider, account.api_credentials) for account in bridge.connections}
    return {**sources, **{account.name: (account.connector, account.settings) for account in bridge.destinations}}


def settings_of(bridge: Bridge, connector: Connector, name: str) -> dict[str, Any]:
    """The raw settings of the configured account of that name; ConfigError if there is none of the connector."""
    account = configured(bridge).get(name)
    if account is None:
        known = ", ".join(sorted(configured(bridge))) or "none; apply a bridge.yaml first"
        raise ConfigError(f"there is no connection or destination named {name}", remedy=f"There are: {known}")
    provider, raw = account
    if provider != connector.name:
        raise ConfigError(f"{name} is of {provider}, not {connector.name}", remedy=f"cdp-bridge check {provider} ...")
    return raw


def _check_configured(registry: Registry, connector: Connector, name: str, store_url: str) -> list[Probe]:
    from cdp_bridge.connectors.credentials import resolver

    with open_store(store_url) as store:
        bridge = store.bridge()
        raw = settings_of(bridge, connector, name)
        probes = probe(registry, connector, raw, resolver(store, registry))
        if any(connection.name == name for connection in bridge.connections):
            store.set_connection_status(name, "connected" if all(probe.passed for probe in probes) else "failed")
    return probes
