"""Tells addresses of the public internet from those of this host, its network and its cloud, in every notation."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_V4_IN_LAST_32_BITS = tuple(
    map(
        ipaddress.IPv6Network,
        # Compatible, mapped and translated addresses, NAT64 (RFC 4291, 6052, 2765).
        ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96"),
    )
)
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)
_PUBLIC_V6 = ipaddress.IPv6Network("2000::/3")
# Of 2000::/3 and of IPv4, what Python's tables call global, or do so in some versions.
_SPECIAL = tuple(
    map(
        ipaddress.ip_network,
        (
            "2001::/23",  # protocol assignments, Teredo among them (RFC 2928, 4380)
            "2001:db8::/32",  # documentation
            "3fff::/20",  # documentation (RFC 9637)
            "192.0.0.0/24",  # protocol assignments (RFC 6890)
            "192.88.99.0/24",  # 6to4 relays (RFC 7526)
            "168.63.129.16/32",  # Azure's platform, from every machine there
        ),
    )
)
# Where clouds hand out credentials, besides link-local addresses.
_METADATA = tuple(map(ipaddress.ip_address, ("100.100.100.200", "168.63.129.16", "fd00:ec2::254", "192.0.0.192")))


def is_public(address: Address) -> bool:
    """Whether it leads to the public internet, also through every way of writing an IPv4 address into an IPv6 one."""
    return all(map(_is_public, _readings(address)))


def is_never_dialled(address: Address) -> bool:
    """Whether nobody may name it: metadata and link-local addresses, multicast, "this host" and reserved ones."""
    return any(
        each.is_link_local
        or each.is_multicast
        or each.is_unspecified
        or (each.version == 4 and each.is_reserved)
        or each in _METADATA
        or each in ipaddress.IPv4Network("0.0.0.0/8")
        for each in _readings(address)
        if not _is_translated(each)
    )


def _is_public(address: Address) -> bool:
    if _is_translated(address):
        return True
    if address.is_multicast or any(address in network for network in _SPECIAL):
        return False
    return address.is_global and (address.version == 4 or address in _PUBLIC_V6)


def _is_translated(address: Address) -> bool:
    """Whether only the IPv4 address in it counts."""
    is_own = address.is_unspecified or address.is_loopback
    return address.version == 6 and not is_own and any(address in network for network in _V4_IN_LAST_32_BITS)


def _readings(address: Address) -> Iterator[Address]:
    """The address, and the IPv4 addresses that translators, tunnels and hosts read in it."""
    yield address
    if isinstance(address, ipaddress.IPv4Address):
        return
    bits = int(address)
    if _is_translated(address) or bits >> 32 & 0xFFFF_FFFF in _ISATAP:
        yield ipaddress.IPv4Address(bits & 0xFFFF_FFFF)
    if address.sixtofour is not None:
        yield address.sixtofour
