"""Calls an HTTP API: time-outs, typed errors, Retry-After, tokens, pages; no secret is in any message."""

from __future__ import annotations

import email.utils
import logging
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol, TypeVar, overload
from urllib.parse import urljoin, urlsplit

import msgspec
import requests

from cdp_bridge.errors import ConfigError, RejectedError, TransientError, TypedError
from cdp_bridge.http.route import Route
from cdp_bridge.retry import bounded, retrying, time_left, waiting_for
from cdp_bridge.secrets import Secret

log = logging.getLogger(__name__)

CONNECT_TIMEOUT, READ_TIMEOUT = 10.0, 60.0
LEAST_TIMEOUT = 1.0
"""Seconds that a request has when the time limit of a call is over."""

TOKEN_MARGIN = 60.0
"""Seconds before the end of a token's life in which it is used no more."""

T = TypeVar("T")
Interpret = Callable[[requests.Response], TypedError | None]
Follow = Callable[[T, Mapping[str, Any]], Mapping[str, Any] | str | None]

_SHAPE = re.compile(r"(Expected `[^`]*`, got `[^`]*`|Object missing required field `\w+`)(?: - at `([$\w.\[\]]+)`)?")


class AccessToken(Protocol):
    """What a request is authorised by, and how many seconds it lives from now (None: nobody said); see `Token`."""

    @property
    def value(self) -> Secret:
        """The token."""

    @property
    def expires_in(self) -> float | None:
        """Its life in seconds."""


