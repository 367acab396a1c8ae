"""The address of the queue server: a configured cluster, or the local server, which writes it to a file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from cdp_bridge.errors import TransientError
from cdp_bridge.secrets import Secret
from cdp_bridge.settings import option, seal, unseal

_FILE = "address"
_SERVER = r"(nats|tls)://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?"


class Address(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A NATS server or cluster with JetStream, and the credentials for it: none, a token, a user or an nkey."""

    url: Annotated[
        str,
        option("URL", "nats://HOST:4222 or tls://HOST:4222; several with commas", pattern=f"^{_SERVER}(,{_SERVER})*$"),
    ]
    token: Annotated[Secret | None, option("Token")] = None
    user: Annotated[str | None, option("User")] = None
    password: Annotated[Secret | None, option("Password")] = None
    nkey: Annotated[Secret | None, option("NKey seed", "Begins with SU")] = None
    replicas: Annotated[
        Annotated[int, Meta(ge=1, le=5)], option("Replicas", "On how many servers of the cluster each message is kept")
    ] = 1


Find = Callable[[], Address]
"""Called before each connection, since the port of the local server changes with each start."""


def local(folder: Path) -> Find:
    """Finds the local server that another process of this user runs in that folder."""

    def find() -> Address:
        try:
            return unseal(Address, (folder / _FILE).read_bytes())
        except (OSError, msgspec.DecodeError):
            raise TransientError(f"no queue server is running in {folder}; cdp-bridge serve starts one") from None

    return find


def announce(folder: Path, address: Address) -> None:
    """Write the address to the folder, for other processes of this user."""
    write_private(folder / _FILE, seal(address))


def withdraw(folder: Path) -> None:
    """Remove the address of a server that has ended."""
    (folder / _FILE).unlink(missing_ok=True)


def write_private(path: Path, content: bytes) -> None:
    """Replace a file atomically by one that only this user can read."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    new.replace(path)
