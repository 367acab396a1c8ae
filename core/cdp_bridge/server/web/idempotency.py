"""Answers a request that is repeated under its idempotency key as the first time, without doing it again."""

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
MAX_KEY_LENGTH = 255
WAIT_SECONDS, POLL_SECONDS = 20.0, 0.05
"""How long a repeated request waits for the answer to the first."""
_RECORDED_HEADERS = ("content-type", "etag", "location")


class Idempotency(ASGIMiddleware):
    """Records the answers to POSTs with an idempotency key for a day, unless they are errors.

    Of the request it stores a keyed digest only: a body may hold personal values or secrets.
    """

    scopes = (ScopeType.HTTP,)
    exclude_opt_key = "unrecorded"

    def __init__(self, store: Store) -> None:
        self._answers, self._secrets, self._key = store.answers, store.secrets, store.key("idempotency")

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Answer a repeated request, or handle it and record its answer."""
        request: Request[Any, Any, Any] = Request(scope, receive, send)
        key = request.headers.get(HEADER)
        if request.method != "POST" or key is None:
            await next_app(scope, receive, send)
            return
        if not 0 < len(key) <= MAX_KEY_LENGTH:
            raise _refused(HTTPStatus.BAD_REQUEST, f"it must have 1 to {MAX_KEY_LENGTH} characters", "Shorten it")
        digest = await self._digest(request)
        answer = await self._first_answer(request.user.id, key, digest)
        if answer is None:
            await self._handle_first(request.user.id, key, digest, (scope, receive, send, next_app))
        elif answer.request != digest:
            raise _refused(HTTPStatus.CONFLICT, "it was used for another request", "Use a new key for each intent")
        elif answer.status is None:
            raise _refused(HTTPStatus.CONFLICT, "the first request is still being carried out", "Ask again later")
        else:
            await _answer_again(answer, send)

    async def _digest(self, request: Request[Any, Any, Any]) -> bytes:
        body = await request.body()
        address = f"{request.method} {request.url.path}?{request.url.query}".encode()
        return await anyio.to_thread.run_sync(self._keyed, hashlib.sha256(address).digest() + body)

    def _keyed(self, content: bytes) -> bytes:
        try:
            return self._secrets.digest(content)
        except ConfigError:
            # Without a keyring no body holds a secret either.
            return hmac.digest(self._key, content, "sha256")

    async def _first_answer(self, caller: str, key: str, digest: bytes) -> Answer | None:
        """None for the first request; else its answer, waited for while the same request is in progress."""
        answer = await anyio.to_thread.run_sync(self._answers.claim, caller, key, digest)
        with anyio.move_on_after(WAIT_SECONDS):
            while answer and answer.status is None and answer.request == digest:
                await anyio.sleep(POLL_SECONDS)
                answer = await anyio.to_thread.run_sync(self._answers.claim, caller, key, digest)
        return answer

    async def _handle_first(
        self, caller: str, key: str, digest: bytes, rest: tuple[Scope, Receive, Send, ASGIApp]
    ) -> None:
        scope, receive, send, next_app = rest
        recorder = _Recorder(send)
        try:
            await next_app(scope, receive, recorder)
        except BaseException as error:
            # Errors of the caller are not recorded either: the same request may succeed later.
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._answers.release, caller, key)
            raise error
        with anyio.CancelScope(shield=True):
            if recorder.status >= HTTPStatus.BAD_REQUEST:
                await anyio.to_thread.run_sync(self._answers.release, caller, key)
            else:
                answer = Answer(
                    request=digest, status=recorder.status, headers=recorder.headers, body=bytes(recorder.body)
                )
                await anyio.to_thread.run_sync(self._answers.save, caller, key, answer)
        await recorder.release()


class _Recorder:
    """Holds an answer back until it is recorded, so that a repeat after a crash gets the same one."""

    def __init__(self, send: Send) -> None:
        self.status, self.headers, self.body = 500, dict[str, str](), bytearray()
        self._send, self._messages = send, list[Message]()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            named = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in message["headers"]}
            self.headers = {name: named[name] for name in _RECORDED_HEADERS if name in named}
        elif message["type"] == "http.response.body":
            self.body += message["body"]
        self._messages.append(message)

    async def release(self) -> None:
        """Send the answer."""
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
