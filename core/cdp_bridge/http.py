"""A requests session whose failures are ours: time-outs, typed errors, Retry-After, no secrets in any message."""

from __future__ import annotations

import email.utils
import logging
import os
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec
import requests

from cdp_bridge.errors import ConfigError, RejectedError, TransientError, TypedError
from cdp_bridge.retry import bounded, retrying

log = logging.getLogger(__name__)

CONNECT_TIMEOUT, READ_TIMEOUT = 10.0, 120.0

PROXY = "CDP_BRIDGE_PROXY"
"""The variable with the URL of the only way out, in a container."""

Interpret = Callable[[requests.Response], TypedError | None]


class Client:
    """One API host with its credentials; a context manager that closes its connections.

    `interpret` is the connector's error table: a function that looks at every response (also at 200, some platforms
    fail inside one) and returns the ConfigError, TransientError or RejectedError that it means, or None. Without one,
    the status decides (`by_status`). `headers` and `params` go with each request, `auth` are user and password. Paths
    are appended to `base_url`. A redirect is a ConfigError, a cut connection or a time-out a TransientError.
    """

    def __init__(
        self,
        base_url: str,
        *,
        interpret: Interpret | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._interpret = interpret or self.by_status
        self._session = requests.Session()
        self._session.headers.update(headers or {})
        self._session.params = dict(params or {})
        self._session.auth = auth
        self._session.trust_env = False
        if proxy := os.environ.get(PROXY):
            self._session.proxies = {"http": proxy, "https": proxy}

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def send(self, method: str, path: str, **request: Any) -> requests.Response:
        """The response to one request, tried once; a failure is raised as the error that it means.

        `request` are the arguments of the requests library: `json`, `data` (bytes go as they are), `params`, `headers`.
        """
        url = self.base_url + path
        try:
            # A redirect could carry credentials to a host that nobody configured.
            response = self._session.request(
                method, url, timeout=(CONNECT_TIMEOUT, READ_TIMEOUT), allow_redirects=False, **request
            )
        except (requests.RequestException, UnicodeError) as error:
            raise self._broken(method, url, error) from None
        log.debug("%s %s -> %s", method, urlsplit(url).path, response.status_code)
        if "http_request_denied" in response.headers.get("Proxy-Status", ""):
            raise _denied(url)
        if 300 <= response.status_code < 400:
            raise ConfigError(
                f"{method} {_place(url)} was answered with a redirect",
                remedy="Check the host in the settings; redirects are not followed",
            )
        failure = self._interpret(response)
        if failure is not None:
            raise failure
        return response

    def call(self, method: str, path: str, **request: Any) -> Any:
        """The JSON that answers one request, tried once; the arguments are those of `send`."""
        return self.decode(self.send(method, path, **request))

    def read(self, path: str, *, method: str = "GET", **request: Any) -> Any:
        """The JSON of a request that changes nothing, tried again (back-off with jitter, Retry-After obeyed) while the
        failure is transient.
        """
        return retrying()(lambda: self.call(method, path, **request))

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

    @staticmethod
    def decode(response: requests.Response) -> Any:
        """The JSON body; a broken one is a TransientError, since proxies and overloaded servers answer with pages."""
        try:
            return msgspec.json.decode(response.content)
        except msgspec.DecodeError:
            raise TransientError(
                f"{_place(response.url)} answered {response.status_code} with something that is not JSON"
            ) from None

    def _broken(self, method: str, url: str, error: requests.RequestException | UnicodeError) -> TypedError:
        # str(error) holds the whole URL, query included; its class says enough.
        if isinstance(error, requests.exceptions.ProxyError) and "Tunnel connection failed: 403" in str(error):
            return _denied(url)
        if isinstance(error, requests.exceptions.SSLError):
            return ConfigError(
                f"no trusted TLS connection to {_place(url)}", remedy="Check the host and its certificate"
            )
        if isinstance(error, requests.exceptions.InvalidHeader | UnicodeEncodeError):
            return ConfigError(
                f"a credential for {_place(url)} holds a character that no header can carry",
                remedy="Copy it anew, without line breaks and typographic characters",
            )
        if isinstance(error, ValueError):
            # The address is malformed: the same would fail for ever.
            return ConfigError(f"no request can be made: {type(error).__name__}", remedy="Check the host")
        return TransientError(f"{method} {_place(url)} failed: {type(error).__name__}")


def _denied(url: str) -> ConfigError:
    host = urlsplit(url).hostname
    remedy = "Name it in the settings, or in the connector's hosts"
    return ConfigError(f"{host} may not be reached from this container", remedy=remedy)


def _place(url: str | None) -> str:
    parts = urlsplit(url or "")
    return f"{parts.hostname}{parts.path}"
