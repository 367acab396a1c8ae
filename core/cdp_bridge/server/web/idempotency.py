"""Requests that come again under the same idempotency key: answered as the first time, and not carried out again."""

from __future__ import annotations

import hashlib
import hmac
from http import HTTPStatus
from typing import Any

import anyio
from litestar import Request
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from cdp_bridge.errors import ConfigError
from cdp_bridge.server.web.problems import ProblemError, problem
from cdp_bridge.store import Store
from cdp_bridge.store.access.idempotency import Answer

HEADER = "Idempotency-Key"
LONGEST_KEY = 255
WAIT_SECONDS, LOOK_SECONDS = 20.0, 0.05
"""How long a repeat waits for the first one to be answered."""
_KEPT_HEADERS = ("content-type", "etag", "location")


class Idempotency(ASGIMiddleware):
    """Keeps the answers to POSTs with an idempotency key for a day, unless they are errors of ours.

    Only a keyed digest of the request is kept: a body may be about people, or hold secrets that can be guessed.
    """

    scopes = (ScopeType.HTTP,)
    exclude_opt_key = "unkept"

    def __init__(self, store: Store) -> None:
        self._answers, self._secrets, self._key = store.answers, store.secrets, store.key("idempotency")

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Answer a repeat, or pass the request on and keep what it is answered."""
        request: Request[Any, Any, Any] = Request(scope, receive, send)
        key = request.headers.get(HEADER)
        if request.method != "POST" or key is None:
            await next_app(scope, receive, send)
            return
        if not 0 < len(key) <= LONGEST_KEY:
            raise _refused(HTTPStatus.BAD_REQUEST, f"it must have 1 to {LONGEST_KEY} characters", "Shorten it")
        digest = await self._digest(request)
        answer = await self._first_answer(request.user.id, key, digest)
        if answer is None:
            await self._pass_on(request.user.id, key, digest, (scope, receive, send, next_app))
        elif answer.request != digest:
            raise _refused(HTTPStatus.CONFLICT, "it stands for another request", "Use a new key for each intent")
        elif answer.status is None:
            raise _refused(HTTPStatus.CONFLICT, "the first request is still being carried out", "Ask again later")
        else:
            await _answer_again(answer, send)

    async def _digest(self, request: Request[Any, Any, Any]) -> bytes:
        body = await request.body()
        address = f"{request.method} {request.url.path}?{request.url.query}".encode()
        return await anyio.to_thread.run_sync(self._keyed, hashlib.sha256(address).digest() + body)

    def _keyed(self, said: bytes) -> bytes:
        try:
            return self._secrets.digest(said)
        except ConfigError:
            # Without a keyring no secret is taken either.
            return hmac.digest(self._key, said, "sha256")

    async def _first_answer(self, caller: str, key: str, digest: bytes) -> Answer | None:
        """None for the first to ask; else the answer, waited for while it is the same request that is carried out."""
        answer = await anyio.to_thread.run_sync(self._answers.claim, caller, key, digest)
        with anyio.move_on_after(WAIT_SECONDS):
            while answer and answer.status is None and answer.request == digest:
                await anyio.sleep(LOOK_SECONDS)
                answer = await anyio.to_thread.run_sync(self._answers.claim, caller, key, digest)
        return answer

    async def _pass_on(self, caller: str, key: str, digest: bytes, rest: tuple[Scope, Receive, Send, ASGIApp]) -> None:
        scope, receive, send, next_app = rest
        said = _Recorder(send)
        try:
            await next_app(scope, receive, said)
        except BaseException as error:
            # What a caller did wrong is not kept either: the same request may be right later.
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._answers.release, caller, key)
            raise error
        with anyio.CancelScope(shield=True):
            if said.status >= HTTPStatus.BAD_REQUEST:
                await anyio.to_thread.run_sync(self._answers.release, caller, key)
            else:
                answer = Answer(request=digest, status=said.status, headers=said.headers, body=bytes(said.body))
                await anyio.to_thread.run_sync(self._answers.save, caller, key, answer)
        await said.release()


class _Recorder:
    """Holds an answer back until it is kept: whoever has seen it gets the same again, come what may."""

    def __init__(self, send: Send) -> None:
        self.status, self.headers, self.body = 500, dict[str, str](), bytearray()
        self._send, self._messages = send, list[Message]()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            named = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in message["headers"]}
            self.headers = {name: named[name] for name in _KEPT_HEADERS if name in named}
        elif message["type"] == "http.response.body":
            self.body += message["body"]
        self._messages.append(message)

    async def release(self) -> None:
        """Send it."""
        for message in self._messages:
            await self._send(message)


async def _answer_again(answer: Answer, send: Send) -> None:
    body, status = answer.body or b"", answer.status or 200
    headers = {**(answer.headers or {}), "idempotency-replayed": "true"}
    if status != HTTPStatus.NO_CONTENT:
        headers["content-length"] = str(len(body))
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _refused(status: HTTPStatus, text: str, remedy: str) -> ProblemError:
    return problem(status, text, place=f"header {HEADER}", remedy=remedy)
