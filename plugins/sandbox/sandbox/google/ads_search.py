"""`googleAds:search` and `:searchStream`, and the check of a connection (google.md 12)."""

import base64
import binascii
import hashlib
import re
import secrets
from typing import Any

from sandbox.google import gaql
from sandbox.google.ads_errors import refuse
from sandbox.google.ads_rows import Found, rows
from sandbox.google.ads_shapes import Search, read
from sandbox.google.calls import Call
from sandbox.google.state import Twin

PAGE = 10_000
CHUNK = 1_000


def search(twin: Twin, call: Call) -> dict[str, Any]:
    """`googleAds:search`: one page; its size is Google's."""
    request = read(call.body, Search)
    if request.page_size is not None:
        refuse("requestError", "PAGE_SIZE_NOT_SUPPORTED", "Setting the page size is not supported.", "page_size")
    query, key = gaql.parse(request.query), _key(call, request.query)
    start, found = _position(request.page_token, key), rows(twin, call.parts[0], query)
    end = start + PAGE
    answer = _answer(query, found[start:end])
    if end < len(found):
        answer["nextPageToken"] = base64.urlsafe_b64encode(f"{key}:{end}".encode()).decode()
    if request.search_settings is not None and request.search_settings.return_total_results_count:
        answer["totalResultsCount"] = str(len(found))
    return {} if request.validate_only else answer


def search_stream(twin: Twin, call: Call) -> list[dict[str, Any]]:
    """`googleAds:searchStream`: an array of chunks."""
    query = gaql.parse(read(call.body, Search).query)
    found = rows(twin, call.parts[0], query)
    number = {"requestId": secrets.token_urlsafe(16)}
    return [_answer(query, found[n : n + CHUNK]) | number for n in range(0, max(1, len(found)), CHUNK)]


def accessible(twin: Twin, call: Call) -> dict[str, Any]:
    """`customers:listAccessibleCustomers`: the accounts whose user the caller is."""
    accounts = twin.config.accounts.items()
    mine = [number for number, each in accounts if each.type == "GOOGLE_ADS" and call.token.user in each.users]
    return {"resourceNames": [f"customers/{number}" for number in mine]}


def _answer(query: gaql.Query, found: list[Found]) -> dict[str, Any]:
    mask = ",".join(map(_camel, query.fields))
    return {"results": [_nested(query, row) for row in found], "fieldMask": mask} if found else {"fieldMask": mask}


def _nested(query: gaql.Query, row: Found) -> dict[str, Any]:
    """A row as JSON: what was selected and is set, and the names of its resources."""
    shown: dict[str, Any] = {}
    tops = {name.partition(".")[0] for name in query.fields}
    for name, value in row.items():
        wanted = name in query.fields or (name.endswith(".resource_name") and name.partition(".")[0] in tops)
        if wanted and value is not None:
            inside, (*path, last) = shown, _camel(name).split(".")
            for part in path:
                inside = inside.setdefault(part, {})
            inside[last] = value
    return shown


def _camel(name: str) -> str:
    return re.sub("_([a-z])", lambda letter: letter[1].upper(), name)


def _key(call: Call, query: str) -> str:
    return hashlib.sha256(f"{call.parts[0]} {query}".encode()).hexdigest()[:16]


def _position(token: str, key: str) -> int:
    if not token:
        return 0
    try:
        of, _, start = base64.urlsafe_b64decode(token).decode().partition(":")
        position = int(start)
    except (ValueError, binascii.Error):
        of, position = "", 0
    if of != key:
        refuse("requestError", "INVALID_PAGE_TOKEN", "The page token is invalid.", "page_token")
    return position
