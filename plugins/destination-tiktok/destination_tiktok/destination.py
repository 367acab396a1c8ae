"""The destination: members of segments go into audiences of one advertiser, conversions to its event source."""

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
)

from destination_tiktok import audiences, conversions, files
from destination_tiktok.api import VERSION, connect
from destination_tiktok.errors import PARTLY, DuplicateError, LimitedError
from destination_tiktok.membership import MOST_BYTES, MOST_ROWS, NOTHING_TO_MATCH, SCHEMA, Upload, judge, upload
from destination_tiktok.probes import probe
from destination_tiktok.settings import Settings
from destination_tiktok.silence import Silence

MAPPING = "/segment/mapping/"


def check(settings: Settings) -> list[Probe]:
    """Findings about token, advertiser, scopes, quota and event source, up to the first that fails."""
    with connect(settings) as client:
        return list(probe(client, settings))


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
        "headers": {"Access-Token": "***", "Content-Type": "application/json"},
        "json": msgspec.json.decode(body),
    }


class TikTokWriter:
    """Writes to the audiences of one advertiser through the streaming API; remembers the batch that got no answer."""

    def __init__(self, client: Client, settings: Settings) -> None:
        self._client, self._settings = client, settings
        self._unanswered = b""
        self._silence = Silence()

    def ensure(self, audience: Audience) -> AudienceRef:
        """The audience by its ref, by its marker in the name, or a new one."""
        return audiences.ensure(self._client, self._settings, audience)

    def write(self, batch: Batch) -> Outcome:
        """Send a batch as one request; membership is a set, so a repeat changes nothing."""
        if batch.operation == "track":
            return conversions.write(self._client, self._settings, self._silence, batch)
        sent = upload(batch, self._settings.advertiser_id)
        if not sent.rows:
            return Outcome(rejected=dict.fromkeys(batch.keys, NOTHING_TO_MATCH))
        if len(batch.keys) > 1 and (sent.rows > MOST_ROWS or len(sent.body) > MOST_BYTES):
            raise RejectedError(f"the batch has more than {MOST_ROWS} rows or a megabyte", reason="tiktok:rows")
        outcome = self._send(batch, sent)
        return msgspec.structs.replace(
            outcome,
            rejected={**outcome.rejected, **dict.fromkeys(sent.empty, NOTHING_TO_MATCH)},
            unknown=outcome.unknown.difference(sent.empty),
        )

    def settle(self, audience: AudienceRef, pending: str) -> Outcome:
        """Nothing to settle: TikTok says all it ever says in the answer to the request."""
        return Outcome()

    def _send(self, batch: Batch, sent: Upload) -> Outcome:
        headers = {"Content-Type": "application/json"}
        repeated, self._unanswered = self._unanswered == sent.body, b""
        try:
            with self._silence.kept():
                answer = self._client.call("POST", MAPPING, data=sent.body, headers=headers)
        except LimitedError:
            raise
        except TransientError:
            self._unanswered = sent.body
            raise
        except DuplicateError:
            if not repeated:
                raise
            return Outcome()
        return judge(batch, answer.get("data")) if answer["code"] == PARTLY else Outcome()
