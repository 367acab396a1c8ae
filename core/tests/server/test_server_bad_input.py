"""Whatever is sent, the answer is no 5xx, says place and remedy, and quotes nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .conftest import Api

CANARY = "canary7f3a"
STRAY = "stray_field"
"""A field that no body has; fields are named in answers, if they look like names."""
BODIES: dict[str, dict[str, Any]] = {
    "/v1/connections": {"name": "new", "cdp_provider": "source-shop", "api_credentials": {"account": "1"}},
    "/v1/destinations": {"name": "new", "connector": "destination-shop", "settings": {"account": "1"}},
    "/v1/mappings": {"name": "new", "rules": [{"omniads_field": "user_id", "cdp_field": "id", "validation": {}}]},
    "/v1/audiences": {
        "name": "new",
        "connection": "crm",
        "segment": "s",
        "destination": "ads",
        "mapping": "people",
        "schedule": {"every": "1h"},
        "consent": [{"purpose": "ads", "cdp_field": "ok"}],
    },
    "/v1/mappings/preview": {"profile": "meta", "mapping": "people", "records": [{"id": "u1"}]},
    "/v1/dead-letters/replay": {"audience": "vip", "reason": "r"},
    "/v1/suppressions": {"values": ["ada@example.com"]},
    "/v1/suppressions/remove": {"values": ["ada@example.com"]},
}
WRONG = [
    CANARY,
    f"{CANARY}@example.com",
    {STRAY: CANARY},
    {f"{CANARY}@example.com": CANARY},
    [CANARY],
    {"cron": CANARY},
    f"upper({CANARY})",
    None,
    -1,
    {},
]


def spoilt(body: Any) -> list[Any]:
    """The body with each of its parts replaced by each wrong thing, and with other keys."""
    if isinstance(body, dict):
        inner = [{**body, key: wrong} for key, part in body.items() for wrong in spoilt(part)]
        return [*inner, *({**body, key: wrong} for key in body for wrong in WRONG), *stray(body)]
    if isinstance(body, list):
        return [[*body, wrong] for wrong in WRONG] + [[wrong] for part in body for wrong in spoilt(part)]
    return WRONG


def stray(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The body with another field: one that looks like a name, and others that may be values."""
    return [{**body, key: 1} for key in (STRAY, f"{CANARY}@example.com", f"{CANARY} {CANARY}", "4915112345678")]


@pytest.mark.parametrize("path", BODIES)
def test_a_field_that_is_not_known_is_named(api: Api, path: str) -> None:
    named, *others = [api.call("POST", path, body) for body in stray(BODIES[path])]
    assert named.status_code == 400
    assert [fault["place"] for fault in named.json()["errors"]] == [STRAY]
    assert all(answer.json()["errors"][0]["place"] == "…" for answer in others)


def test_a_setting_that_is_not_known_is_named(api: Api) -> None:
    body = BODIES["/v1/connections"] | {"api_credentials": {"acount": "1", CANARY: CANARY}}
    answer = api.call("POST", "/v1/connections", body)
    assert answer.status_code == 422
    faults = {fault["place"]: fault for fault in answer.json()["errors"]}
    assert faults["api_credentials.acount"]["remedy"] == "Did you mean account?"
    # A name that is also a value is hidden as such.
    assert "api_credentials.…" in faults


@pytest.mark.parametrize("path", BODIES)
def test_no_part_of_a_wrong_body_is_quoted(api: Api, path: str) -> None:
    refused = 0
    for body in [*spoilt(BODIES[path]), *WRONG]:
        answer = api.call("POST", path, body)
        assert answer.status_code < 500, (body, answer.text)
        if answer.status_code >= 400:
            refused += 1
            assert CANARY not in answer.text, (body, answer.text)
            assert CANARY not in str(answer.headers)
            assert all(fault["problem"] and fault["remedy"] for fault in answer.json()["errors"]), answer.text
            assert "Traceback" not in answer.text
        elif path in ("/v1/connections", "/v1/destinations", "/v1/mappings", "/v1/audiences"):
            assert api.call("DELETE", answer.headers["Location"], if_match="*").status_code == 204
    assert refused > 20


@pytest.mark.parametrize("role", ["nobody", "admin"])
@pytest.mark.parametrize(
    "path", ["/v1/connections/{}", "/v1/runs/{}", "/{}", "/v1/runs?cursor={}", "/v1/runs?state={}"]
)
def test_no_part_of_an_address_is_quoted(api: Api, path: str, role: str) -> None:
    answer = api.call("GET", path.format(CANARY), role=role)
    assert 400 <= answer.status_code < 500
    assert CANARY not in answer.text


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"name": "\\ud800"}',
        b'{"name": "a", "name": "b"}',
        b"1" * 10_000,
        b"NaN",
        b"null",
        CANARY.encode(),
    ],
)
@pytest.mark.parametrize("path", ["/v1/connections", "/v1/mappings/preview", "/v1/suppressions"])
def test_what_is_not_json_is_refused(api: Api, path: str, text: bytes) -> None:
    headers = {"Authorization": f"Bearer {api.keys['admin']}", "Content-Type": "application/json"}
    answer = api.session.post(api.url + path, data=text, headers=headers)
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.json()["errors"][0]["remedy"]
    assert CANARY not in answer.text


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(list(BODIES)), key=st.integers(0, 9), value=JSON)
def test_any_json_is_taken_or_refused(api: Api, path: str, key: int, value: Any) -> None:
    names = list(BODIES[path])
    body = value if key >= len(names) else BODIES[path] | {names[key]: value}
    answer = api.call("POST", path, json.loads(json.dumps(body)))
    assert answer.status_code < 500, answer.text
    if answer.headers.get("Location"):
        api.call("DELETE", answer.headers["Location"], if_match="*")
