"""The errors of the Google Ads API: one GoogleAdsFailure in the standard body (google.md 10.4)."""

import re
import secrets
from collections.abc import Sequence
from typing import Any, NoReturn

from sandbox.google.errors import ApiError

NEWEST = "v26"
_DENIED = ("authorizationError", "notAllowlistedError")


def failure(errors: Sequence[dict[str, Any]], version: str = NEWEST) -> dict[str, Any]:
    """The detail that carries the errors."""
    kind = f"type.googleapis.com/google.ads.googleads.{version}.errors.GoogleAdsFailure"
    return {"@type": kind, "errors": list(errors), "requestId": secrets.token_urlsafe(16)}


def error(group: str, code: str, message: str, place: str = "") -> dict[str, Any]:
    """One error: its group and code (`userListError`, `NAME_ALREADY_USED`), a sentence, its place in the request."""
    found: dict[str, Any] = {"errorCode": {group: code}, "message": message}
    elements = [_element(part) for part in place.split(".") if part]
    return found | ({"location": {"fieldPathElements": elements}} if elements else {})


def refuse(group: str, code: str, message: str, place: str = "") -> NoReturn:
    """Raises ApiError: 403 when the caller may not, else 400."""
    denied = group in _DENIED
    status, name = (403, "PERMISSION_DENIED") if denied else (400, "INVALID_ARGUMENT")
    text = "The caller does not have permission." if denied else "Request contains an invalid argument."
    raise ApiError(status, name, text, [failure([error(group, code, message, place)])])


def _element(part: str) -> dict[str, Any]:
    found = re.fullmatch(r"(\w+)\[(\d+)\]", part)
    return {"fieldName": part} if found is None else {"fieldName": found[1], "index": int(found[2])}
