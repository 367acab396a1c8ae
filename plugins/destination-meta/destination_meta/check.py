"""Checks token, account, terms, quota and dataset (meta.md 1.1, 2.3, 3.2)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
from cdp_bridge.sdk import Client, ConfigError

from destination_meta.api import custom_audiences
from destination_meta.errors import NOT_ACCEPTED, GoneError
from destination_meta.settings import Settings

MAX_AUDIENCES = 500


class _Account(msgspec.Struct):
    """Which terms the business and the person have accepted: an object, or something empty."""

    tos_accepted: Any = None
    user_tos_accepted: Any = None


def checks(client: Client, settings: Settings) -> dict[str, Callable[[], str]]:
    """What is checked, in the order in which one needs the other."""
    named = {"token": _token, "account": _account, "terms": _terms, "quota": _quota}
    if settings.dataset_id is not None:
        named["dataset"] = _dataset
    return {name: partial(find, client, settings) for name, find in named.items()}


def _token(client: Client, settings: Settings) -> str:
    with contextlib.suppress(GoneError):
        _read_account(client, settings)
    return "the access token is valid"


def _account(client: Client, settings: Settings) -> str:
    _read_account(client, settings)
    return f"{settings.account} is visible"


def _terms(client: Client, settings: Settings) -> str:
    account = _read_account(client, settings)
    for terms in (account.tos_accepted, account.user_tos_accepted):
        if not (terms or {}).get("custom_audience_tos"):
            link = f"https://business.facebook.com/ads/manage/customaudiences/tos/?act={settings.account[4:]}"
            raise ConfigError(NOT_ACCEPTED.problem, remedy=f"The owner of the token must accept them at {link}")
    return "the custom audience terms are accepted"


def _quota(client: Client, settings: Settings) -> str:
    used = sum(audience.subtype == "CUSTOM" for audience in custom_audiences(client, settings, "id,subtype"))
    if used >= MAX_AUDIENCES:
        raise ConfigError(
            f"all {MAX_AUDIENCES} custom audiences of the ad account are used", remedy="Delete unused audiences"
        )
    return f"{used} of {MAX_AUDIENCES} custom audiences are used"


def _dataset(client: Client, settings: Settings) -> str:
    client.call("GET", f"/{settings.dataset_id}", params={"fields": "id"})
    return f"dataset {settings.dataset_id} is visible"


def _read_account(client: Client, settings: Settings) -> _Account:
    params = {"fields": "tos_accepted,user_tos_accepted"}
    return client.call("GET", f"/{settings.account}", params=params, type=_Account)