class Client:
    """One API host with its credentials; a context manager that closes its connections.

    `interpret` is a function that looks at every response (also at 200, some platforms fail inside one) and returns the
    ConfigError, TransientError or RejectedError that it means, or None; an `ErrorTable` helps to write it. Without one,
    the status decides (`by_status`). `headers` and `params` go with each request, `auth` are user and password. `token`
    fetches an access token, which goes as `Authorization: Bearer`: when the first request needs it, again a minute
    before it ends, and once more after a 401. Paths are appended to `base_url`. A redirect is a ConfigError, a cut
    connection or a time-out a TransientError. It goes by the proxies and authorities of the environment (see
    `docs/network.md`); ConfigError for one that is of no use.
    """

    def __init__(
        self,
        base_url: str,
        *,
        interpret: Interpret | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        token: Callable[[], AccessToken] | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._interpret = interpret or self.by_status
        self._bearer = None if token is None else _Bearer(token)
        self._route = Route(self.base_url)
        self._session = self._route.session()
        self._session.headers.update(headers or {})
        self._session.params = dict(params or {})
        self._session.auth = auth

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def send(self, method: str, path: str, **request: Any) -> requests.Response:
        """The response to one request, tried once; a failure is raised as the error that it means.

        `request` are the arguments of the requests library: `json`, `data` (bytes go as they are), `params`, `headers`.
        """
        response = self._exchange(method, self.base_url + path, request)
        if response.status_code == 401 and self._bearer is not None:
            self._bearer.drop()
            response = self._exchange(method, self.base_url + path, request)
        failure = self._interpret(response)
        if failure is not None:
            raise failure
        return response

    @overload
    def call(self, method: str, path: str, *, type: type[T], **request: Any) -> T: ...
    @overload
    def call(self, method: str, path: str, **request: Any) -> Any: ...
    def call(self, method: str, path: str, *, type: type[T] | None = None, **request: Any) -> T | Any:
        """The JSON that answers one request, tried once; `type` as in `decode`, the other arguments as in `send`."""
        response = self.send(method, path, **request)
        return _converted(self.decode(response), type, _place(response.url))

    @overload
    def read(self, path: str, *, method: str = "GET", type: type[T], **request: Any) -> T: ...
    @overload
    def read(self, path: str, *, method: str = "GET", **request: Any) -> Any: ...
    def read(self, path: str, *, method: str = "GET", type: type[T] | None = None, **request: Any) -> T | Any:
        """The JSON of a request that changes nothing, tried again (back-off with jitter, Retry-After obeyed) while the
        failure is transient; `type` as in `decode`. Another shape is not tried again.
        """
        return _converted(retrying()(lambda: self.call(method, path, **request)), type, _place(self.base_url + path))

    def pages(
        self, path: str, follow: Follow[T] | None = None, *, type: type[T], params: Mapping[str, Any] | None = None
    ) -> Iterator[T]:
        """Every page of a list as `type`, each with GET and tried again as in `read`.

        `follow` gets a page and the parameters that it was asked for with. It returns the parameters that change for
        the next page (its number, an offset, a cursor), or the link to it (a URL or path), or None after the last one.
        Without it, the header `Link` with `rel="next"` is followed. Raises TransientError for a way that leads back,
        for a list cut short is no list, and ConfigError for a link to another host, which must not get credentials.
        """
        query = dict(params or {})
        visited = set()
        while True:
            visited.add(f"{path} {sorted(query.items())}")
            response, answer = retrying()(self._page, path, query)
            page = _converted(answer, type, _place(response.url))
            yield page
            step = follow(page, query) if follow else response.links.get("next", {}).get("url")
            if step is None:
                return
            if isinstance(step, str):
                path, query = self._below(urljoin(response.url, step)), {}
            else:
                query = {**query, **step}
            if f"{path} {sorted(query.items())}" in visited or "" in query.values():
                raise TransientError(f"the list at {_place(response.url)} has a next page but no way to it")

    @staticmethod
    def by_status(response: requests.Response) -> TypedError | None:
        """The error that an HTTP status means when the platform says nothing better; None below 400.

        401 and 403 are a ConfigError, 408, 429 and 5xx a TransientError, other 4xx a RejectedError.
        """
        status = response.status_code
        place = f"{response.request.method} {_place(response.url)} answered {status}"
        if status in (401, 403):
            return ConfigError(place, remedy="Check the credentials and their permissions")
        if status in (408, 429) or status >= 500:
            return TransientError(place, retry_after=Client.retry_after(response))
        if status >= 400:
            return RejectedError(place, reason=f"http:{status}")
        return None

    @staticmethod
    def retry_after(response: requests.Response) -> float | None:
        """Seconds to wait by the `Retry-After` header (a number or a date), at most an hour; None without one."""
        header = response.headers.get("Retry-After", "").strip()
        if not header:
            return None
        try:
            seconds = float(header)
        except ValueError:
            try:
                seconds = email.utils.parsedate_to_datetime(header).timestamp() - time.time()
            except ValueError:
                return None
        return bounded(seconds) if seconds == seconds else None

    @overload
    @staticmethod
    def decode(response: requests.Response, *, type: type[T]) -> T: ...
    @overload
    @staticmethod
    def decode(response: requests.Response) -> Any: ...
    @staticmethod
    def decode(response: requests.Response, *, type: type[T] | None = None) -> T | Any:
        """The JSON body, as a value of `type` (a msgspec Struct, `list[str]`, ...) where one is given.

        A broken one is a TransientError, since proxies and overloaded servers answer with pages; so is another shape,
        with its place and never with a value. Numbers may be written as text.
        """
        try:
            answer = msgspec.json.decode(response.content)
        except (msgspec.DecodeError, RecursionError):
            raise TransientError(
                f"{_place(response.url)} answered {response.status_code} with something that is not JSON"
            ) from None
        return _converted(answer, type, _place(response.url))

    def _page(self, path: str, params: Mapping[str, Any]) -> tuple[requests.Response, Any]:
        response = self.send("GET", path, params=params)
        return response, self.decode(response)

    def _below(self, url: str) -> str:
        """A link as a path below `base_url`."""
        path = url.removeprefix(self.base_url)
        if path == url or path[:1] not in ("/", "?"):
            raise ConfigError(
                f"a page of {_place(self.base_url)} links to {urlsplit(url).hostname}, which is not below the base URL",
                remedy="Check the host in the settings; such links are not followed",
            )
        return path

    def _exchange(self, method: str, url: str, request: Mapping[str, Any]) -> requests.Response:
        """The response to one request, whatever it means."""
        if self._bearer is not None:
            headers = {"Authorization": f"Bearer {self._bearer.token()}", **(request.get("headers") or {})}
            request = {**request, "headers": headers}
        left = max(time_left(), LEAST_TIMEOUT)
        timeouts = min(CONNECT_TIMEOUT, left), min(READ_TIMEOUT, left)
        try:
            # A redirect could carry credentials to a host that nobody configured.
            with waiting_for(self._route.name, sum(timeouts)):
                response = self._session.request(method, url, timeout=timeouts, allow_redirects=False, **request)
        except (requests.RequestException, UnicodeError) as error:
            raise self._route.failure(method, url, error) from None
        log.debug("%s %s -> %s", method, urlsplit(url).path, response.status_code)
        if refusal := self._route.refusal(response):
            raise refusal
        if 300 <= response.status_code < 400:
            raise ConfigError(
                f"{method} {_place(url)} was answered with a redirect",
                remedy="Check the host in the settings; redirects are not followed",
            )
        return response


class _Bearer:
    """The access token in use, and when another one is due."""

    def __init__(self, fetch: Callable[[], AccessToken]) -> None:
        self._fetch = fetch
        self._token: AccessToken | None = None
        self._due = 0.0

    def token(self) -> str:
        """The token in clear text, fetched if there is none that is good."""
        if self._token is None or time.monotonic() >= self._due:
            self._token = self._fetch()
            life = self._token.expires_in
            # A life of less than two minutes is used for its first half.
            self._due = math.inf if life is None else time.monotonic() + max(life - TOKEN_MARGIN, life / 2)
        return self._token.value.reveal()

    def drop(self) -> None:
        """Use the token no more."""
        self._token = None


def _converted(answer: Any, type: Any, place: str) -> Any:
    if type is None:
        return answer
    try:
        return msgspec.convert(answer, type, strict=False)
    except msgspec.ValidationError as error:
        # Of msgspec's words only those that never quote a value.
        said = _SHAPE.fullmatch(str(error))
        difference = f" ({said[1]} at {said[2] or '$'})" if said else ""
        raise TransientError(f"{place} answered with JSON of an unexpected shape{difference}") from None


def _place(url: str | None) -> str:
    parts = urlsplit(url or "")
    return f"{parts.hostname}{parts.path}"
