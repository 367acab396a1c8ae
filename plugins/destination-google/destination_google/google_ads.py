"""Sends members through the Google Ads API, in offline user data jobs, for those who still may (google.md 9, 10.2)."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from cdp_bridge.sdk import Batch, Client, Outcome, RejectedError

from destination_google.errors import BusyError, StartedError
from destination_google.match_rates import interval
from destination_google.members import ADDRESS, Identifier
from destination_google.settings import Settings

VERSION = "v26"
WORDS = {"add": "create", "remove": "remove"}
NAMES = {"email": "hashedEmail", "phone": "hashedPhoneNumber"}
ADDRESS_NAMES = dict(zip(ADDRESS, ("hashedFirstName", "hashedLastName", "countryCode", "postalCode"), strict=True))
AGREEMENTS = {"granted": "GRANTED", "denied": "DENIED"}

STATUS = (
    "SELECT offline_user_data_job.status, offline_user_data_job.operation_metadata.match_rate_range "
    "FROM offline_user_data_job WHERE offline_user_data_job.resource_name = '{}'"
)


class _Created(msgspec.Struct, rename="camel"):
    resource_name: str = ""


class _Metadata(msgspec.Struct, rename="camel"):
    match_rate_range: str = ""


class _Job(msgspec.Struct, rename="camel"):
    status: Literal["UNSPECIFIED", "UNKNOWN", "PENDING", "RUNNING", "SUCCESS", "FAILED"] = "UNKNOWN"
    operation_metadata: _Metadata = msgspec.field(default_factory=_Metadata)


class _Row(msgspec.Struct, rename="camel"):
    offline_user_data_job: _Job


class _Rows(msgspec.Struct):
    results: list[_Row] = []


class _Accessible(msgspec.Struct, rename="camel"):
    resource_names: list[str] = []


class GoogleAds:
    """Puts members into jobs, one for a list and operation, and starts each with its last batch.

    While a job of a list runs, Google starts no other one of it: that job waits for `settle`, as does one that a run
    left behind when it died.
    """

    def __init__(self, client: Client, settings: Settings) -> None:
        self._client, self._settings = client, settings
        self._open: dict[tuple[str, str], str] = {}

    def send(self, batch: Batch, members: Sequence[Sequence[Identifier]]) -> str:
        """Put members into the list's job; returns its name, which stands for them until they are settled."""
        key = batch.audience.id, batch.operation
        if not (job := self._open.get(key) or self._create(batch)):
            return ""
        try:
            self._add(job, batch, members)
        except StartedError:
            # Somebody has settled it, or the answer to its start got lost.
            job = self._create(batch)
            self._add(job, batch, members)
        self._open[key] = job
        if batch.last:
            self._start(job)
            del self._open[key]
        return job

    def settle(self, pending: str) -> Outcome:
        """What became of a job; Google says no more than that it has failed."""
        query = {"query": STATUS.format(pending)}
        path = f"{customer(self._settings)}/googleAds:search"
        rows = self._client.read(path, method="POST", json=query, type=_Rows).results
        if not rows:
            raise RejectedError("Google does not know this job", reason="google:no_job")
        job = rows[0].offline_user_data_job
        match job.status:
            case "SUCCESS":
                return Outcome(match_rate=interval(job.operation_metadata.match_rate_range))
            case "FAILED":
                return Outcome(counts={"google:FAILED": 1})
            case "PENDING":
                self._start(pending)
        return Outcome(pending=pending)

    def _add(self, job: str, batch: Batch, members: Sequence[Sequence[Identifier]]) -> None:
        self._client.call("POST", f"/{VERSION}/{job}:addOperations", json=body(batch, members))

    def _start(self, job: str) -> None:
        """Start a job, unless it was started; while another one of the list runs, that is left to whoever settles."""
        with contextlib.suppress(StartedError, BusyError):
            self._client.call("POST", f"/{VERSION}/{job}:run", json={})

    def _create(self, batch: Batch) -> str:
        """A new job; none where Google only looks."""
        metadata: dict[str, Any] = {"userList": f"customers/{self._settings.account}/userLists/{batch.audience.id}"}
        agreements = {"adUserData": self._settings.ad_user_data, "adPersonalization": self._settings.ad_personalization}
        if consent := {name: AGREEMENTS[value] for name, value in agreements.items() if value is not None}:
            metadata["consent"] = consent
        wanted: dict[str, Any] = {
            "job": {"type": "CUSTOMER_MATCH_USER_LIST", "customerMatchUserListMetadata": metadata}
        }
        if self._settings.test_mode:
            wanted["validateOnly"] = True
        path = f"{customer(self._settings)}/offlineUserDataJobs:create"
        return self._client.call("POST", path, json=wanted, type=_Created).resource_name


def accessible(client: Client) -> list[str]:
    """The numbers of the accounts whose user the caller is (google.md 1.2)."""
    answer = client.read(f"/{VERSION}/customers:listAccessibleCustomers", type=_Accessible)
    return [name.rpartition("/")[2] for name in answer.resource_names]


def is_job(pending: str) -> bool:
    """Whether a reference is the name of a job."""
    return pending.startswith("customers/")


def customer(settings: Settings) -> str:
    """The path of the account."""
    return f"/{VERSION}/customers/{settings.account}"


def body(batch: Batch, members: Sequence[Sequence[Identifier]]) -> dict[str, Any]:
    """One operation a member; Google names all that are bad, and keeps the others: to be sent again does no harm."""
    word = WORDS[batch.operation]
    operations = [{word: {"userIdentifiers": list(map(_identifier, member))}} for member in members]
    return {"operations": operations, "enablePartialFailure": True}


def _identifier(pair: Identifier) -> dict[str, Any]:
    column, *values = pair
    if column == "address":
        return {"addressInfo": dict(zip(ADDRESS_NAMES.values(), values, strict=True))}
    return {NAMES[column]: values[0]}
