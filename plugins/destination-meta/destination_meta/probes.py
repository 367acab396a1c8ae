"""What `check` finds out about token, account, terms, quota and dataset (meta.md 1.1, 2.3, 3.2)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from cdp_bridge.sdk import Client, ConfigError, Probe

from destination_meta.errors import NOT_ACCEPTED, GoneError
from destination_meta.graph import entries
from destination_meta.settings import Settings

MOST_AUDIENCES = 500


def probe(client: Client, settings: Settings) -> Iterator[Probe]:
    """The findings in order; the first that fails is the last, since later ones would only repeat it."""
    for name, find in PROBES.items():
        if name == "dataset" and settings.dataset_id is None:
            continue
        found = Probe.of(name, partial(find, client, settings))
        yield found
        if not found.passed:
            return


def _token(client: Client, settings: Settings) -> str:
    with contextlib.suppress(GoneError):
        _account(client, settings)
    return "the access token is valid"


def _account_visible(client: Client, settings: Settings) -> str:
    _account(client, settings)
    return f"{settings.account} is visible"


def _terms(client: Client, settings: Settings) -> str:
    account = _account(client, settings)
    for level in ("tos_accepted", "user_tos_accepted"):
        if not (account.get(level) or {}).get("custom_audience_tos"):
            link = f"https://business.facebook.com/ads/manage/customaudiences/tos/?act={settings.account[4:]}"
            raise ConfigError(NOT_ACCEPTED.problem, remedy=f"The owner of the token must accept them at {link}")
    return "the custom audience terms are accepted"


def _quota(client: Client, settings: Settings) -> str:
    listed = entries(client, f"/{settings.account}/customaudiences", "id,subtype")
    count = sum(entry.get("subtype") == "CUSTOM" for entry in listed)
    if count >= MOST_AUDIENCES:
        raise ConfigError(
            f"all {MOST_AUDIENCES} custom audiences of the ad account are used", remedy="Delete unused audiences"
        )
    return f"{count} of {MOST_AUDIENCES} custom audiences are used"


def _dataset(client: Client, settings: Settings) -> str:
    client.call("GET", f"/{settings.dataset_id}", params={"fields": "id"})
    return f"dataset {settings.dataset_id} is visible"


def _account(client: Client, settings: Settings) -> dict[str, Any]:
    fields = {"fields": "tos_accepted,user_tos_accepted"}
    return dict(client.call("GET", f"/{settings.account}", params=fields))


PROBES: dict[str, Callable[[Client, Settings], str]] = {
    "token": _token,
    "account": _account_visible,
    "terms": _terms,
    "quota": _quota,
    "dataset": _dataset,
}
