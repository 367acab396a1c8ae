"""Defines the options that several commands share, and opens store and plugins."""

from __future__ import annotations

from contextlib import AbstractContextManager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from cdp_bridge.connectors.registry import Registry
    from cdp_bridge.store import Store

DEFAULT_STORE = "sqlite:///cdp-bridge.db"
# (uid_t) -1, as audit(7) has it for processes that no sign-in has begun.
_NOBODY_SIGNED_IN = 2**32 - 1

store_option = click.option(
    "--store",
    "store_url",
    envvar="CDP_BRIDGE_STORE",
    default=DEFAULT_STORE,
    show_default=True,
    metavar="URL",
    help="Where the bridge keeps its state: sqlite:///FILE or postgresql://... (or set CDP_BRIDGE_STORE).",
)
launcher_option = click.option(
    "--launcher",
    "launcher_name",
    metavar="NAME",
    help="Run each connector in a process of its own: local, docker, or what a plugin brings. Else in this process.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs instead of a table.")
config_option = click.option(
    "--config", required=True, metavar="FILE", help="The connector's settings as JSON; secrets may be references."
)
catalog_option = click.option("--catalog", required=True, metavar="FILE", help="An Airbyte configured catalog.")


def connectors_print_to_stderr() -> AbstractContextManager[object]:
    """Redirect what a connector prints to stderr, so that it does not mix with tables and JSON."""
    from cdp_bridge.redact import RedactedStdout

    return redirect_stdout(RedactedStdout())


def open_store(url: str) -> Store:
    """The store of that URL; the default one is announced when it is new, since each folder has another."""
    from cdp_bridge.store import Store

    file = Path(DEFAULT_STORE.removeprefix("sqlite:///"))
    is_new = url == DEFAULT_STORE and not file.exists()
    store = Store.open(url)
    if is_new:
        text = f"A new store was made: {file.absolute()} (to use another: --store URL, or CDP_BRIDGE_STORE)"
        click.echo(text, err=True)
    return store


def command_line_user() -> str:
    """How the audit log names whoever runs a command; not by a variable, which anybody can set."""
    import os

    user, login = os.getuid(), _login_user()
    name = f"cli:{_name_of(user)}"
    return name if login in (None, user) else f"{name} (signed in as {_name_of(login)})"


def _login_user() -> int | None:
    """Who had signed in before sudo or su, as Linux remembers it; None where it does not."""
    try:
        login = int(Path("/proc/self/loginuid").read_text())
    except (OSError, ValueError):
        return None
    return None if login == _NOBODY_SIGNED_IN else login


def _name_of(user: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        # In a container, the user often has no name.
        return str(user)


def find_plugins() -> Registry:
    """The plugins of this environment, for a command of somebody who may run their code anyway."""
    from cdp_bridge.connectors.registry import Registry

    return Registry()
