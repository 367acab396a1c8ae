import logging
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from cdp_bridge.redact import redact
from cdp_bridge.sdk import Checkpoint, ConfigError, Page, ReadRequest, TransientError
from source_segment import profile_api, source

from .conftest import Fail, MakeSettings

PLUS = "email:Anna+Sale@Example.com"


@pytest.fixture
def member(
    make_settings: MakeSettings, rows: Callable[[Iterable[Page | Checkpoint]], list[dict[str, Any]]]
) -> dict[str, Any]:
    fields = ("user_id", "identifiers", "traits.plan")
    request = ReadRequest(stream="audience_members", segment="everyone", fields=fields)
    found = rows(source.read(make_settings(), request))
    return next(row for row in found if row["user_id"] and row["identifiers"]["email"])


def look_up(settings: Any, identifier: str) -> list[Any]:
    (page,) = source.read(settings, ReadRequest(stream="profiles", segment=identifier))
    assert isinstance(page, Page)
    return list(page.records)


def test_one_person_by_user_id(make_settings: MakeSettings, member: dict[str, Any]) -> None:
    (found,) = look_up(make_settings(), f"user_id:{member['user_id'].upper()}")
    assert found["user_id"] == member["user_id"]
    assert set(found["identifiers"]["email"]) == set(member["identifiers"]["email"])
    assert found["traits"]["everyone"] is True


def test_nobody_is_an_empty_page(make_settings: MakeSettings) -> None:
    assert look_up(make_settings(), PLUS) == []


def test_all_pages_are_read(make_settings: MakeSettings, fail: Fail) -> None:
    more = {"has_more": True, "next": "MQ==", "limit": 200}
    last = {"has_more": False, "next": "", "limit": 200}
    for body in ({"traits": {"a": 1}, "cursor": more}, {"traits": {"b": 2}, "cursor": last}):
        fail(kind="status", match={"path_regex": "/traits$"}, status=200, body=body)
    for values, cursor in ((["x", "y"], more), (["z"], last)):
        rows = [{"type": "phone", "id": value} for value in values]
        fail(kind="status", match={"path_regex": "/external_ids$"}, status=200, body={"data": rows, "cursor": cursor})
    assert look_up(make_settings(), "user_id:u-1") == [
        {"user_id": None, "identifiers": {"phone": ["x", "y", "z"]}, "traits": {"a": 1, "b": 2}}
    ]


@pytest.mark.parametrize("identifier", ["u-1001", ":u-1001", "user_id:"])
def test_the_type_of_the_identifier_is_required(make_settings: MakeSettings, identifier: str) -> None:
    with pytest.raises(ConfigError, match="type:value"):
        look_up(make_settings(), identifier)


def test_who_must_be_named(make_settings: MakeSettings) -> None:
    with pytest.raises(ConfigError, match="no person was named"):
        list(source.read(make_settings(), ReadRequest(stream="profiles")))


def test_a_wrong_token(make_settings: MakeSettings) -> None:
    with pytest.raises(ConfigError, match=r"profile_api_token.*401"):
        look_up(make_settings(profile_api_token="sandbox-papi-token"), PLUS)


def test_no_token(make_settings: MakeSettings) -> None:
    with pytest.raises(ConfigError, match=r"profile_api_token.*cannot be looked up"):
        look_up(make_settings(profile_api_token=None), PLUS)


def test_too_many_requests_are_waited_out(make_settings: MakeSettings, fail: Fail, slept: list[float]) -> None:
    fail(
        kind="status",
        match={"path_regex": "/profiles/"},
        times=2,
        status=429,
        body={"error": {"code": "rate_limit_error"}},
    )
    assert look_up(make_settings(), PLUS) == []
    assert len(slept) == 2


@pytest.mark.parametrize(("status", "hint"), [(500, "cannot read the type or value"), (503, "503")])
def test_a_server_that_fails(
    make_settings: MakeSettings, fail: Fail, slept: list[float], status: int, hint: str
) -> None:
    fail(kind="status", match={"path_regex": "/profiles/"}, times=None, status=status, body={"error": {"code": "x"}})
    with pytest.raises(TransientError, match=hint):
        look_up(make_settings(), PLUS)


@pytest.mark.parametrize("fault", [{"kind": "reset"}, {"kind": "redirect"}, {"kind": "status", "status": 200}])
def test_the_person_is_in_no_error_and_no_log(
    make_settings: MakeSettings, fail: Fail, slept: list[float], caplog: pytest.LogCaptureFixture, fault: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    fail(**fault, match={"path_regex": "/profiles/"}, times=None)
    with pytest.raises((TransientError, ConfigError)) as caught:
        look_up(make_settings(), PLUS)
    assert "anna" not in str(caught.value).lower()
    assert "anna" not in redact(caplog.text).lower()


def test_hosts_follow_from_the_region() -> None:
    assert profile_api.HOSTS == {"us": "https://profiles.segment.com", "eu": "https://profiles.euw1.segment.com"}
