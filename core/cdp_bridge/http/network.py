"""Reads from the environment which proxy leads to a host, and which authorities its certificate is verified by."""

from __future__ import annotations

import ipaddress
import os
import re
import ssl
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from cdp_bridge import redact
from cdp_bridge.errors import ConfigError

ONLY_WAY_OUT = "CDP_BRIDGE_PROXY"
"""The variable with the URL of the only way out, in a container."""
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
"""The variables that name proxies; of two spellings the lower-case one wins, also if it is empty."""
BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
AUTHORITIES = (*BUNDLES, "SSL_CERT_FILE", "SSL_CERT_DIR")
"""The variables that name authorities; the first of `BUNDLES` that is set wins over the others."""

_PORTS = {"http": 80, "https": 443}
_DIGEST_NAME = re.compile(r"[0-9a-f]{8}\.\d+")
"""The names under which OpenSSL looks for an authority in a folder."""


class Proxy(Struct, frozen=True):
    """A forward proxy: `url` with its credentials, `place` without them, the `variable` that names it."""

    url: str
    place: str
    variable: str

    @property
    def is_ours(self) -> bool:
        """Whether it is the way out of a container of the bridge."""
        return self.variable == ONLY_WAY_OUT

    def __str__(self) -> str:
        return f"the proxy {self.place} ({self.variable})"

    __repr__ = __str__


class Authorities(Struct, frozen=True):
    """Whom to trust: a `file` of certificates, `folders` of them as OpenSSL has them, or both; `source` names them.

    Neither: those that come with the bridge.
    """

    file: str | None = None
    folders: str | None = None
    source: str = "the list that comes with the bridge"

    @property
    def are_named(self) -> bool:
        """Whether the environment names any."""
        return bool(self.file or self.folders)

    def certificates(self) -> bytes:
        """Those that the environment names, one after the other, as PEM."""
        paths = [Path(self.file)] if self.file else []
        return b"\n".join(path.read_bytes() for path in (*paths, *_hashed(self.folders or "")))


def way_out(scheme: str, host: str, port: int | None) -> Proxy | None:
    """In a container the only way out, else as `proxy_to`."""
    url = os.environ.get(ONLY_WAY_OUT)
    return _proxy(ONLY_WAY_OUT, url) if url else proxy_to(scheme, host, port)


def proxy_to(scheme: str, host: str, port: int | None) -> Proxy | None:
    """The proxy of this machine by which a host is reached, None: without one; ConfigError naming the variable that is
    no URL of a proxy.
    """
    if scheme not in _PORTS or _is_exempt(host, port or _PORTS[scheme]):
        return None
    for prefix in (scheme, "all"):
        variable, url = _variable(f"{prefix}_proxy")
        if url:
            return _proxy(variable, url)
    return None


def authorities() -> Authorities:
    """Whom the environment says to trust; ConfigError naming the variable whose file or folder is of no use."""
    for variable in BUNDLES:
        if path := os.environ.get(variable):
            is_folder = os.path.isdir(path)
            _check(variable, path, is_folder=is_folder)
            source = f"{variable}={path}"
            return Authorities(folders=path, source=source) if is_folder else Authorities(file=path, source=source)
    file, folders = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    named = {"SSL_CERT_FILE": file, "SSL_CERT_DIR": folders}
    given = {variable: path for variable, path in named.items() if path}
    if not given:
        return Authorities()
    for variable, path in given.items():
        _check(variable, path, is_folder=variable == "SSL_CERT_DIR")
    source = " and ".join(f"{variable}={path}" for variable, path in given.items())
    return Authorities(file or None, folders or None, source)


def _variable(name: str) -> tuple[str, str]:
    """The variable that is set, and its value; empty if none is."""
    variable = name if name in os.environ else name.upper()
    return variable, os.environ.get(variable, "").strip()


def _proxy(variable: str, url: str) -> Proxy:
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = urlsplit(""), None, None
    if parts.scheme not in _PORTS or not host or parts.path not in ("", "/") or parts.query or parts.fragment:
        # The value may hold a password.
        remedy = "Write http://HOST:PORT, with USER:PASSWORD@ before the host if it wants them, percent-encoded"
        raise ConfigError("this is not the URL of an HTTP proxy", place=variable, remedy=remedy)
    for spelling in {parts.password or "", unquote(parts.password or "")}:
        redact.learn(spelling)
    bracketed = f"[{host}]" if ":" in host else host
    place = f"{parts.scheme}://{bracketed}:{port or _PORTS[parts.scheme]}"
    credentials, at, _ = parts.netloc.rpartition("@")
    return Proxy(place.replace("://", f"://{credentials}{at}"), place, variable)


def _is_exempt(host: str, port: int) -> bool:
    """Whether `NO_PROXY` has the host: its name or a domain above it, its address or network, with or without a port;
    `*` is all hosts.
    """
    host = host.lower().rstrip(".").strip("[]")
    return any(_covers(entry, host, port) for entry in _entries(_variable("no_proxy")[1].lower()))


def _entries(listed: str) -> Iterator[str]:
    return (entry for entry in re.split(r"[,\s]+", listed) if entry)


def _covers(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    if split := re.fullmatch(r"(\[.*\]|[^:]*):(\d+)", entry):
        if int(split[2]) != port:
            return False
        entry = split[1]
    entry = entry.strip("[]")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        domain = entry.removeprefix("*").strip(".")
        return bool(domain) and (host == domain or host.endswith(f".{domain}"))
    try:
        return address in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False


def _check(variable: str, path: str, *, is_folder: bool) -> None:
    """Raise ConfigError unless there are certificates."""
    remedy = "Name a file of certificates in PEM format, or unset it"
    try:
        if not is_folder:
            state = os.stat(path)
            _load_certificates(path, state.st_mtime_ns, state.st_size)
        elif not _hashed(path):
            remedy = "Name a folder that openssl rehash has prepared, or unset it"
            raise ConfigError(f"the folder {path} has no certificate", place=variable, remedy=remedy)
    except ssl.SSLError:
        raise ConfigError(f"the file {path} holds no certificate", place=variable, remedy=remedy) from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", place=variable, remedy=remedy) from None


# A bundle takes 30 ms to read, and every client asks.
@lru_cache(maxsize=16)
def _load_certificates(path: str, _changed: int, _size: int) -> None:
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)


def _hashed(folders: str) -> list[Path]:
    """The files of certificates in folders, as OpenSSL finds them."""
    present = [folder for folder in map(Path, filter(None, folders.split(os.pathsep))) if folder.is_dir()]
    return sorted(file for folder in present for file in folder.iterdir() if _DIGEST_NAME.fullmatch(file.name))
