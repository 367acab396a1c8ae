"""Writes members of segments into user lists of one account, and conversions to its conversion actions."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import msgspec
from cdp_bridge.sdk import (
    Audience,
    AudienceRef,
    Batch,
    Catalog,
    Client,
    Inventory,
    Outcome,
    Probe,
    RejectedError,
    Stream,
    run_probes,
)

from destination_google import audiences, conversions, data_manager, google_ads
from destination_google.api import JSON, connect
from destination_google.audiences import DAY
from destination_google.check import checks, expect_terms
from destination_google.data_manager import DataManager
from destination_google.errors import MembersError
from destination_google.google_ads import GoogleAds, is_job
from destination_google.members import MAX_MEMBERS, SCHEMA, Members, members_of
from destination_google.settings import Settings


def check(settings: Settings) -> list[Probe]:
    """Findings about credentials, project, scope, account, terms, lists and conversions, up to the first that fails."""
    with connect(settings) as client:
        return run_probes(checks(client, settings))


def discover(settings: Settings) -> Catalog:
    """Two objects: a user list that is matched by contacts, and conversions."""
    audience = Stream(
        name="audience",
        profile="google",
        operations=("add", "remove"),
        matching_keys=SCHEMA,
        expires=settings.membership_days * DAY,
    )
    return Catalog((audience, conversions.STREAM))


def inventory(settings: Settings) -> Inventory:
    """The account of the settings and its user lists; over the Google Ads API, all accounts that can be reached."""
    with connect(settings) as client, connect(settings, ads=True) as ads:
        reached = google_ads.accessible(ads) if settings.api == "google-ads" else []
        return audiences.inventory(client, settings, reached)


@contextlib.contextmanager
def open(settings: Settings) -> Iterator[GoogleWriter]:
    """A writer to one account."""
    with connect(settings) as client, connect(settings, ads=True) as ads:
        yield GoogleWriter(client, ads, settings)


def preview(settings: Settings, batch: Batch) -> dict[str, Any]:
    """The request for a batch as JSON values, credentials masked; a job of Google Ads is made before it."""
    url, body = settings.base_url, {}
    if batch.operation == "track":
        url += conversions.INGEST
        body = conversions.body(settings, conversions.request(settings, batch).events)
    elif settings.api == "google-ads":
        url = f"{settings.ads_url}{google_ads.customer(settings)}/offlineUserDataJobs/(new):addOperations"
        body = google_ads.body(batch, members_of(batch).identifiers)
    else:
        url += data_manager.PATHS[batch.operation]
        body = data_manager.body(settings, batch, members_of(batch).identifiers)
    return {
        "method": "POST",
        "url": url,
        "headers": {"Authorization": "Bearer ***", **JSON},
        "json": msgspec.json.decode(msgspec.json.encode(body)),
    }


class GoogleWriter:
    """Writes to the user lists and conversion actions of one account."""

    def __init__(self, client: Client, ads: Client, settings: Settings) -> None:
        self._client, self._settings = client, settings
        self._manager, self._jobs = DataManager(client, settings), GoogleAds(ads, settings)

    def ensure(self, audience: Audience) -> AudienceRef:
        """The user list by its ref, by its marker as integration code, or a new one."""
        return audiences.ensure(self._client, self._settings, audience)

    def write(self, batch: Batch) -> Outcome:
        """Send a batch as one request; what becomes of it, Google says half an hour later at the earliest.

        One bad member costs the whole request (google.md 4.4): where Google names who it is, the others are sent again
        at once. Membership is a set, so a repeat changes nothing.
        """
        if batch.operation == "track":
            return conversions.write(self._client, self._settings, batch)
        if batch.operation == "add":
            expect_terms(self._settings)
        sent = members_of(batch)
        if len(sent.owners) > MAX_MEMBERS and len(batch.keys) > 1:
            raise RejectedError(f"the batch has more than {MAX_MEMBERS} members", reason="google:members")
        try:
            return self._sent(batch, sent)
        except MembersError as error:
            others = sent.without(error.members, batch.keys)
            if len(others.owners) == len(sent.owners):
                raise
        return self._sent(batch, others)

    def settle(self, audience: AudienceRef, pending: str) -> Outcome:
        """What became of an earlier batch, by whichever API it went: all of it is in, or Google counts who is not."""
        return self._jobs.settle(pending) if is_job(pending) else self._manager.settle(pending)

    def _sent(self, batch: Batch, sent: Members) -> Outcome:
        if not sent.owners:
            return Outcome(rejected=sent.refused)
        uploads = self._jobs if self._settings.api == "google-ads" else self._manager
        pending = uploads.send(batch, sent.identifiers)
        if self._settings.test_mode:
            return Outcome(rejected=sent.refused, unknown=frozenset(batch.keys).difference(sent.refused))
        return Outcome(rejected=sent.refused, pending=pending)
