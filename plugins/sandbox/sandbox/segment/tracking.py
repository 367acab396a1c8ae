"""The Tracking API of the Segment twin: little is refused, much is dropped behind a 200 (segment.md section 4)."""

import base64
import binascii
import re
import uuid
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiohttp import web

from sandbox.segment import oauth
from sandbox.segment.catalog import SOURCES, WRITE_KEYS
from sandbox.segment.refusals import tracking
from sandbox.segment.twin import TWIN, Stored, Twin

KINDS = frozenset({"track", "identify", "page", "screen", "group", "alias"})
_MAX_MESSAGE_BYTES = 32_768
_MAX_BATCH_BYTES = 500_000
_MAX_MESSAGES = 2500
_MAX_MESSAGE_ID_LENGTH = 99
_MAX_PROPERTIES = 300
_DEDUPLICATION_SECONDS = 86_400.0
_NEEDED = {"track": "event", "group": "groupId", "alias": "previousId"}
_TIME_WITHOUT_ZONE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?")


class _Batch(msgspec.Struct, rename="camel"):
    batch: list[msgspec.Raw]
    context: dict[str, Any] = {}
    integrations: dict[str, Any] = {}
    write_key: str = ""
    sent_at: str | None = None


def install(app: web.Application) -> None:
    """Add the routes."""
    app.router.add_post("/v1/batch", _batch)
    app.router.add_post("/v1/{kind}", _single)


async def _single(request: web.Request) -> web.Response:
    kind = request.match_info["kind"]
    if kind not in KINDS:
        raise tracking(404, "not_found", "Not Found")
    raw = await _raw(request)
    _check_message_size(raw)
    message = _decoded(raw, dict[str, Any])
    key = _write_key(request, str(message.pop("writeKey", "")))
    sent_at = message.pop("sentAt", None)
    return _take(request.app[TWIN], key, [message | {"type": kind}], sent_at)


async def _batch(request: web.Request) -> web.Response:
    raw = await _raw(request)
    if len(raw) > _MAX_BATCH_BYTES:
        raise tracking(400, "bad_request", "Exceed payload limit")
    body = _decoded(raw, _Batch)
    for item in body.batch:
        _check_message_size(bytes(item))
    messages = [_merged(body, _decoded(bytes(item), dict[str, Any])) for item in body.batch]
    return _take(request.app[TWIN], _write_key(request, body.write_key), messages, body.sent_at)


async def _raw(request: web.Request) -> bytes:
    if request.content_type != "application/json":
        raise tracking(400, "bad_request", "Content-Type must be application/json")
    return await request.read()


def _decoded(raw: bytes, kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.DecodeError as error:
        raise tracking(400, "bad_request", "Malformed JSON") from error


def _check_message_size(raw: bytes) -> None:
    if len(raw) > _MAX_MESSAGE_BYTES:
        raise tracking(400, "bad_request", "Exceed payload limit")


def _merged(batch: _Batch, message: dict[str, Any]) -> dict[str, Any]:
    """A batch item with the context and integrations of the batch below its own."""
    for name, shared in (("context", batch.context), ("integrations", batch.integrations)):
        if shared:
            message[name] = {**shared, **message.get(name, {})}
    return message


def _write_key(request: web.Request, in_body: str) -> str:
    """The write key of the body or of Basic auth, after the OAuth rules. Raises 400 for none, 401 for a bad token."""
    twin = request.app[TWIN]
    scheme, _, credential = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        if not oauth.is_valid(twin, credential):
            raise tracking(401, "unauthorized", "The access token is invalid or expired")
    elif twin.config.enforce_oauth:
        raise tracking(401, "unauthorized", "The source accepts OAuth only")
    key = in_body or (_basic_username(credential) if scheme.lower() == "basic" else "")
    if not key:
        raise tracking(400, "invalid_write_key", "A write key is required")
    return key


def _basic_username(credential: str) -> str:
    try:
        return base64.b64decode(credential, validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _take(twin: Twin, key: str, messages: list[dict[str, Any]], sent_at: Any) -> web.Response:
    nobody = [message for message in messages if not message.get("userId") and not message.get("anonymousId")]
    if nobody and twin.config.missing_id == "reject":
        raise tracking(400, "no_user_anon_id", "Each message needs a userId or an anonymousId")
    whole = _reason_for_all(twin, key, messages)
    for message in messages:
        _store(twin, message, whole or _reason(twin, message), sent_at)
    return web.json_response({"success": True})


def _reason_for_all(twin: Twin, key: str, messages: list[dict[str, Any]]) -> str | None:
    if key not in WRITE_KEYS[twin.config.region]:
        elsewhere = any(key in keys for keys in WRITE_KEYS.values())
        return "wrong_region" if elsewhere else "unknown_write_key"
    return "too_many_messages" if len(messages) > _MAX_MESSAGES else None


def _reason(twin: Twin, message: dict[str, Any]) -> str | None:
    """Why one message is dropped in silence (section 11, rows 28 to 32), or None."""
    kind = message.get("type")
    message_id = str(message.get("messageId") or "")
    seen = twin.message_ids.get(message_id)
    content = message.get("properties") or message.get("traits") or {}
    reasons = {
        "no_user_anon_id": not message.get("userId") and not message.get("anonymousId"),
        "unknown_type": kind not in KINDS,
        "missing_field": kind in _NEEDED and not message.get(_NEEDED[kind]),
        "message_id_too_long": len(message_id) > _MAX_MESSAGE_ID_LENGTH,
        "too_many_properties": len(content) > _MAX_PROPERTIES,
        "duplicate_message_id": seen is not None and twin.clock.seconds() < seen + _DEDUPLICATION_SECONDS,
        "suppressed_user": message.get("userId") in twin.suppressed_users,
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def _store(twin: Twin, message: dict[str, Any], reason: str | None, sent_at: Any) -> None:
    received = twin.clock.now()
    message_id = str(message.get("messageId") or uuid.uuid4())
    timestamp = None
    if reason is None:
        twin.message_ids[message_id] = twin.clock.seconds()
        timestamp = _timestamp(message.get("timestamp"), sent_at, received)
        _apply(twin, message, message_id, timestamp)
    twin.tracked.append(Stored(message | {"messageId": message_id}, received.isoformat(), timestamp, reason))


def _timestamp(original: Any, sent_at: Any, received: datetime) -> str:
    """Segment's correction for the sender's clock: receivedAt - (sentAt - originalTimestamp) (section 4.3)."""
    happened, sent = _moment(original), _moment(sent_at)
    if happened is None:
        return received.isoformat()
    return (received - (sent - happened) if sent else happened).isoformat()


def _moment(text: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _apply(twin: Twin, message: dict[str, Any], message_id: str, timestamp: str) -> None:
    """Let an identify change its profile and a track join the profile's events; other kinds only make it known."""
    profile = twin.profiles.of_message(message)
    if message["type"] == "identify":
        traits = message.get("traits") or {}
        profile.added_traits |= {name: value for name, value in traits.items() if not _lacks_zone(value)}
    if message["type"] == "track":
        event = {
            "type": "track",
            "event": message["event"],
            "message_id": message_id,
            "source_id": min(SOURCES),
            "timestamp": timestamp,
            "properties": message.get("properties") or {},
            "context": message.get("context") or {},
            "external_ids": [],
            "related": {},
        }
        profile.events.append(event)


def _lacks_zone(value: Any) -> bool:
    return isinstance(value, str) and _TIME_WITHOUT_ZONE.fullmatch(value) is not None
