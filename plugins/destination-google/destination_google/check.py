"""Checks credentials, project, scope, account, terms, lists and conversions (google.md 3, 5, 11)."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable
from functools import partial

from cdp_bridge.sdk import Client, ConfigError, RejectedError

from destination_google import conversions
from destination_google.api import connect, user_lists_path
from destination_google.audiences import new_list
from destination_google.errors import NOT_SIGNED, AccessError, ProjectError, ScopeError
from destination_google.google_ads import customer
from destination_google.settings import Settings


def checks(client: Client, settings: Settings) -> dict[str, Callable[[], str]]:
    """What is checked, in the order in which one needs the other."""
    named = {
        "credentials": _credentials,
        "project": _project,
        "scope": _scope,
        "account": _account,
        "terms": _terms,
        "lists": _lists,
    }
    if settings.api == "google-ads":
        named["google_ads"] = _google_ads
    if settings.conversion_actions:
        named["conversions"] = _conversions
    return {name: partial(find, client, settings) for name, find in named.items()}


def expect_terms(settings: Settings) -> None:
    """Raise ConfigError unless somebody said that the terms were accepted: each request states it (google.md 4.1)."""
    if not settings.customer_match_terms:
        raise ConfigError(NOT_SIGNED.problem, place="customer_match_terms", remedy=NOT_SIGNED.remedy)


def _credentials(client: Client, settings: Settings) -> str:
    with contextlib.suppress(ProjectError, ScopeError, AccessError):
        _list(client, settings)
    return "Google takes the access token"


def _project(client: Client, settings: Settings) -> str:
    with contextlib.suppress(ScopeError, AccessError):
        _list(client, settings)
    return "the Cloud project may use the Data Manager API"


def _scope(client: Client, settings: Settings) -> str:
    with contextlib.suppress(AccessError):
        _list(client, settings)
    return "the access token has the scope datamanager"


def _account(client: Client, settings: Settings) -> str:
    _list(client, settings)
    return f"account {settings.account} is reachable"


def _terms(client: Client, settings: Settings) -> str:
    expect_terms(settings)
    return "the terms of Customer Match are accepted, by what the settings say"


def _lists(client: Client, settings: Settings) -> str:
    """Google looks at a list that is to be made, and does not make it."""
    body = new_list(settings, f"cdp-bridge check {uuid.uuid4()}")
    try:
        client.call("POST", user_lists_path(settings), params={"validateOnly": "true"}, json=body)
    except RejectedError as error:
        raise ConfigError(error.problem, remedy="Check membership_days") from None
    return "user lists may be made"


def _google_ads(client: Client, settings: Settings) -> str:
    """That its uploads are open to the project shows in the first one only."""
    with connect(settings, ads=True) as ads:
        ads.call("POST", f"{customer(settings)}/googleAds:search", json={"query": "SELECT customer.id FROM customer"})
    return f"account {settings.account} is reachable by the Google Ads API"


def _conversions(client: Client, settings: Settings) -> str:
    """Google looks at events that are made up, and does not keep them."""
    conversions.validate(client, settings)
    return f"conversion actions {', '.join(sorted(set(settings.conversion_actions.values())))} take conversions"


def _list(client: Client, settings: Settings) -> None:
    client.call("GET", user_lists_path(settings), params={"pageSize": 1})
