"""The webhook sender of the Segment twin: signs, batches, retries, misbehaves as production may (section 6)."""

import asyncio
import hashlib
import hmac
from datetime import timedelta
from itertools import islice
from typing import Any, Literal

import aiohttp
import msgspec
from msgspec import Struct, field

from sandbox.segment.messages import Membership, Style, messages
from sandbox.segment.twin import Twin

_RETRIED = frozenset({408, 423, 429})
_FINAL_SERVER_ERRORS = frozenset({501})


class Order(Struct, forbid_unknown_fields=True):
    """What `POST /_twin/send` may ask for.

    `batch_size` 0 sends each message alone, as the classic webhook does. `signature`: over element 0 of a batch
    (`first`, as production does today), over the whole body (`all`), a wrong one, or none. `repeat` sends the first
    messages again at the end; `reverse` sends the newest first; what is retried is cut into batches of half the size.
    """

    url: str
    audience_key: str
    secret: str | None = None
    member: bool = True
    person_ids: list[str] | None = None
    limit: int = 100
    style: Style = field(default_factory=Style)
    batch_size: int = 1000
    signature: Literal["first", "all", "wrong", "none"] = "first"
    repeat: int = 0
    reverse: bool = False
    timeout_seconds: float = 5.0
    tries: int = 3
    headers: dict[str, str] = {}


class Delivery(Struct):
    """One HTTP request: how many messages, the status (None for a time-out or a broken connection), which try."""

    messages: int
    status: int | None
    attempt: int


async def send(twin: Twin, order: Order) -> dict[str, Any]:
    """Deliver; answers how many messages went out and what became of each request."""
    outgoing = list(_outgoing(twin, order))
    deliveries: list[Delivery] = []
    timeout = aiohttp.ClientTimeout(total=order.timeout_seconds)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        await _deliver(session, order, outgoing, deliveries)
    return {"messages": len(outgoing), "deliveries": msgspec.to_builtins(deliveries)}


async def _deliver(
    session: aiohttp.ClientSession, order: Order, outgoing: list[dict[str, Any]], deliveries: list[Delivery]
) -> None:
    """Send in batches; what is to be tried again is cut anew, half as large, up to `tries` times."""
    size = order.batch_size
    for attempt in range(1, order.tries + 1):
        failed: list[dict[str, Any]] = []
        step = size or 1
        for batch in (outgoing[start : start + step] for start in range(0, len(outgoing), step)):
            status = await _post(session, order, batch, single=size == 0)
            deliveries.append(Delivery(len(batch), status, attempt))
            failed += batch if _is_retried(status) else []
        if not failed:
            return
        outgoing, size = failed, size and max(1, size // 2)
        await asyncio.sleep(0.05)


async def _post(session: aiohttp.ClientSession, order: Order, batch: list[dict[str, Any]], single: bool) -> int | None:
    elements = [msgspec.json.encode(message) for message in batch]
    body = elements[0] if single else b"[" + b",".join(elements) + b"]"
    headers = {"Content-Type": "application/json", "User-Agent": "Segment.io/1.0"} | order.headers
    signed = body if order.signature == "all" else elements[0]
    if order.secret is not None and order.signature != "none":
        secret = order.secret if order.signature != "wrong" else f"not {order.secret}"
        headers["X-Signature"] = hmac.new(secret.encode(), signed, hashlib.sha1).hexdigest()
    try:
        async with session.post(order.url, data=body, headers=headers) as response:
            return response.status
    except (TimeoutError, aiohttp.ClientError):
        return None


def _is_retried(status: int | None) -> bool:
    """Section 6.3: time-outs and 5xx except 501 come again, and of the 4xx 408, 423 and 429; row 36: a 401 never."""
    return status is None or status in _RETRIED or (status >= 500 and status not in _FINAL_SERVER_ERRORS)


def _outgoing(twin: Twin, order: Order) -> list[dict[str, Any]]:
    """The messages in the order of sending, each person one millisecond after the one before."""
    now = twin.clock.now()
    if order.person_ids is not None:
        people = [twin.population.by_id[person_id] for person_id in order.person_ids]
    else:
        people = list(islice(twin.population.members(order.audience_key), order.limit))
    told = [
        Membership(person, order.audience_key, order.member, now + timedelta(milliseconds=number), order.style)
        for number, person in enumerate(people)
    ]
    outgoing = [message for membership in told for message in messages(membership)]
    if order.reverse:
        outgoing.reverse()
    return outgoing + outgoing[: order.repeat]
