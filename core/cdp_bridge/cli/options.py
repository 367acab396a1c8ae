"""The options that several commands share, and what they open."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ..registry import Registry
    from ..store import Store

DEFAULT_STORE = "sqlite:///cdp-bridge.db"

store_option = click.option(
    "--store",
    "store_url",
    envvar="CDP_BRIDGE_STORE",
    default=DEFAULT_STORE,
    show_default=True,
    metavar="URL",
    help="Where the bridge keeps its state: sqlite:///FILE or postgresql://... (or set CDP_BRIDGE_STORE).",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs instead of a table.")
config_option = click.option(
    "--config", required=True, metavar="FILE", help="The connector's settings as JSON; secrets may be references."
)
catalog_option = click.option("--catalog", required=True, metavar="FILE", help="An Airbyte configured catalog.")


def open_store(url: str) -> Store:
    """The store of that URL."""
    from ..store import Store

    return Store.open(url)


def find_plugins() -> Registry:
    """The plugins of this environment."""
    from ..registry import Registry

    return Registry()
