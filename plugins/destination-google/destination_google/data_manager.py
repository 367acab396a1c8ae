"""Sends requests to the Data Manager API, and reads later what became of them (google.md 4, 6)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec
from cdp_bridge.sdk import Batch, Client, Outcome

from destination_google.api import JSON
from destination_google.match_rates import hull
from destination_google.members import ADDRESS, Identifier
from destination_google.settings import Account, Settings

PATHS = {"add": "/v1/audienceMembers:ingest", "remove": "/v1/audienceMembers:remove"}
NAMES = {"email": "emailAddress", "phone": "phoneNumber"}
ADDRESS_NAMES = dict(zip(ADDRESS, ("givenName", "familyName", "regionCode", "postalCode"), strict=True))
AGREEMENTS = {"granted": "CONSENT_GRANTED", "denied": "CONSENT_DENIED"}

KNOWN_ALREADY = ("google:DUPLICATE_TRANSACTION_ID", "google:DUPLICATE_GCLID")
"""Of conversions: Google has counted them before."""

UNDER_WAY = ("PROCESSING", "REQUEST_STATUS_UNKNOWN")
DONE = "SUCCESS"
_REASON = re.compile(r"PROCESSING_ERROR_REASON_([A-Z_]{1,50})")


class _Accepted(msgspec.Struct, rename="camel"):
    request_id: str


class _Count(msgspec.Struct, rename="camel"):
    record_count: int = 0
    reason: str = ""


class _Errors(msgspec.Struct, rename="camel"):
    error_counts: list[_Count] = []


class _Ingested(msgspec.Struct, rename="camel"):
    upload_match_rate_range: str = ""


class _IngestionStatus(msgspec.Struct, rename="camel"):
    composite_data_ingestion_status: _Ingested = msgspec.field(default_factory=_Ingested)


class _Status(msgspec.Struct, rename="camel"):
    """What became of a request at one destination; `FAILED` and `PARTIAL_SUCCESS` come with counts per reason."""

    request_status: Literal["PROCESSING", "REQUEST_STATUS_UNKNOWN", "SUCCESS", "PARTIAL_SUCCESS", "FAILED"] = (
        "REQUEST_STATUS_UNKNOWN"
    )
    error_info: _Errors = msgspec.field(default_factory=_Errors)
    audience_members_ingestion_status: _IngestionStatus = msgspec.field(default_factory=_IngestionStatus)

    @property
    def match_rate_range(self) -> str:
        """The share of the contacts that Google knows, in its own words."""
        return self.audience_members_ingestion_status.composite_data_ingestion_status.upload_match_rate_range


class _Statuses(msgspec.Struct, rename="camel"):
    request_status_per_destination: list[_Status] = []


class DataManager:
    """Sends members and conversions, and reads what became of them."""

    def __init__(self, client: Client, settings: Settings) -> None:
        self._client, self._settings = client, settings

    def send(self, batch: Batch, members: Sequence[Sequence[Identifier]]) -> str:
        """Send members as one request; returns its id, which stands for them until they are settled."""
        return self.post(PATHS[batch.operation], body(self._settings, batch, members))

    def post(self, path: str, wanted: Mapping[str, Any]) -> str:
        """Send a request; returns its id, which stands for what is in it until that is settled."""
        response = self._client.send("POST", path, data=msgspec.json.encode(wanted), headers=JSON)
        # What is only validated has no id (google.md 16).
        return "" if self._settings.test_mode else Client.decode(response, type=_Accepted).request_id

    def settle(self, pending: str) -> Outcome:
        """What became of a request; Google counts what it refused per reason, and names nothing."""
        params = {"requestId": pending}
        answer = self._client.read("/v1/requestStatus:retrieve", params=params, type=_Statuses)
        statuses = answer.request_status_per_destination
        if not statuses or any(status.request_status in UNDER_WAY for status in statuses):
            return Outcome(pending=pending)
        counts: Counter[str] = sum((_counts(status) for status in statuses if status.request_status != DONE), Counter())
        return Outcome(
            counts={reason: number for reason, number in counts.items() if reason not in KNOWN_ALREADY},
            match_rate=hull([status.match_rate_range for status in statuses]),
        )


def body(settings: Settings, batch: Batch, members: Sequence[Sequence[Identifier]]) -> dict[str, Any]:
    """The body of a request; a removal has neither consent nor terms (google.md 4.2)."""
    made: dict[str, Any] = {
        "destinations": [destination(settings, batch.audience.id)],
        "audienceMembers": [
            {"compositeData": {"userData": {"userIdentifiers": list(map(identifier, member))}}} for member in members
        ],
        "encoding": "HEX",
    }
    if batch.operation == "add":
        made["termsOfService"] = {"customerMatchTermsOfServiceStatus": "ACCEPTED"}
        if given := consent(settings):
            made["consent"] = given
    if settings.test_mode:
        made["validateOnly"] = True
    return made


def destination(settings: Settings, number: str) -> dict[str, Any]:
    """The way to a user list or conversion action of the account."""
    accounts = {
        "operatingAccount": settings.operating_account,
        "loginAccount": settings.login_account,
        "linkedAccount": settings.linked_account,
    }
    path = {name: _account(account) for name, account in accounts.items() if account is not None}
    return {**path, "productDestinationId": number}


def _account(account: Account) -> Mapping[str, str]:
    return {"accountType": account.account_type, "accountId": account.number}


def identifier(pair: Identifier) -> dict[str, Any]:
    """An identifier in Google's words."""
    column, *values = pair
    if column == "address":
        return {"address": dict(zip(ADDRESS_NAMES.values(), values, strict=True))}
    return {NAMES[column]: values[0]}


def consent(settings: Settings) -> dict[str, str]:
    """What the settings say; what they leave open is not sent, and never taken for granted (google.md 7)."""
    agreements = {"adUserData": settings.ad_user_data, "adPersonalization": settings.ad_personalization}
    return {name: AGREEMENTS[value] for name, value in agreements.items() if value is not None}


def _counts(status: _Status) -> Counter[str]:
    """How many were refused for which reason; a failure without counts counts once, under its own name."""
    counts: Counter[str] = Counter()
    for count in status.error_info.error_counts:
        counts[_reason(count.reason)] += count.record_count
    return +counts or Counter([f"google:{status.request_status}"])


def _reason(text: str) -> str:
    matched = _REASON.fullmatch(text)
    return f"google:{matched[1]}" if matched else "google:unknown"
