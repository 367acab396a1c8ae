"""Checks token, advertiser, scopes, quota and event source (tiktok.md 1.1, 3)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial

from cdp_bridge.sdk import Client, ConfigError

from destination_tiktok.api import count, is_pixel
from destination_tiktok.errors import AccessError, ScopeError
from destination_tiktok.settings import Settings

MAX_AUDIENCES = 400


def checks(client: Client, settings: Settings) -> dict[str, Callable[[], str]]:
    """What is checked, in the order in which one needs the other."""
    named = {"token": _token, "advertiser": _advertiser, "scopes": _scopes, "quota": _quota}
    # Whether the other kinds are there, TikTok says no sooner than with the first event.
    if settings.event_source_id is not None and settings.event_source == "web":
        named["event source"] = _pixel
    return {name: partial(find, client, settings) for name, find in named.items()}


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
    if used >= MAX_AUDIENCES:
        raise ConfigError(f"all {MAX_AUDIENCES} audiences of the advertiser are used", remedy="Delete unused ones")
    return f"{used} of {MAX_AUDIENCES} audiences are used"


def _pixel(client: Client, settings: Settings) -> str:
    if not is_pixel(client, settings):
        remedy = "Check event_source_id, and that the pixel belongs to this advertiser"
        raise ConfigError("the advertiser has no such pixel", place="settings.event_source_id", remedy=remedy)
    return f"pixel {settings.event_source_id} is there"
