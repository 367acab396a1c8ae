"""Addresses that may be dialled: by tables of the registries, and in every notation of an IPv4 address."""

from __future__ import annotations

import ipaddress
import socket

import pytest
from cdp_bridge.http.addresses import is_never_dialled, is_public
from hypothesis import given
from hypothesis import strategies as st

PRIVATE = [
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"),
    *("192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4"),
    *("240.0.0.0/4", "168.63.129.16/32", "192.88.99.0/24"),
]
NEVER = [
    *("169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "192.0.0.192", "0.0.0.0", "0.1.2.3"),
    *("255.255.255.255", "224.0.0.1", "fd00:ec2::254", "fe80::1", "fe80::a9fe:a9fe", "ff02::1", "::"),
]
NOT_PUBLIC_V6 = [
    *("::1", "::", "fc00::1", "fd12::1", "fe80::1", "fec0::1", "ff0e::1", "100::1", "2001:db8::1", "3fff::1"),
    *("2001::1", "2001:0:a00:1::", "64:ff9b:1::8.8.8.8", "4000::1", "5f00::1"),
]
PUBLIC = ["8.8.8.8", "157.240.1.35", "1.1.1.1", "2606:4700::1111", "2a03:2880:f12f:83:face:b00c:0:25de"]


def embedded(address: ipaddress.IPv4Address) -> list[ipaddress.IPv6Address]:
    """Every way of writing an IPv4 address into an IPv6 address."""
    bits = int(address)
    return [
        ipaddress.IPv6Address(value)
        for value in (
            bits,
            0xFFFF << 32 | bits,
            0xFFFF << 48 | bits,
            0x64FF9B << 96 | bits,
            0x2002 << 112 | bits << 80 | 1,
            0x2606_4700 << 96 | 0x5EFE << 32 | bits,
            0x2606_4700 << 96 | 0x0200_5EFE << 32 | bits,
        )
    ]


addresses_in = {network: st.ip_addresses(v=4, network=network) for network in PRIVATE}


@pytest.mark.parametrize("network", PRIVATE)
def test_nothing_of_a_special_network_is_public_in_any_notation(network: str) -> None:
    @given(addresses_in[network])
    def hold(address: ipaddress.IPv4Address) -> None:
        assert not is_public(address)
        assert [each for each in embedded(address) if is_public(each)] == []

    hold()


@pytest.mark.parametrize("text", NEVER)
def test_metadata_is_never_dialled_in_any_notation(text: str) -> None:
    address = ipaddress.ip_address(text)
    assert is_never_dialled(address)
    assert not is_public(address)
    if isinstance(address, ipaddress.IPv4Address):
        assert all(map(is_never_dialled, embedded(address)))


@pytest.mark.parametrize("text", NOT_PUBLIC_V6)
def test_other_ipv6_addresses_are_not_public(text: str) -> None:
    assert not is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_public_addresses_are_public(text: str) -> None:
    address = ipaddress.ip_address(text)
    assert is_public(address)
    assert not is_never_dialled(address)
    if isinstance(address, ipaddress.IPv4Address):
        assert all(map(is_public, embedded(address)))


@pytest.mark.parametrize("text", ["10.1.2.3", "192.168.0.1", "127.0.0.1", "fd12::1", "::1"])
def test_private_addresses_may_be_named(text: str) -> None:
    assert not is_never_dialled(ipaddress.ip_address(text))


@pytest.mark.parametrize(
    "spelling", ["2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.16689662", "0xa9.254.43518"]
)
def test_spellings_that_the_resolver_reads_are_judged_by_what_is_dialled(spelling: str) -> None:
    [(*_, place)] = socket.getaddrinfo(spelling, 80, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    assert is_never_dialled(ipaddress.ip_address(place[0]))
