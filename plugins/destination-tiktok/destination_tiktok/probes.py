"""What `check` finds out about token, advertiser, scopes, quota and event source (tiktok.md 1.1, 3)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import partial

from cdp_bridge.sdk import Client, ConfigError, Probe

from destination_tiktok.api import count, is_pixel
from destination_tiktok.errors import AccessError, ScopeError
from destination_tiktok.settings import Settings

MOST_AUDIENCES = 400


def probe(client: Client, settings: Settings) -> Iterator[Probe]:
    """The findings in order; the first that fails is the last, since later ones would only repeat it."""
    for name, find in PROBES.items():
        if name == "event source" and (settings.event_source_id is None or settings.event_source != "web"):
            continue
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


def _event_source(client: Client, settings: Settings) -> str:
    """Of pixels only: whether the others are there, TikTok says no sooner than with the first event."""
    if not is_pixel(client, settings):
        remedy = "Check event_source_id, and that the pixel belongs to this advertiser"
        raise ConfigError("the advertiser has no such pixel", place="settings.event_source_id", remedy=remedy)
    return f"pixel {settings.event_source_id} is there"


PROBES: dict[str, Callable[[Client, Settings], str]] = {
    "token": _token,
    "advertiser": _advertiser,
    "scopes": _scopes,
    "quota": _quota,
    "event source": _event_source,
}
