"""Writes members of segments into audiences of one advertiser, and conversions to its event source."""

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
    TransientError,
    run_probes,
)

from destination_tiktok import audiences, conversions, files
from destination_tiktok.api import JSON, VERSION, Result, connect
from destination_tiktok.check import checks
from destination_tiktok.errors import PARTLY, DuplicateError, LimitedError
from destination_tiktok.members import MAX_BYTES, MAX_ROWS, NO_IDENTIFIER, SCHEMA, Upload, outcome_of, upload
from destination_tiktok.rate_limit import RateLimit
from destination_tiktok.settings import Settings

MAPPING = "/segment/mapping/"


def check(settings: Settings) -> list[Probe]:
    """Findings about token, advertiser, scopes, quota and event source, up to the first that fails."""
    with connect(settings) as client:
        return run_probes(checks(client, settings))


def discover(settings: Settings) -> Catalog:
    """Two objects: an audience (files are much larger than batches of the stream), and conversions."""
    audience = Stream(
        name="audience",
        profile="tiktok-audience",
        operations=("add", "remove"),
        matching_keys=tuple(SCHEMA),
        limits=files.LIMITS if settings.upload == "file" else None,
    )
    return Catalog((audience, conversions.STREAM))


def inventory(settings: Settings) -> Inventory:
    """The advertiser of the settings, and its audiences."""
    with connect(settings) as client:
        return audiences.inventory(client, settings)


@contextlib.contextmanager
def open(settings: Settings) -> Iterator[TikTokWriter | files.FileWriter]:
    """A writer to one advertiser account."""
    with connect(settings) as client:
        yield (files.FileWriter if settings.upload == "file" else TikTokWriter)(client, settings)


def preview(settings: Settings, batch: Batch) -> dict[str, Any]:
    """The request for a batch as JSON values, credentials masked."""
    if batch.operation == "track":
        path, body = conversions.TRACK, conversions.request(settings, batch).body
    elif settings.upload == "file":
        return files.preview(settings, batch)
    else:
        path, body = MAPPING, upload(batch, settings.advertiser_id).body
    return {
        "method": "POST",
        "url": f"{settings.base_url}{VERSION}{path}",
        "headers": {"Access-Token": "***", **JSON},
        "json": msgspec.json.decode(body),
    }


class TikTokWriter:
    """Writes to the audiences of one advertiser through the streaming API; remembers the batch that got no answer."""

    def __init__(self, client: Client, settings: Settings) -> None:
        self._client, self._settings = client, settings
        self._unanswered = b""
        self._rate_limit = RateLimit()

    def ensure(self, audience: Audience) -> AudienceRef:
        """The audience by its ref, by its marker in the name, or a new one."""
        return audiences.ensure(self._client, self._settings, audience)

    def write(self, batch: Batch) -> Outcome:
        """Send a batch as one request; membership is a set, so a repeat changes nothing."""
        if batch.operation == "track":
            return conversions.write(self._client, self._settings, self._rate_limit, batch)
        sent = upload(batch, self._settings.advertiser_id)
        if not sent.rows:
            return Outcome(rejected=dict.fromkeys(batch.keys, NO_IDENTIFIER))
        if len(batch.keys) > 1 and (sent.rows > MAX_ROWS or len(sent.body) > MAX_BYTES):
            raise RejectedError(f"the batch has more than {MAX_ROWS} rows or a megabyte", reason="tiktok:rows")
        outcome = self._send(batch, sent)
        return msgspec.structs.replace(
            outcome,
            rejected={**outcome.rejected, **dict.fromkeys(sent.empty, NO_IDENTIFIER)},
            unknown=outcome.unknown.difference(sent.empty),
        )

    def settle(self, audience: AudienceRef, pending: str) -> Outcome:
        """Nothing to settle: TikTok says all it ever says in the answer to the request."""
        return Outcome()

    def _send(self, batch: Batch, sent: Upload) -> Outcome:
        repeated, self._unanswered = self._unanswered == sent.body, b""
        try:
            with self._rate_limit.watch():
                result = self._client.call("POST", MAPPING, data=sent.body, headers=JSON, type=Result)
        except LimitedError:
            raise
        except TransientError:
            self._unanswered = sent.body
            raise
        except DuplicateError:
            if not repeated:
                raise
            return Outcome()
        return outcome_of(batch, result.data) if result.code == PARTLY else Outcome()
