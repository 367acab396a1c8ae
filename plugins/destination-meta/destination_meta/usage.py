"""Reads from the usage headers how long to stay away from the account (meta.md 2.2)."""

from collections.abc import Mapping
from typing import Any

import msgspec

MAX_USAGE = 95.0
"""Per cent of a budget; above it we pause."""
MIN_PAUSE, MAX_PAUSE = 60.0, 3_600.0


class _Usage(msgspec.Struct):
    call_count: float = 0
    total_cputime: float = 0
    total_time: float = 0
    estimated_time_to_regain_access: float = 0

    def pause(self) -> float:
        if max(self.call_count, self.total_cputime, self.total_time) <= MAX_USAGE:
            return self.estimated_time_to_regain_access * 60
        return max(MIN_PAUSE, self.estimated_time_to_regain_access * 60)


class _AccountUsage(msgspec.Struct):
    acc_id_util_pct: float = 0
    reset_time_duration: float = 0

    def pause(self) -> float:
        return max(MIN_PAUSE, self.reset_time_duration) if self.acc_id_util_pct > MAX_USAGE else 0


def pause(headers: Mapping[str, str]) -> float:
    """Seconds to stay away from the account: 0 while there is room; Meta gives minutes, and no `Retry-After`."""
    use_cases = _decode(headers, "X-Business-Use-Case-Usage", dict[str, list[_Usage]]) or {}
    waits: list[float] = [usage.pause() for usages in use_cases.values() for usage in usages]
    for name, kind in (("X-App-Usage", _Usage), ("X-Ad-Account-Usage", _AccountUsage)):
        usage = _decode(headers, name, kind)
        waits += [usage.pause()] if usage else []
    return min(MAX_PAUSE, max(waits, default=0))


def _decode(headers: Mapping[str, str], name: str, kind: Any) -> Any:
    """A header as its type, None when it is absent or not understood: usage is advice, never a failure."""
    try:
        return msgspec.json.decode(headers.get(name, "null"), type=kind | None, strict=False)
    except msgspec.DecodeError:
        return None
