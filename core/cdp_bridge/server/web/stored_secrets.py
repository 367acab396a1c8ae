"""Secrets in the bodies of requests: stored encrypted, so that the configuration has references only."""

from __future__ import annotations

from collections.abc import Container, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

from msgspec.structs import replace

from cdp_bridge import settings
from cdp_bridge.configuration import is_reference
from cdp_bridge.configuration.hosts import changed, foreign
from cdp_bridge.configuration.machine import refused
from cdp_bridge.entities import CDPConnection, DestinationAccount, EntryKind
from cdp_bridge.errors import ConfigError
from cdp_bridge.model import Connector
from cdp_bridge.oauth import SCHEME as OAUTH
from cdp_bridge.server.web.editing import refusal
from cdp_bridge.server.web.endpoint import Core
from cdp_bridge.store.secrets.secrets import SCHEME as STORE
from cdp_bridge.store.secrets.settings_secrets import moved_secrets, referenced

A = TypeVar("A", CDPConnection, DestinationAccount)


def described(account: CDPConnection | DestinationAccount) -> tuple[EntryKind, str, dict[str, Any]]:
    """The kind of entry that an account is, the name of its connector, its raw settings."""
    if isinstance(account, CDPConnection):
        return "connection", account.cdp_provider, account.api_credentials
    return "destination", account.connector, account.settings


@contextmanager
def storing_secrets(core: Core, account: A, before: A | None) -> Iterator[A]:
    """The account with references, for a block that saves it in place of `before`; if it fails, no secret is kept.

    Problem 422 for a secret that is empty, a reference that the API does not take, and a setting that leads to this
    machine or to a host that is not the vendor's.
    """
    kind, name, raw = described(account)
    connector = core.registry.known(name)
    # An unknown connector is refused where the account is saved.
    schema = settings.schema(connector.settings) if connector else {}
    _, name_before, raw_before = described(before) if before else (kind, "", {})
    same = raw_before if name == name_before else None
    known = partial(is_reference, registry=core.registry)
    faults = list(refused(core.registry, name, raw, same, core.allowed))
    if connector:
        references = {value for value in settings.secrets(schema, raw).values() if known(value)}
        faults += foreign(connector, raw, same or {}, core.allowed_hosts, references)
        faults += _Sent(core, connector, same).faults(raw, references)
    if faults:
        raise refusal(core, account, [_within(_field(kind), fault) for fault in faults])
    with moved_secrets(core.store.secrets, f"{kind}.{account.name}", schema, raw, known) as references_only:
        yield replace(account, **{_field(kind): references_only})


class _Sent:
    """The secrets of a body: a reference stays with the account, the setting and the hosts that it was given for.

    Otherwise a key for the API could send any secret of this machine, or of another account, to any host.
    """

    def __init__(self, core: Core, connector: Connector, before: dict[str, Any] | None) -> None:
        self._core, self._connector, self._before = core, connector, before
        self._schema = settings.schema(connector.settings)

    def faults(self, raw: dict[str, Any], references: Container[str]) -> Iterator[ConfigError]:
        """An error for each secret that is empty, and each reference that may not be where it is."""
        stood = settings.secrets(self._schema, self._before or {})
        elsewhere = changed(self._connector, raw, self._before or {})
        for path, value in settings.secrets(self._schema, raw).items():
            place = ".".join(path)
            if not value.strip():
                yield ConfigError("is empty", place=place, remedy="Put the secret there")
            elif value in references and stood.get(path) != value:
                yield from self._new(value, place)
            elif value in references and elsewhere:
                yield ConfigError(
                    f"was given for other settings, and these have changed: {', '.join(elsewhere)}",
                    place=place,
                    remedy="Send the secret again; instead of oauth:NAME another NAME, and connect the account again",
                )

    def _new(self, value: str, place: str) -> Iterator[ConfigError]:
        scheme, _, name = value.partition(":")
        if scheme not in (STORE, OAUTH):
            yield ConfigError(
                "refers to this machine, which only bridge.yaml may do",
                place=place,
                remedy="Send the secret itself, which is kept encrypted; or apply a bridge.yaml",
            )
        elif scheme == STORE:
            yield ConfigError(
                "is not the reference of this setting",
                place=place,
                remedy="Send the secret itself, which is kept encrypted",
            )
        elif self._core.sign_ins.is_connected(name) or name in self._granted():
            yield ConfigError(
                "is the sign-in of another setting or account",
                place=place,
                remedy="Choose another name, and connect this account",
            )

    def _granted(self) -> set[str]:
        bridge = self._core.store.bridge()
        settings_of_all = [account.api_credentials for account in bridge.connections]
        settings_of_all += [account.settings for account in bridge.destinations]
        return referenced(OAUTH, settings_of_all)


def _within(field: str, fault: ConfigError) -> ConfigError:
    place = ".".join(filter(None, (field, fault.place)))
    return ConfigError(fault.problem, place=place, remedy=fault.remedy)


def _field(kind: EntryKind) -> str:
    return "api_credentials" if kind == "connection" else "settings"
