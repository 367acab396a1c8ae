"""Secrets in what people send: kept encrypted in the store, so that all else here holds references only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

from msgspec import to_builtins
from msgspec.structs import replace

from cdp_bridge import settings
from cdp_bridge.configuration import is_reference
from cdp_bridge.entities import CDPConnection, DestinationAccount
from cdp_bridge.errors import ConfigError
from cdp_bridge.oauth import SCHEME
from cdp_bridge.server.api.editing import What, refusal
from cdp_bridge.server.web.endpoint import Core
from cdp_bridge.store.secrets.settings_secrets import moved_secrets, referenced

A = TypeVar("A", CDPConnection, DestinationAccount)


def described(account: CDPConnection | DestinationAccount) -> tuple[What, str, dict[str, Any]]:
    """What kind of entry an account is, the name of its connector, its raw settings."""
    if isinstance(account, CDPConnection):
        return "connection", account.cdp_provider, account.api_credentials
    return "destination", account.connector, account.settings


@contextmanager
def kept(core: Core, account: A, before: A | None) -> Iterator[A]:
    """The account with references, for a block that saves it in place of `before`; what is of no use then is forgotten.

    Problem 422 for a secret that is empty, or a reference that the API does not take.
    """
    what, connector, raw = described(account)
    stood: dict[str, Any] = described(before)[2] if before else {}
    found = core.registry.known(connector)
    # What is wrong with the connector is found out where the account is saved.
    schema = settings.schema(found.settings) if found else {}
    if faults := list(_faults(schema, raw, stood, _field(what))):
        raise refusal(core, account, faults)
    known = partial(is_reference, registry=core.registry)
    with moved_secrets(core.store.secrets, f"{what}.{account.name}", schema, raw, stood, known) as references:
        yield _with(account, references)
    if gone := referenced(SCHEME, stood):
        for name in gone - referenced(SCHEME, to_builtins(core.store.bridge())):
            core.grants.forget(name)


@contextmanager
def dropping_secrets(core: Core, account: A) -> Iterator[None]:
    """For a block that deletes the account."""
    with kept(core, _with(account, {}), account):
        yield


def _faults(schema: dict[str, Any], raw: dict[str, Any], stood: dict[str, Any], field: str) -> Iterator[ConfigError]:
    unchanged = settings.secrets(schema, stood)
    for path, value in settings.secrets(schema, raw).items():
        place = ".".join((field, *path))
        if not value.strip():
            yield ConfigError("is empty", place=place, remedy="Put the secret there")
        # Whoever has a key for the API could else have any file of this machine sent to a host of their choice.
        if value.startswith(("env:", "file:")) and unchanged.get(path) != value:
            yield ConfigError(
                "refers to this machine, which only bridge.yaml may do",
                place=place,
                remedy="Send the secret itself, which is kept encrypted; or apply a bridge.yaml",
            )


def _field(what: What) -> str:
    return "api_credentials" if what == "connection" else "settings"


def _with(account: A, raw: Mapping[str, Any]) -> A:
    return replace(account, **{_field(described(account)[0]): raw})
