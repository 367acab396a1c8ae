"""What `check` finds out about token, advertiser, scopes and quota (tiktok.md 1.1, 3)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import partial

from cdp_bridge.sdk import Client, ConfigError, Probe

from .api import count
from .errors import AccessError, ScopeError
from .settings import Settings

MOST_AUDIENCES = 400


def probe(client: Client, settings: Settings) -> Iterator[Probe]:
    """The findings in order; the first that fails is the last, since later ones would only repeat it."""
    for name, find in PROBES.items():
        found = Probe.of(name, partial(find, client, settings))
        yield found
        if not found.passed:
            return


def _token(client: Client, settings: Settings) -> str:
    with contextlib.suppress(AccessError):
        count(client, settings)
    return "the access token is valid"


def _advertiser(client: Client, settings: Settings) -> str:
    with contextlib.suppress(ScopeError):
        count(client, settings)
    return f"advertiser {settings.advertiser_id} is reachable"


def _scopes(client: Client, settings: Settings) -> str:
    count(client, settings)
    return "audiences may be read"


def _quota(client: Client, settings: Settings) -> str:
    used = count(client, settings)
    if used >= MOST_AUDIENCES:
        raise ConfigError(f"all {MOST_AUDIENCES} audiences of the advertiser are used", remedy="Delete unused ones")
    return f"{used} of {MOST_AUDIENCES} audiences are used"


PROBES: dict[str, Callable[[Client, Settings], str]] = {
    "token": _token,
    "advertiser": _advertiser,
    "scopes": _scopes,
    "quota": _quota,
}
