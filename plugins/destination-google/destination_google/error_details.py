"""Reads what an error of Google's APIs says in detail: a `google.rpc.Status` in JSON (google.md 4.4, 10.4)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

FRONT_END = "Invalid JSON payload received"
"""How Google's front end begins, which refuses what the service never sees (google.md 4.4)."""
_MEMBER = re.compile(r"\b(?:audience_?members|events)\[(\d+)\]", re.IGNORECASE)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)s")


class Violation(NamedTuple):
    """One thing that is wrong: why, and which member it concerns (None: none)."""

    reason: str
    member: int | None = None


class Details(NamedTuple):
    """What an error says: reasons, the most telling first; the wait that it wants; the id of the request."""

    reasons: list[str]
    violations: list[Violation]
    wait: float | None
    request_id: str
    is_front_end: bool


def read_details(error: Mapping[str, Any]) -> Details:
    """What is to be known of an error, whatever its details are."""
    violations: list[Violation] = []
    reasons: list[str] = []
    wait, request_id = None, ""
    details = _dicts(error.get("details"))
    for detail in details:
        violations += [*_violations(detail), *_ads_errors(detail)]
        reasons += [str(detail["reason"])] if isinstance(detail.get("reason"), str) else []
        request_id = str(detail.get("requestId") or request_id)
        wait = _seconds(detail.get("retryDelay")) or wait
    wait = wait or next(filter(None, map(_retry_delay, details)), None)
    message, status = str(error.get("message", "")), str(error.get("status", ""))
    reasons = [*(violation.reason for violation in violations if violation.reason), *reasons, status]
    return Details(reasons, violations, wait, request_id, message.startswith(FRONT_END))


def _violations(detail: Mapping[str, Any]) -> Iterator[Violation]:
    """Of a BadRequest; the field names the member, in more than one spelling (google.md 4.4)."""
    for violation in _dicts(detail.get("fieldViolations")):
        places = _MEMBER.findall(str(violation.get("field", "")))
        yield Violation(str(violation.get("reason", "")), int(places[-1]) if places else None)


def _ads_errors(detail: Mapping[str, Any]) -> Iterator[Violation]:
    """Of a GoogleAdsFailure (google.md 10.4)."""
    for error in _dicts(detail.get("errors")):
        code, location = error.get("errorCode"), error.get("location")
        reason = next(iter(code.values()), "") if isinstance(code, dict) else ""
        path = _dicts(location.get("fieldPathElements")) if isinstance(location, dict) else []
        indexes = [element.get("index") for element in path if element.get("fieldName") == "operations"]
        index = indexes[0] if indexes and str(indexes[0]).isdecimal() else None
        yield Violation(str(reason), None if index is None else int(index))


def _retry_delay(detail: Mapping[str, Any]) -> float | None:
    """The wait that the Google Ads API wants, inside its errors."""
    for error in _dicts(detail.get("errors")):
        about = error.get("details")
        quota = about.get("quotaErrorDetails") if isinstance(about, dict) else None
        if isinstance(quota, dict) and (wait := _seconds(quota.get("retryDelay"))):
            return wait
    return None


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [element for element in value if isinstance(element, dict)] if isinstance(value, list) else []


def _seconds(duration: Any) -> float | None:
    matched = _DURATION.fullmatch(duration) if isinstance(duration, str) else None
    return float(matched[1]) if matched else None
