"""Uploads each batch of members as a file, which TikTok works into the audience later (tiktok.md 5)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from cdp_bridge.sdk import (
    Audience,
    AudienceRef,
    Batch,
    Client,
    Limits,
    Outcome,
    RejectedError,
    TransientError,
)

from destination_tiktok import audiences, conversions
from destination_tiktok.api import VERSION, Answer, custom_audiences
from destination_tiktok.errors import BusyError, LostFileError
from destination_tiktok.members import NO_IDENTIFIER
from destination_tiktok.rate_limit import RateLimit
from destination_tiktok.settings import Settings

UPLOAD, CREATE = (f"/dmp/custom_audience/{path}/" for path in ("file/upload", "create"))
COLUMNS = {"email": "email_SHA256", "phone": "phone_SHA256", "mobile_ad_id": "MAID"}
"""Column of the profile `tiktok-audience` -> header of the file; a mobile id needs no word on whose phone it is."""

CALCULATE_TYPE = "MULTIPLE_TYPES"
"""An audience has one type for ever, and members have ids of several."""

ACTIONS = {"add": "APPEND", "remove": "REMOVE"}
"""Always sent: without an action the file replaces everybody."""

MAX_VALUES = 3
MAX_BYTES = 50 * 2**20
LIMITS = Limits(rows=250_000, bytes=40_000_000, requests=8, seconds=1)
"""Each batch keeps an audience busy for hours, so it is as large as a file may be, with room for the header."""

TOO_LARGE = RejectedError("the file is larger than 50 MB", reason="tiktok:bytes")


class File(msgspec.Struct, frozen=True):
    """The file of one batch, and which members have no row in it."""

    content: bytes
    empty: list[bytes]

    @property
    def fields(self) -> dict[str, str]:
        """What is said of it."""
        signature = hashlib.md5(self.content, usedforsecurity=False).hexdigest()
        return {"calculate_type": CALCULATE_TYPE, "file_signature": signature}


class _Uploaded(msgspec.Struct):
    file_path: str


class _Created(msgspec.Struct):
    custom_audience_id: str


def file_of(batch: Batch) -> File:
    """One row a member, with up to three values a column; further rows for those who have more."""
    filled = {name: batch.identifiers[name] for name in COLUMNS if any(batch.identifiers.get(name, ()))}
    widths = [min(MAX_VALUES, max(map(len, column))) for column in filled.values()]
    lines = [",".join(COLUMNS[name] for name, width in zip(filled, widths, strict=True) for _ in range(width))]
    empty = []
    for i, key in enumerate(batch.keys):
        before = len(lines)
        lines += _lines([column[i] for column in filled.values()], widths)
        if len(lines) == before:
            empty.append(key)
    return File("\n".join([*lines, ""]).encode(), empty)


def _lines(values: Sequence[Sequence[str]], widths: Sequence[int]) -> Iterator[str]:
    rows = max((-(-len(some) // width) for some, width in zip(values, widths, strict=True)), default=0)
    for row in range(rows):
        cells: list[str] = []
        for some, width in zip(values, widths, strict=True):
            part = some[row * width : (row + 1) * width]
            cells += [*part, *[""] * (width - len(part))]
        yield ",".join(cells)


def preview(settings: Settings, batch: Batch) -> dict[str, Any]:
    """The upload of a batch and what follows it as JSON values, credentials masked."""
    file = file_of(batch)
    api, headers = settings.base_url + VERSION, {"Access-Token": "***"}
    body = _update(settings, batch.audience.id, batch.operation, "(path of the file)")
    return {
        "method": "POST",
        "url": api + UPLOAD,
        "headers": headers,
        "fields": {"advertiser_id": settings.advertiser_id, **file.fields},
        "file": file.content.decode().splitlines(),
        "then": {"method": "POST", "url": api + audiences.UPDATE, "headers": headers, "json": body},
    }


class _New(msgspec.Struct):
    """An audience that the first file makes: its id from then on, and whether a request for it was sent."""

    audience: Audience
    id: str = ""
    requested: bool = False


class FileWriter:
    """Uploads each batch as a file, and has TikTok make the audience from it or change the audience by it.

    While TikTok works a file in, the next one of each operation waits at TikTok; what comes after that is left to the
    next run. What is `pending` is the id of the audience that is changing, or that id, operation and path of the file
    that waits.
    """

    def __init__(self, client: Client, settings: Settings) -> None:
        self._client, self._settings = client, settings
        self._rate_limit = RateLimit()
        self._new: dict[str, _New] = {}
        self._waiting: set[tuple[str, str]] = set()

    def ensure(self, audience: Audience) -> AudienceRef:
        """The audience by its ref or by its marker in the name; without an id if the first file has yet to make it."""
        ref = audiences.ensure(self._client, self._settings, audience)
        if not ref.id:
            self._new.setdefault(ref.name, _New(audience))
        return ref

    def write(self, batch: Batch) -> Outcome:
        """Upload a batch and have it worked in; a repeat changes nothing, since an audience is a set."""
        if batch.operation == "track":
            return conversions.write(self._client, self._settings, self._rate_limit, batch)
        file = file_of(batch)
        rejected = dict.fromkeys(file.empty, NO_IDENTIFIER)
        new = None if batch.audience.id else self._new[batch.audience.name]
        audience_id = new.id if new else batch.audience.id
        if len(rejected) == len(batch.keys) or (not audience_id and batch.operation == "remove"):
            return Outcome(rejected=rejected)
        if len(file.content) > MAX_BYTES:
            raise TOO_LARGE
        if (audience_id, batch.operation) in self._waiting:
            return Outcome(rejected=rejected, unknown=frozenset(batch.keys).difference(rejected))
        with self._rate_limit.watch():
            path = self._upload(file)
            try:
                if new is not None and not new.id:
                    pending = self._make(new, path)
                else:
                    pending = self._change_or_wait(audience_id, batch.operation, path)
            except RejectedError as error:
                # It is not for what the file holds, so smaller ones would be refused too.
                raise audiences.explained(self._settings, error) from None
        return Outcome(rejected=rejected, pending=pending)

    def settle(self, audience: AudienceRef, pending: str) -> Outcome:
        """Whether the audience has been computed since; a file that waits is worked in as soon as it can be.

        Raises RejectedError when TikTok has not made the change, or has nothing left that it could be asked of.
        """
        audience_id, *waiting = pending.split()
        existing = next(custom_audiences(self._client, self._settings, [audience_id]), None)
        if existing is None or existing.error_msg:
            raise RejectedError("TikTok has not changed the audience", reason="tiktok:change_failed")
        if not waiting:
            return Outcome() if existing.is_valid else Outcome(pending=pending)
        operation, path = waiting
        try:
            with self._rate_limit.watch():
                self._change(audience_id, operation, path)
        except LostFileError as error:
            raise RejectedError(error.problem, reason="tiktok:file_lost") from None
        except TransientError:
            self._waiting.add((audience_id, operation))
            return Outcome(pending=pending)
        return Outcome(pending=audience_id)

    def _make(self, new: _New, path: str) -> str:
        """What is pending once the audience is made; a try without an answer may have made it, so it is looked for."""
        existing = audiences.find(self._client, self._settings, new.audience) if new.requested else None
        if existing is not None:
            new.id = existing.audience_id
            return self._change_or_wait(new.id, "add", path)
        body = {
            "advertiser_id": self._settings.advertiser_id,
            "custom_audience_name": audiences.full_name(new.audience),
            "file_paths": [path],
            "calculate_type": CALCULATE_TYPE,
        }
        new.requested = True
        new.id = self._client.call("POST", CREATE, json=body, type=Answer[_Created]).data.custom_audience_id
        return new.id

    def _change_or_wait(self, audience_id: str, operation: str, path: str) -> str:
        """What is pending once the audience changes, or the file waits for that."""
        try:
            self._change(audience_id, operation, path)
        except BusyError:
            self._waiting.add((audience_id, operation))
            return f"{audience_id} {operation} {path}"
        return audience_id

    def _change(self, audience_id: str, operation: str, path: str) -> None:
        self._client.call("POST", audiences.UPDATE, json=_update(self._settings, audience_id, operation, path))

    def _upload(self, file: File) -> str:
        fields = {"advertiser_id": self._settings.advertiser_id, **file.fields}
        parts = {"file": ("members.csv", file.content, "text/csv")}
        answer = self._client.call("POST", UPLOAD, data=fields, files=parts, type=Answer[_Uploaded])
        return answer.data.file_path


def _update(settings: Settings, audience_id: str, operation: str, path: str) -> dict[str, Any]:
    return {
        "advertiser_id": settings.advertiser_id,
        "custom_audience_id": audience_id,
        "file_paths": [path],
        "action": ACTIONS[operation],
    }
