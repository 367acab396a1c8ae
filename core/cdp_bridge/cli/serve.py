"""`serve` and `worker`: run API, scheduler and workers over local queues or a cluster."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cdp_bridge.cli.options import launcher_option, open_store, store_option
from cdp_bridge.cli.prune import retention, retention_options
from cdp_bridge.errors import ConfigError

if TYPE_CHECKING:
    from cdp_bridge.connectors.registry import Registry
    from cdp_bridge.flow import Find

queue_options = (
    click.option(
        "--queue-folder",
        envvar="CDP_BRIDGE_QUEUE_FOLDER",
        default="cdp-bridge-queue",
        show_default=True,
        type=click.Path(path_type=Path),
        metavar="FOLDER",
        help="Where the queue server of this machine keeps its files.",
    ),
    click.option(
        "--queue",
        envvar="CDP_BRIDGE_QUEUE",
        metavar="FILE",
        help="A NATS cluster instead: JSON with url and credentials (secrets may be references).",
    ),
)
trust_option = click.option(
    "--trust-plugin",
    "trusted",
    envvar="CDP_BRIDGE_TRUSTED_PLUGINS",
    multiple=True,
    metavar="DISTRIBUTION",
    help="A package that is not ours whose plugins may run in this process; may be repeated.",
)


@click.command()
@click.option("--host", envvar="CDP_BRIDGE_HOST", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option("--port", envvar="CDP_BRIDGE_PORT", default=8080, show_default=True, type=click.IntRange(0, 65535))
@click.option(
    "--health-port",
    envvar="CDP_BRIDGE_HEALTH_PORT",
    default=8081,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Where /healthz and /readyz are, for whoever supervises the process.",
)
@click.option(
    "--trusted-proxy",
    "proxies",
    envvar="CDP_BRIDGE_TRUSTED_PROXIES",
    multiple=True,
    metavar="ADDRESS",
    help="Address or network of a proxy in front, whose X-Forwarded-For is believed; may be repeated.",
)
@click.option(
    "--allow-local",
    "allowed",
    envvar="CDP_BRIDGE_ALLOW_LOCAL",
    multiple=True,
    metavar="NAME",
    help="A folder, program, image or database file that API keys may name in settings; may be repeated.",
)
@click.option(
    "--allow-host",
    "allowed_hosts",
    envvar="CDP_BRIDGE_ALLOWED_HOSTS",
    multiple=True,
    metavar="HOST",
    help="A host that API keys may name in settings besides the vendors': HOST, HOST:PORT, *.DOMAIN; may be repeated.",
)
@click.option(
    "--first-key-file",
    envvar="CDP_BRIDGE_FIRST_KEY_FILE",
    default="cdp-bridge-first-key",
    show_default=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where the first key of a new store is for ten minutes, readable by this user only.",
)
@click.option(
    "--public-url",
    envvar="CDP_BRIDGE_PUBLIC_URL",
    metavar="URL",
    help="The address for browsers, which return to it after signing in at platforms. Else where it listens.",
)
@click.option(
    "--workers",
    default=2,
    show_default=True,
    type=click.IntRange(0),
    help="How many runs to execute at a time; 0 leaves them to cdp-bridge worker.",
)
@queue_options[0]
@queue_options[1]
@launcher_option
@trust_option
@retention_options
@store_option
def serve(  # noqa: PLR0913 - a parameter for each option
    host: str,
    port: int,
    health_port: int,
    proxies: tuple[str, ...],
    allowed: tuple[str, ...],
    allowed_hosts: tuple[str, ...],
    first_key_file: Path,
    public_url: str | None,
    workers: int,
    queue_folder: Path,
    queue: str | None,
    launcher_name: str | None,
    trusted: tuple[str, ...],
    store_url: str,
    **kept: int,
) -> None:
    """Serve the API, schedule syncs and execute their runs, until SIGTERM."""
    with needing_server():
        from cdp_bridge.flow import Flow
        from cdp_bridge.orchestration.worker import stop_on_signals
        from cdp_bridge.server.first_key import first_key
        from cdp_bridge.server.service import Listeners, Parts, Service, listen
    from cdp_bridge.http.allowed_hosts import VARIABLE, listed

    listed(allowed_hosts)
    # Connectors look there, in this process and in those that it starts.
    os.environ[VARIABLE] = " ".join(allowed_hosts)
    registry = trusted_plugins(trusted)
    launcher = registry.launcher(launcher_name) if launcher_name else None
    with (
        open_store(store_url) as store,
        listen(host, port) as listener,
        listen(host, health_port) as health_listener,
        queues(registry, queue_folder, queue) as find,
        Flow(find) as flow,
        first_key(store, first_key_file) as is_new,
    ):
        stop = stop_on_signals()
        if is_new:
            click.echo(f"No API key is valid. For ten minutes, {first_key_file.resolve()} has one that makes another.")
        name = f"[{host}]" if ":" in host else host
        url = f"http://{name}:{listener.getsockname()[1]}"
        click.echo(f"Serving at {url} (described at /docs)")
        click.echo(f"Health at http://{name}:{health_listener.getsockname()[1]}/readyz")
        parts = Parts(
            store,
            registry,
            flow,
            launcher,
            workers,
            retention(kept),
            public_url or url,
            proxies=networks(proxies),
            allowed=allowed,
            allowed_hosts=allowed_hosts,
        )
        ended_well = Service(parts, Listeners(listener, health_listener), stop).run()
    click.get_current_context().exit(0 if ended_well else 1)


@click.command()
@click.option("--slots", default=2, show_default=True, type=click.IntRange(1), help="Runs to execute at a time.")
@queue_options[0]
@queue_options[1]
@launcher_option
@trust_option
@store_option
def worker(
    slots: int,
    queue_folder: Path,
    queue: str | None,
    launcher_name: str | None,
    trusted: tuple[str, ...],
    store_url: str,
) -> None:
    """Execute runs beside a `serve` that shares store and queues, until SIGTERM."""
    with needing_server():
        from cdp_bridge.flow import Flow, local
        from cdp_bridge.orchestration.runner import Runner
        from cdp_bridge.orchestration.worker import stop_on_signals, sync_on_request, work
    registry = trusted_plugins(trusted)
    launcher = registry.launcher(launcher_name) if launcher_name else None
    find = cluster(registry, queue) if queue else local(queue_folder)
    with open_store(store_url) as store, Flow(find) as flow:
        run_sync = sync_on_request(Runner(store, registry, launcher))
        work(flow, store, run_sync, slots=slots, stop=stop_on_signals())


def trusted_plugins(trusted: tuple[str, ...]) -> Registry:
    """The plugins of this environment, for a process that others reach: of what is not trusted, no code is run."""
    from cdp_bridge.connectors.registry import Registry
    from cdp_bridge.connectors.trust import Trust

    return Registry(trust=Trust(trusted))


def networks(proxies: Iterable[str]) -> tuple[str, ...]:
    """The addresses and networks of trusted proxies; ConfigError for one that is neither."""
    import ipaddress

    for proxy in proxies:
        try:
            ipaddress.ip_network(proxy)
        except ValueError:
            remedy = "Write 10.0.0.5 or 10.0.0.0/24"
            raise ConfigError("is neither an address nor a network", place="--trusted-proxy", remedy=remedy) from None
    return tuple(proxies)


@contextmanager
def needing_server() -> Iterator[None]:
    """Raise ConfigError that names the missing extra if an import fails."""
    try:
        yield
    except ImportError as error:
        raise ConfigError(f"{error.name} is not installed", remedy="Install cdp-bridge[server,embedded]") from None


def cluster(registry: Registry, config: str) -> Find:
    """The address of the cluster in a settings file."""
    from cdp_bridge import settings
    from cdp_bridge.flow import Address
    from cdp_bridge.protocol import catalog
    from cdp_bridge.secrets import Resolver

    address = settings.load(Address, catalog.config(config), Resolver(plugins=registry.secret))
    return lambda: address


@contextmanager
def queues(registry: Registry, folder: Path, config: str | None) -> Iterator[Find]:
    """The address of a cluster, or of a local server that runs for the length of the block."""
    if config is not None:
        yield cluster(registry, config)
        return
    from cdp_bridge.flow import LocalServer

    with LocalServer(folder) as server:
        yield server.find
