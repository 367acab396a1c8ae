"""Timestamps and durations of proto3 JSON."""

from datetime import UTC, datetime
from email.utils import format_datetime


def seconds(timestamp: str) -> float:
    """Unix seconds of an RFC 3339 timestamp that Google's parser has taken."""
    return datetime.fromisoformat(timestamp).timestamp()


def timestamp(at: float) -> str:
    """Unix seconds as RFC 3339."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def http_date(at: float) -> str:
    """Unix seconds as the `Date` header has it."""
    return format_datetime(datetime.fromtimestamp(int(at), UTC), usegmt=True)
