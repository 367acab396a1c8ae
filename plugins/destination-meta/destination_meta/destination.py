"""Writes members of segments into custom audiences of one ad account, and conversions into its dataset."""

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
    ConfigError,
    Inventory,
    Outcome,
    Probe,
    RejectedError,
    Stream,
    TransientError,
    run_probes,
)

from destination_meta import audiences, conversions
from destination_meta.api import JSON, connect
from destination_meta.check import checks
from destination_meta.errors import OverloadedError, TooSmallError
from destination_meta.members import MAX_ROWS, NO_IDENTIFIER, SCHEMA, TOO_SMALL, Upload, outcome_of, upload
from destination_meta.sessions import Session, Sessions, Totals
from destination_meta.settings import Settings
from destination_meta.usage import pause

METHODS = {"add": "POST", "remove": "DELETE"}
"""A removal is a DELETE with a JSON body: a URL cannot hold the rows; a POST whose `method` got lost would add them."""
MAX_FAILURES = 2
MIN_SPLIT = 100
"""Rows; fewer were never too much for Meta, so when it fails over them it is down."""


def check(settings: Settings) -> list[Probe]:
    """Findings about token, account, terms, quota and dataset, up to the first that fails."""
    with connect(settings) as client:
        return run_probes(checks(client, settings))


def discover(settings: Settings) -> Catalog:
    """Two objects: a custom audience, and conversions."""
    audience = Stream(name="audience", profile="meta", operations=("add", "remove"), matching_keys=tuple(SCHEMA))
    return Catalog((audience, conversions.STREAM))


def inventory(settings: Settings) -> Inventory:
    """The ad accounts that the token reaches, and the custom audiences of this one."""
    with connect(settings) as client:
        return audiences.inventory(client, settings)


@contextlib.contextmanager
def open(settings: Settings) -> Iterator[MetaWriter]:
    """A writer to one ad account."""
    with connect(settings) as client:
        yield MetaWriter(client, settings)


def preview(settings: Settings, batch: Batch) -> dict[str, Any]:
    """The request for a batch as JSON values, credentials masked."""
    if batch.operation == "track":
        method, path, body = "POST", conversions.path(settings), conversions.request(settings, batch).body
    else:
        method, path = METHODS[batch.operation], f"/{batch.audience.id}/users"
        body = _body(Session(), batch, upload(batch, settings.limited_data_use))
    return {
        "method": method,
        "url": f"{settings.base_url}/{settings.api_version}{path}",
        "headers": {"Authorization": "Bearer ***", **JSON},
        "params": {"appsecret_proof": "***"} if settings.app_secret else {},
        "json": msgspec.json.decode(body),
    }


class MetaWriter:
    """Writes to the custom audiences and the dataset of one ad account; remembers the running upload sessions."""

    def __init__(self, client: Client, settings: Settings) -> None:
        self._client, self._settings = client, settings
        self._sessions = Sessions()

    def ensure(self, audience: Audience) -> AudienceRef:
        """The audience by its ref, by its marker in the description, or a new one."""
        return audiences.ensure(self._client, self._settings, audience)

    def write(self, batch: Batch) -> Outcome:
        """Send a batch as one request: members in an upload session, a repeat of an unanswered batch to the byte."""
        if batch.operation == "track":
            return conversions.write(self._client, self._settings, batch)
        sent = upload(batch, self._settings.limited_data_use)
        if not sent.rows:
            return Outcome(rejected=dict.fromkeys(batch.keys, NO_IDENTIFIER))
        if len(sent.rows) > MAX_ROWS:
            raise RejectedError(f"the batch has more than {MAX_ROWS} rows", reason="meta:rows")
        session = self._sessions.session(batch.audience.id, batch.operation, sent.payload)
        try:
            totals, wait = self._send(session, batch, sent)
        except TooSmallError:
            # It is for the audience, whoever is in the batch: halves would be refused too, and each run tries again.
            return Outcome(rejected=dict.fromkeys(batch.keys, TOO_SMALL))
        received, invalid = session.advance(totals)
        if batch.last or not received:
            self._sessions.end(batch.audience.id, batch.operation)
        if not received:
            raise TransientError("Meta dropped the batch since it had ended the upload session")
        outcome = outcome_of(sent, batch.keys, received, invalid, totals.invalid_entry_samples)
        return msgspec.structs.replace(outcome, pause=wait)

    def settle(self, audience: AudienceRef, pending: str) -> Outcome:
        """Nothing to settle: Meta says all it ever says in the answer to the request."""
        return Outcome()

    def _send(self, session: Session, batch: Batch, sent: Upload) -> tuple[Totals, float]:
        """What the session counts after the batch, and the pause that Meta asks for."""
        try:
            response = self._client.send(
                METHODS[batch.operation],
                f"/{batch.audience.id}/users",
                data=_body(session, batch, sent),
                headers=JSON,
            )
        except OverloadedError as error:
            session.failures += 1
            if session.failures < MAX_FAILURES or len(sent.rows) <= MIN_SPLIT:
                raise
            session.failures = 0
            raise RejectedError(str(error), reason="meta:overloaded") from None
        except (RejectedError, ConfigError):
            self._sessions.end(batch.audience.id, batch.operation)
            raise
        return Client.decode(response, type=Totals), pause(response.headers)


def _body(session: Session, batch: Batch, sent: Upload) -> bytes:
    about = {
        "session_id": session.session_id,
        "batch_seq": session.batch_seq,
        "last_batch_flag": batch.last,
        "estimated_num_total": max(batch.total, len(sent.rows)),
    }
    return msgspec.json.encode({"session": about, "payload": msgspec.Raw(sent.payload)})
