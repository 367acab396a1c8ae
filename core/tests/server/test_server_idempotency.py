"""Requests that come again, and lists that change while somebody reads them."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from cdp_bridge.entities import SyncLog
from cdp_bridge.server.web import idempotency
from cdp_bridge.store.access.idempotency import Answer

from .conftest import AT, Api, SaveDeadLetters


def mapping(name: str) -> dict[str, Any]:
    return {"name": name, "rules": [{"omniads_field": "user_id", "cdp_field": "id"}]}


def test_a_repeat_gets_the_same_answer_and_does_nothing(each_api: Api) -> None:
    first, second = (each_api.call("POST", "/v1/mappings", mapping("m1"), idempotency_key="once") for _ in range(2))
    assert (first.status_code, first.content) == (second.status_code, second.content) == (201, second.content)
    for header in ("ETag", "Location", "Content-Type"):
        assert first.headers[header] == second.headers[header]
    assert "Idempotency-Replayed" not in first.headers
    assert second.headers["Idempotency-Replayed"] == "true"
    assert second.headers["Cache-Control"] == "no-store"


def test_another_request_under_the_same_key_is_a_conflict(each_api: Api) -> None:
    each_api.call("POST", "/v1/mappings", mapping("m2"), idempotency_key="other")
    for path, body in (("/v1/mappings", mapping("m3")), ("/v1/audiences/vip/sync", None)):
        answer = each_api.call("POST", path, body, idempotency_key="other")
        assert answer.status_code == 409
        assert answer.json()["errors"][0]["place"] == "header Idempotency-Key"
    assert each_api.call("POST", "/v1/mappings", mapping("m3"), idempotency_key="other", role="operator").ok


def test_asked_at_once_it_is_done_once(each_api: Api) -> None:
    before = len(each_api.store.requests.newest("vip"))
    with ThreadPoolExecutor(8) as pool:
        asked = [
            pool.submit(each_api.call, "POST", "/v1/audiences/vip/sync", idempotency_key="at once") for _ in range(16)
        ]
        bodies = {answer.result().content for answer in asked}
    assert len(bodies) == 1
    assert len(each_api.store.requests.newest("vip")) == before + 1


def test_what_was_wrong_may_be_tried_again(each_api: Api) -> None:
    each_api.cdp.is_down = True
    for expected in (503, 503):
        answer = each_api.call("POST", "/v1/connections/crm/discover", idempotency_key="again")
        assert answer.status_code == expected
    each_api.cdp.is_down = False
    assert each_api.call("POST", "/v1/connections/crm/discover", idempotency_key="again").status_code == 200


def test_who_died_before_the_answer_does_not_block_its_key(each_api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency, "WAIT_SECONDS", 0.1)
    [admin] = [key for key in each_api.store.api_keys.all() if key.name == "admin"][-1:]
    each_api.store.answers.claim(admin.id, "dead", b"another request")
    assert each_api.call("POST", "/v1/mappings", mapping("m4"), idempotency_key="dead").status_code == 409
    database = each_api.store.answers._database
    real = database.clock
    monkeypatch.setattr(database, "clock", lambda: real() + 121)
    assert each_api.call("POST", "/v1/mappings", mapping("m4"), idempotency_key="dead").status_code == 201
    monkeypatch.setattr(database, "clock", lambda: real() + 121 + 86_401)
    assert each_api.call("POST", "/v1/mappings", mapping("m5"), idempotency_key="dead").status_code == 201


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_a_key_is_a_short_text(api: Api, key: str) -> None:
    assert api.call("POST", "/v1/mappings", mapping("m6"), idempotency_key=key).status_code == 400


def test_nothing_of_a_body_is_kept(api: Api) -> None:
    body = {"values": ["canary@example.com"]}
    assert api.call("POST", "/v1/suppressions", body, idempotency_key="people").ok
    preview = {
        "profile": "meta",
        "mapping": "people",
        "records": [{"id": "canary-user", "email": "canary@example.com"}],
    }
    assert api.call("POST", "/v1/mappings/preview", preview, role="seer", idempotency_key="preview").ok
    with api.store.answers._database.reading() as connection:
        kept = "".join(str(row) for row in connection.exec_driver_sql("SELECT * FROM answer"))
    assert "suppression" not in kept
    assert "canary" not in kept
    assert api.store.answers.claim("nobody", "preview", b"") is None


def test_answers_of_others_are_not_given(api: Api) -> None:
    api.store.answers.claim("a", "key", b"1")
    api.store.answers.save("a", "key", Answer(request=b"1", status=200, headers={}, body=b"of a"))
    assert api.store.answers.claim("b", "key", b"1") is None


def test_pages_hold_each_entry_once_while_others_come_and_go(each_api: Api) -> None:
    def save(number: int, minute: int) -> None:
        with each_api.store.transaction() as transaction:
            at = AT.replace(minute=minute)
            transaction.save_run(SyncLog(run_id=f"run-{number}", audience="paged", sync_timestamp=at, status="failed"))

    for number in range(7):
        save(number, 30 + number // 2)
    seen, cursor = [], ""
    while True:
        page = each_api.get(f"/v1/runs?audience=paged&limit=2{cursor}")
        seen += [run["id"] for run in page["items"]]
        save(100 + len(seen), 50)
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert seen == [f"run-{number}" for number in (6, 5, 4, 3, 2, 1, 0)]


def test_dead_letters_are_paged_while_they_are_taken_back(api: Api, save_dead_letters: SaveDeadLetters) -> None:
    save_dead_letters(5)
    first = api.get("/v1/dead-letters?limit=2", role="seer")
    with api.store.transaction() as transaction:
        transaction.delete_dead_letters("vip", [(1).to_bytes(16, "big"), (3).to_bytes(16, "big")])
    rest = api.get(f"/v1/dead-letters?limit=9&cursor={first['next']}", role="seer")
    assert [base64.b64decode(one["member_key"])[-1] for one in rest["items"]] == [2, 0]


@pytest.mark.parametrize("cursor", ["nonsense", "%00", "gAAAAABk" * 20, "9" * 2_000])
def test_a_cursor_cannot_be_made_up(api: Api, cursor: str) -> None:
    for path in ("/v1/runs", "/v1/connections", "/v1/dead-letters"):
        answer = api.call("GET", f"{path}?cursor={cursor}")
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["place"] == "query cursor"


def test_a_cursor_of_another_list_is_refused_and_tells_nothing(api: Api, save_dead_letters: SaveDeadLetters) -> None:
    save_dead_letters(3)
    cursor = api.get("/v1/dead-letters?limit=1")["next"]
    assert "vip" not in cursor
    assert api.call("GET", f"/v1/runs?cursor={cursor}").status_code == 400
