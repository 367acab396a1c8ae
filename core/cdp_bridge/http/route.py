"""Leads to one host by the proxy and the authorities of the environment, and tells what broke on the way."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests

from cdp_bridge.errors import ConfigError, TransientError, TypedError
from cdp_bridge.http.dialling import CheckingAdapter
from cdp_bridge.http.network import BUNDLES, authorities, way_out

E = TypeVar("E", bound=BaseException)

_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3}) ?([^'\"]*)")
_OF_THE_HOST = {9, 10, 62, 64}
"""OpenSSL's codes of a certificate that no authority makes better: of another time, name or address."""


class Route:
    """The way to the host of a URL, whose `name` has its port, if it is given.

    Raises ConfigError naming the variable of the environment that is of no use.
    """

    def __init__(self, url: str) -> None:
        try:
            parts = urlsplit(url)
            scheme, self._host, port = parts.scheme, parts.hostname or "", parts.port
        except ValueError:
            # A request will say so.
            scheme, self._host, port = "", "", None
        self.name = f"{self._host}:{port}" if port else self._host
        self._proxy = way_out(scheme, self._host, port)
        self._authorities = authorities()

    def session(self) -> requests.Session:
        """A session whose connections take this way, and nothing else from the environment."""
        session = requests.Session()
        # It would take passwords from ~/.netrc, and `NO_PROXY=b.com` for ab.com.
        session.trust_env = False
        if self._proxy:
            session.proxies = dict.fromkeys(("http", "https"), self._proxy.url)
        session.mount("http://", CheckingAdapter())
        is_named = self._authorities.are_named
        trusting = _Adapter(self._authorities.file, self._authorities.folders) if is_named else CheckingAdapter()
        session.mount("https://", trusting)
        return session

    def refusal(self, response: requests.Response) -> TypedError | None:
        """The error of a response that is the proxy's and not the host's."""
        if self._proxy is None:
            return None
        if response.status_code == 407:
            return self._refused(407)
        told = response.headers.get("Proxy-Status", "") if self._proxy.is_ours else ""
        if "http_request_denied" in told:
            return self._refused(403)
        return self._refused(response.status_code, response.reason) if "destination_unavailable" in told else None

    def failure(self, method: str, url: str, error: Exception) -> TypedError:
        """The error for a request that got no response.

        An exception's own text is not shown: it holds the whole URL, query included.
        """
        if refused := _TUNNEL.search(str(error)) if self._proxy else None:
            return self._refused(int(refused[1]), refused[2])
        if isinstance(error, requests.exceptions.SSLError):
            return self._untrusted(error)
        if isinstance(error, requests.exceptions.InvalidHeader | UnicodeEncodeError):
            return ConfigError(
                f"a credential for {self._host} holds a character that no header can carry",
                remedy="Copy it anew, without line breaks and typographic characters",
            )
        if isinstance(error, ValueError):
            # The address is malformed: the same would fail for ever.
            return ConfigError(f"no request can be made: {type(error).__name__}", remedy="Check the host")
        failed = f"{method} {self._host}{urlsplit(url).path} failed"
        if isinstance(error, requests.exceptions.ProxyError):
            return TransientError(f"{failed}: {self._proxy} has no connection to give ({_reason(error)})")
        return TransientError(f"{failed}: {_reason(error)}{self._by()}")

    def _refused(self, status: int, phrase: str = "") -> TypedError:
        """What the status of a proxy means."""
        proxy = self._proxy
        assert proxy is not None
        if status == 407:
            remedy = f"Write them into {proxy.variable}, as in http://USER:PASSWORD@HOST:PORT"
            return ConfigError(f"{proxy} wants another user or password (407)", remedy=remedy)
        if proxy.is_ours and status == 403:
            remedy = "Name it in the settings, or in the connector's hosts"
            return ConfigError(f"{self._host} may not be reached from this container", remedy=remedy)
        if proxy.is_ours:
            return TransientError(f"{self._host} cannot be reached from this container: {phrase}")
        if status < 500:
            remedy = "Ask whoever runs the proxy to let it through, or name the host in NO_PROXY"
            return ConfigError(f"{proxy} does not connect to {self._host} (it answers {status})", remedy=remedy)
        return TransientError(f"{proxy} cannot reach {self._host} (it answers {status})")

    def _untrusted(self, error: Exception) -> ConfigError:
        cause = next(_causes(error, ssl.SSLCertVerificationError), None)
        to = f"no trusted TLS connection to {self._host}{self._by()}"
        if cause is None:
            return ConfigError(to, remedy="Check host and port: do they speak TLS?")
        why = f"{to}: {cause.verify_message.rstrip('.')}; certificates are verified by {self._authorities.source}"
        if cause.verify_code in _OF_THE_HOST:
            return ConfigError(why, remedy="Check the host and its certificate")
        variable = self._authorities.source.partition("=")[0]
        where = variable if variable in BUNDLES else "SSL_CERT_FILE"
        remedy = f"Add the certificate of its authority to a PEM file, and name that in {where} (docs/network.md)"
        return ConfigError(why, remedy=remedy)

    def _by(self) -> str:
        return f" through {self._proxy}" if self._proxy and not self._proxy.is_ours else ""


class _Adapter(CheckingAdapter):
    """Verifies certificates by a file, by folders, or by both; requests itself takes only one of them."""

    def __init__(self, file: str | None, folders: str | None) -> None:
        self._file, self._folders = file, folders
        super().__init__()

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        conn.cert_reqs = "CERT_REQUIRED"
        conn.ca_certs, conn.ca_cert_dir = self._file, self._folders


def _reason(error: Exception) -> str:
    """The kind of failure, and what the system says of it, such as `connection refused`."""
    spoken = (cause.strerror for cause in _causes(error, OSError) if cause.errno is not None and cause.strerror)
    system = next(spoken, None)
    return f"{type(error).__name__}, {system.lower()}" if system else type(error).__name__


def _causes(error: BaseException, kind: type[E]) -> Iterator[E]:
    """The exceptions of that kind inside of one, which libraries wrap in many ways."""
    waiting, seen = [error], set[int]()
    while waiting:
        current = waiting.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        if isinstance(current, kind):
            yield current
        inner = (*current.args, getattr(current, "reason", None), current.__cause__, current.__context__)
        waiting += [cause for cause in inner if isinstance(cause, BaseException)]
