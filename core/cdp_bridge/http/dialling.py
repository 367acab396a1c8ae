"""Connects to a host by an address that was checked: a name in the public DNS may lead into any private network."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, NameResolutionError

from cdp_bridge.errors import ConfigError
from cdp_bridge.http.addresses import Address, is_never_dialled, is_public
from cdp_bridge.http.allowed_hosts import VARIABLE, listed_here, matches


def addresses(host: str, port: int) -> list[str]:
    """The addresses of a host, in the order in which they are to be tried.

    Raises ConfigError if one is of this machine, a private network or a cloud's metadata, unless the host is written as
    that address, is `localhost`, or is listed; what `is_never_dialled` stays refused. Raises socket.gaierror.
    """
    found = [str(address[0]) for *_, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    for text in found:
        # Without the name of the interface, which link-local addresses have.
        address = ipaddress.ip_address(text.partition("%")[0])
        if is_never_dialled(address) or not (is_public(address) or _is_meant(host, port, address)):
            raise ConfigError(
                f"{host} leads to an address that is not a public one",
                remedy=f"Check the host; one of your own network has to be listed in {VARIABLE}",
            )
    return found


def _is_meant(host: str, port: int, address: Address) -> bool:
    """Whether whoever named the host cannot but have meant an address that is not public."""
    plain = host.lower().rstrip(".")
    if plain == "localhost":
        return address.is_loopback
    try:
        return ipaddress.ip_address(plain.strip("[]")) == address
    except ValueError:
        return any(matches(entry.pattern, plain) and entry.port in (None, port) for entry in listed_here())


class CheckingAdapter(HTTPAdapter):
    """Connects to addresses that were checked only; what goes through a proxy is resolved by the proxy."""

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """Let the pools of this adapter make connections of our own kind."""
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}


class _Connection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        name, failure = self._dns_host, None
        try:
            checked = addresses(name.strip("[]"), self.port)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        for address in checked:
            # The name stays that for which the certificate is verified.
            self._dns_host = address
            try:
                return super()._new_conn()
            except HTTPError as error:
                failure = error
            finally:
                self._dns_host = name
        assert failure is not None
        raise failure


class _SecureConnection(_Connection, HTTPSConnection):
    pass


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _SecureConnection
