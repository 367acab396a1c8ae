"""Checks the token, the space, its audiences, the warehouse and the Profile API (segment.md sections 2, 3, 8)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

from cdp_bridge.sdk import Client, ConfigError, ErrorRule

from source_segment import profile_api, public_api
from source_segment.settings import Settings

if TYPE_CHECKING:
    from source_segment.warehouse import Warehouse

STALE = timedelta(hours=6)
"""Profiles Sync runs hourly; older tables than this mean that it stands still."""
NO_WAREHOUSE = ErrorRule(
    ConfigError,
    "the members of an audience cannot be read: Segment lists them in no API, only in the tables of Profiles Sync",
    "Set up Unify > Profiles Sync in Segment and give the warehouse's URL",
    place="warehouse",
)


def checks(api: Client, stack: ExitStack, settings: Settings) -> dict[str, Callable[[], str]]:
    """What is checked; the warehouse stays open until `stack` is closed."""
    space = cache(lambda: public_api.find_space(api, settings.space))
    opened = cache(lambda: _opened(stack, settings, lambda: str(space()["slug"])))
    named = {
        "workspace": lambda: str(public_api.workspace(api)["name"]),
        "space": lambda: f"{space()['name']} ({space()['id']})",
        "audiences": lambda: _audiences(api, settings, space()["id"]),
        "warehouse": lambda: f"connected, {opened().dialect}",
    }
    if settings.warehouse is not None:
        named["warehouse tables"] = lambda: _tables(opened())
        named["warehouse freshness"] = lambda: _freshness(opened())
    if settings.profile_api_token is not None:
        named["profile api"] = lambda: _profile_api(settings, space()["id"])
    return named


def needs(settings: Settings) -> dict[str, str | None]:
    """Which check another one needs, where that is not the one before it."""
    has_schema = settings.warehouse is None or settings.warehouse.schema is not None
    return {"warehouse": None if has_schema else "space", "profile api": "space"}


def _opened(stack: ExitStack, settings: Settings, slug: Callable[[], str]) -> Warehouse:
    if settings.warehouse is None:
        raise ConfigError(NO_WAREHOUSE.problem, place=NO_WAREHOUSE.place, remedy=NO_WAREHOUSE.remedy)

    from source_segment import warehouse

    return stack.enter_context(warehouse.opened(settings.warehouse.url, settings.warehouse.schema or slug()))


def _audiences(api: Client, settings: Settings, space_id: str) -> str:
    known = list(public_api.audiences(api, space_id))
    for key in settings.audiences:
        public_api.find_audience(known, key)
    readable = sum(not public_api.unreadable(audience) for audience in known)
    return f"{readable} of {len(known)} can be read"


def _tables(warehouse: Warehouse) -> str:
    warehouse.check_tables()
    return f"schema {warehouse.schema} is complete"


def _freshness(warehouse: Warehouse) -> str:
    from source_segment import members

    newest = members.freshness(warehouse)
    late = datetime.now(UTC) - newest > STALE
    return f"newest row {newest:%Y-%m-%d %H:%M} UTC{'; Profiles Sync may stand still' if late else ''}"


def _profile_api(settings: Settings, space_id: str) -> str:
    """Nobody has the identifier asked for: only a token that is let in is told so (segment.md section 10)."""
    with profile_api.connect(settings) as api:
        profile_api.is_known(api, space_id, "user_id:cdp-bridge-check")
    return "the token is let in"
