"""Finds the hosts that settings name, for launchers, which do not see settings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import msgspec

from cdp_bridge.settings import seal


def origins(settings: msgspec.Struct) -> tuple[str, ...]:
    """`scheme://host:port` of every URL in checked settings, secret ones too, without what else is in it."""
    return origins_in(msgspec.msgpack.decode(seal(settings)))


def origins_in(value: Any) -> tuple[str, ...]:
    """The same of every URL in plain values."""
    return tuple(dict.fromkeys(_origins(value)))


def _origins(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _origins(part)
    if isinstance(value, str) and "://" in value:
        try:
            parts = urlsplit(value)
            host, port = parts.hostname, parts.port
        except ValueError:
            return
        if host:
            yield f"{parts.scheme}://" + (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")
