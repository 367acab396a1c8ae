"""The secret behind a reference, wherever it is kept."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from cdp_bridge.errors import ConfigError
from cdp_bridge.files import MARK, decode_text
from cdp_bridge.secrets.secret import Secret

Lookup = Callable[[str], Secret]
"""The secret of that name; ConfigError when there is none."""


class Resolver:
    """Resolves `env:` and `file:` on this machine, `store:` and `oauth:` through a store, the rest through plugins.

    `stored` and `granted` know the names behind `store:NAME` and `oauth:NAME`; without a store both are refused.
    `plugins` gets the whole reference, and returns None if it is none of theirs.
    """

    def __init__(
        self,
        *,
        stored: Lookup | None = None,
        granted: Lookup | None = None,
        plugins: Callable[[str], Secret | None] = lambda _: None,
    ) -> None:
        self._lookups: dict[str, Lookup | None] = {
            "env": _from_environment,
            "file": _from_file,
            "store": stored,
            "oauth": granted,
        }
        self._plugins = plugins

    def granting(self, granted: Lookup) -> Resolver:
        """The same, with another way to find what is behind `oauth:NAME`."""
        return Resolver(stored=self._lookups["store"], granted=granted, plugins=self._plugins)

    def secret(self, value: str) -> Secret:
        """The secret that a reference names, or the value itself as a secret where it is no reference.

        Raises ConfigError where nothing is behind the reference, and what a lookup raises.
        """
        scheme, _, name = value.partition(":")
        if name and scheme in self._lookups:
            lookup = self._lookups[scheme]
            if lookup is None:
                raise ConfigError(
                    f"{scheme}: names what a store keeps, and none is in use here",
                    remedy="Use env:NAME or file:PATH, or name a connection or destination of the store",
                )
            # What a platform granted was never in an editor.
            return lookup(name) if scheme == "oauth" else _stripped(lookup(name), f"the secret {value}")
        return _stripped(self._plugins(value) or Secret(value), "the secret")


def _from_environment(name: str) -> Secret:
    if name not in os.environ:
        raise ConfigError(
            f"the environment variable {name} is not set", remedy=f"Export {name} or name another reference"
        )
    return Secret(os.environ[name])


def _from_file(path: str) -> Secret:
    where = os.path.abspath(path)
    try:
        data = Path(path).read_bytes()
    except (OSError, ValueError):
        raise ConfigError(
            f"the secret file {where} cannot be read", remedy="Create it, readable by this user"
        ) from None
    try:
        return Secret(decode_text(data))
    except ConfigError as error:
        raise ConfigError(f"the secret file {where} {error.problem}", remedy=error.remedy) from None


def _stripped(secret: Secret, where: str) -> Secret:
    """A secret without the byte order mark and the line break that editors and shells add; no secret is empty."""
    text = secret.reveal().removeprefix(MARK).strip()
    if not text:
        raise ConfigError(f"{where} is empty", remedy="Put the secret there")
    return Secret(text)
