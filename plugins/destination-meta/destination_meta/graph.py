"""Calls to the Graph API: credentials, paged lists, and answers with a known shape."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from typing import Any, TypeVar

import msgspec
from cdp_bridge.sdk import Client, Secret, TransientError

from destination_meta.errors import TooLargeError, interpret
from destination_meta.settings import Settings

T = TypeVar("T")
PAGE = 100


class _Cursors(msgspec.Struct):
    after: str = ""


class _Paging(msgspec.Struct):
    cursors: _Cursors = msgspec.field(default_factory=_Cursors)
    next: str | None = None


class _Page(msgspec.Struct):
    data: list[dict[str, Any]]
    paging: _Paging = msgspec.field(default_factory=_Paging)


def connect(settings: Settings) -> Client:
    """A client that signs each call; the token travels as a header, where no log of URLs sees it (meta.md 1.1)."""
    token = settings.access_token.reveal()
    params = {} if settings.app_secret is None else {"appsecret_proof": proof(settings.app_secret, token).reveal()}
    headers = {"Authorization": f"Bearer {token}"}
    return Client(f"{settings.base_url}/{settings.api_version}", interpret=interpret, headers=headers, params=params)


def proof(app_secret: Secret, token: str) -> Secret:
    """`appsecret_proof`: lower-case hex of HMAC-SHA256 of the token, keyed with the app secret (meta.md 1.1)."""
    return Secret(hmac.new(app_secret.reveal().encode(), token.encode(), hashlib.sha256).hexdigest())


def entries(client: Client, edge: str, fields: str) -> Iterator[dict[str, Any]]:
    """Every entry of a list edge, to its last page; pages shrink while Meta finds them too large (meta.md 3.3)."""
    params: dict[str, Any] = {"fields": fields, "limit": PAGE}
    while True:
        try:
            page = shaped(client.read(edge, params=params), _Page)
        except TooLargeError:
            if params["limit"] == 1:
                raise
            params["limit"] //= 2
            continue
        yield from page.data
        if page.paging.next is None:
            return
        # Our own parameters with the cursor, not `next`: that URL holds the access token. An empty page may have one.
        if page.paging.cursors.after in ("", params.get("after")):
            raise TransientError(f"Meta's list {edge} has a next page but no way to it")
        params["after"] = page.paging.cursors.after


def shaped(answer: Any, kind: type[T]) -> T:
    """The answer as its type; TransientError for another shape, which only a broken server gives."""
    try:
        return msgspec.convert(answer, kind, strict=False)
    except msgspec.ValidationError:
        raise TransientError("Meta answered with JSON of an unexpected shape") from None
