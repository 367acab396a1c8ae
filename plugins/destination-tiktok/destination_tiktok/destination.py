"""The destination: members of segments go into audiences of one advertiser, through the streaming segment API."""

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
    Outcome,
    Probe,
    RejectedError,
    Stream,
    TransientError,
)

from . import audiences
from .api import VERSION, connect
from .errors import PARTLY, DuplicateError, LimitedError
from .membership import MOST_BYTES, MOST_ROWS, NOTHING_TO_MATCH, SCHEMA, Upload, judge, upload
from .probes import probe
from .settings import Settings

MAPPING = "/segment/mapping/"
SILENCE = 300.0
"""Seconds that TikTok wants us to be silent once a minute's requests are used up (tiktok.md 2)."""


def check(settings: Settings) -> list[Probe]:
    """Findings about token, advertiser, scopes and quota, up to the first that fails."""
    with connect(settings) as client:
        return list(probe(client, settings))


def discover(settings: Settings) -> Catalog:
    """One object: an audience."""
    return Catalog(
        (Stream(name="audience", profile="tiktok-audience", operations=("add", "remove"), matching_keys=tuple(SCHEMA)),)
    )


@contextlib.contextmanager
def open(settings: Settings) -> Iterator[TikTokWriter]:
    """A writer to one advertiser account."""
    with connect(settings) as client:
        yield TikTokWriter(client, settings)


def preview(settings: Settings, batch: Batch) -> dict[str, Any]:
    """The request for a batch as JSON values, credentials masked."""
    return {
        "method": "POST",
        "url": f"{settings.base_url}{VERSION}{MAPPING}",
        "headers": {"Access-Token": "***", "Content-Type": "application/json"},
        "json": msgspec.json.decode(upload(batch, settings.advertiser_id).body),
    }


class TikTokWriter:
    """Writes to the audiences of one advertiser; remembers the batch that got no answer."""

    def __init__(self, client: Client, settings: Settings) -> None:
        self._client, self._settings = client, settings
        self._unanswered = b""
        self._limited = False

    def ensure(self, audience: Audience) -> AudienceRef:
        """The audience by its ref, by its marker in the name, or a new one."""
        return audiences.ensure(self._client, self._settings, audience)

    def write(self, batch: Batch) -> Outcome:
        """Send a batch as one request; membership is a set, so a repeat changes nothing."""
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
            answer = self._client.call("POST", MAPPING, data=sent.body, headers=headers)
        except LimitedError as error:
            # The first time only a second may be full; whoever then asks again within the minute prolongs it.
            again, self._limited = self._limited, True
            raise TransientError(error.problem, retry_after=SILENCE if again else error.retry_after) from None
        except TransientError:
            self._unanswered = sent.body
            raise
        except DuplicateError:
            if not repeated:
                raise
            return Outcome()
        self._limited = False
        return judge(batch, answer.get("data")) if answer["code"] == PARTLY else Outcome()
