"""Secrets in the bodies of requests: stored encrypted, so that the configuration has references only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

from msgspec.structs import replace

from cdp_bridge import settings
from cdp_bridge.configuration import is_reference
from cdp_bridge.configuration.machine import refused
from cdp_bridge.entities import CDPConnection, DestinationAccount, EntryKind
from cdp_bridge.errors import ConfigError
from cdp_bridge.server.web.editing import refusal
from cdp_bridge.server.web.endpoint import Core
from cdp_bridge.store.secrets.settings_secrets import moved_secrets

A = TypeVar("A", CDPConnection, DestinationAccount)


def described(account: CDPConnection | DestinationAccount) -> tuple[EntryKind, str, dict[str, Any]]:
    """The kind of entry that an account is, the name of its connector, its raw settings."""
    if isinstance(account, CDPConnection):
        return "connection", account.cdp_provider, account.api_credentials
    return "destination", account.connector, account.settings


@contextmanager
def storing_secrets(core: Core, account: A, before: A | None) -> Iterator[A]:
    """The account with references, for a block that saves it in place of `before`; if it fails, no secret is kept.

    Problem 422 for a secret that is empty, or a reference that the API does not take.
    """
    kind, name, raw = described(account)
    connector = core.registry.known(name)
    # An unknown connector is refused where the account is saved.
    schema = settings.schema(connector.settings) if connector else {}
    _, name_before, raw_before = described(before) if before else (kind, "", {})
    faults = list(_faults(schema, raw, raw_before, _field(kind)))
    for fault in refused(core.registry, name, raw, raw_before if name == name_before else None, core.allowed):
        place = ".".join(filter(None, (_field(kind), fault.place)))
        faults.append(ConfigError(fault.problem, place=place, remedy=fault.remedy))
    if faults:
        raise refusal(core, account, faults)
    known = partial(is_reference, registry=core.registry)
    with moved_secrets(core.store.secrets, f"{kind}.{account.name}", schema, raw, known) as references:
        yield replace(account, **{_field(kind): references})


def _faults(schema: dict[str, Any], raw: dict[str, Any], before: dict[str, Any], field: str) -> Iterator[ConfigError]:
    unchanged = settings.secrets(schema, before)
    for path, value in settings.secrets(schema, raw).items():
        place = ".".join((field, *path))
        if not value.strip():
            yield ConfigError("is empty", place=place, remedy="Put the secret there")
        # Otherwise a key for the API could send any file of this machine to any host.
        if value.startswith(("env:", "file:")) and unchanged.get(path) != value:
            yield ConfigError(
                "refers to this machine, which only bridge.yaml may do",
                place=place,
                remedy="Send the secret itself, which is kept encrypted; or apply a bridge.yaml",
            )


def _field(kind: EntryKind) -> str:
    return "api_credentials" if kind == "connection" else "settings"
