"""`doctor`: checks the installation, from interpreter to credentials."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cdp_bridge.cli.check import configured, probe, report
from cdp_bridge.cli.options import find_plugins, json_option, open_store, store_option
from cdp_bridge.errors import BridgeError

if TYPE_CHECKING:
    from cdp_bridge.connectors.registry import Registry
    from cdp_bridge.model import Probe
    from cdp_bridge.store import Store

MIN_PYTHON = (3, 11)
MIN_DISK_BYTES = 1_000_000_000
"""A sync of a million members spills less than this."""


@click.command()
@click.option("--containers", is_flag=True, help="Check the containers of all connectors instead, image by image.")
@store_option
@json_option
def doctor(containers: bool, store_url: str, as_json: bool) -> None:
    """Check python, packages, plugins, store, disk, secrets and every configured connector."""
    registry = find_plugins()
    if containers:
        report(list(_containers(registry)), as_json)
        return
    probes = [*_environment(registry), *_disk(store_url)]
    try:
        with open_store(store_url) as store:
            probes += [*_store(store), _secrets(store), _api_keys(store), _audit(store), *_accounts(registry, store)]
    except BridgeError as error:
        probes.append(_probe("store", False, str(error)))
    report(probes, as_json)


def _environment(registry: Registry) -> Iterator[Probe]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield _probe("python", sys.version_info >= MIN_PYTHON, version, "Use Python 3.11 or newer")
    missing = ", ".join(_missing_packages())
    yield _probe("packages", not missing, f"missing: {missing}" if missing else "all there", "Reinstall cdp-bridge")
    for failure in registry.failures:
        yield _probe(f"plugin {failure.plugin}", False, failure.reason, "Update or uninstall the plugin")
    if not registry.failures:
        yield _probe("plugins", True, f"{len(registry.connectors)} connectors")


def _missing_packages() -> list[str]:
    import re
    from importlib.metadata import PackageNotFoundError, requires, version

    missing = []
    for requirement in requires("cdp-bridge") or ():
        if "extra ==" in requirement:
            continue
        name = re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]
        try:
            version(name)
        except PackageNotFoundError:
            missing.append(name)
    return missing


def _disk(store_url: str) -> Iterator[Probe]:
    import shutil
    import tempfile

    folders = {"temporary files": Path(tempfile.gettempdir())}
    if store_url.startswith("sqlite:///"):
        folders["store"] = Path(store_url.removeprefix("sqlite:///")).resolve().parent
    for name, folder in folders.items():
        if folder.is_dir():
            free = shutil.disk_usage(folder).free
            detail = f"{free / 1e9:.1f} GB free"
            yield _probe(f"disk for {name}", free >= MIN_DISK_BYTES, detail, f"Free some space in {folder}")


def _store(store: Store) -> Iterator[Probe]:
    faults = store.integrity()
    yield _probe("store", not faults, "; ".join(faults) or "reachable, migrated, intact", "Restore it from a backup")


def _secrets(store: Store) -> Probe:
    from cdp_bridge.model import Probe

    return Probe.of("secrets", lambda: f"{store.secrets.examine()} kept in the store, each opened with the keyring")


def _api_keys(store: Store) -> Probe:
    expiring = store.api_keys.expiring()
    ends = ", ".join(f"{key.id} ({key.name}) on {key.expires_at:%Y-%m-%d}" for key in expiring)
    remedy = "Make another one with cdp-bridge keys create, and give it to whoever uses this one"
    return _probe("api keys", not expiring, f"expire soon: {ends}" if ends else "none expires soon", remedy)


def _audit(store: Store) -> Probe:
    chain = store.audit.verify()
    changed = f"changed, or after a gap: {', '.join(map(str, chain.changed[:5]))}" if chain.changed else ""
    detail = changed or f"{chain.length} entries in a chain that ends with {chain.newest.hex()[:16] or 'nothing'}"
    remedy = "Compare it with an earlier cdp-bridge audit; somebody has written to the database"
    return _probe("audit log", not changed, detail, remedy)


def _accounts(registry: Registry, store: Store) -> Iterator[Probe]:
    from msgspec.structs import replace

    from cdp_bridge.connectors.credentials import resolver

    secrets = resolver(store, registry)
    for name, (connector, raw) in configured(store.bridge()).items():
        try:
            probes = probe(registry, registry.connector(connector), raw, secrets)
        except BridgeError as error:
            probes = [_probe("connector", False, str(error))]
        for result in probes:
            yield replace(result, name=f"{name}: {result.name}")


def _containers(registry: Registry) -> Iterator[Probe]:
    """A failed probe for each container that does not start, then each check over all that do."""
    from cdp_bridge.connectors.launch.containers import DockerLauncher

    results: dict[str, list[Probe]] = {}
    for connector in registry.connectors.values():
        try:
            results[connector.name] = DockerLauncher().examine(connector)
        except BridgeError as error:
            yield _probe(connector.name, False, str(error))
    for same in zip(*results.values(), strict=True):
        failed = [name for name, result in zip(results, same, strict=True) if not result.passed]
        detail = f"not so: {', '.join(failed)}" if failed else f"{len(results)} images"
        yield _probe(same[0].name, not failed, detail, same[0].remedy)


def _probe(name: str, passed: bool, detail: str, remedy: str = "") -> Probe:
    from cdp_bridge.model import Probe

    return Probe(name, passed, detail, "" if passed else remedy)
