import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from cdp_bridge.sdk import ConfigError, ReadRequest, RejectedError, TransientError
from source_segment import public_api, source
from source_segment.settings import Settings

from .conftest import Fail, MakeSettings


def audiences(settings: Settings) -> list[dict[str, Any]]:
    with public_api.connect(settings) as api:
        space = public_api.find_space(api, settings.space)
        return list(public_api.audiences(api, space["id"]))


def answer(fail: Any, status: int, body: Any, headers: dict[str, str] | None = None, times: int | None = 1) -> None:
    fail(
        kind="status", match={"path_regex": "/audiences$"}, times=times, status=status, body=body, headers=headers or {}
    )


def problem(**error: Any) -> dict[str, Any]:
    return {"errors": [{"type": "input-validation", "message": "no", **error}]}


def page(ids: list[str], following: str | None) -> dict[str, Any]:
    rows = [{"id": each, "key": each} for each in ids]
    return {"data": {"audiences": rows, "pagination": {"current": "MA==", "next": following, "totalEntries": 3}}}


def test_lists_every_audience(make_settings: MakeSettings) -> None:
    found = {each["key"]: each["audienceType"] for each in audiences(make_settings())}
    assert found["cart_abandoners_7d"] == "USERS"
    assert set(found.values()) == {"USERS", "ACCOUNTS", "LINKED"}


def test_pages_are_followed_and_rows_that_shift_between_them_count_once(
    make_settings: MakeSettings, fail: Fail
) -> None:
    answer(fail, 200, page(["a", "b"], "MQ=="))
    answer(fail, 200, page(["b", "c"], None))
    assert [each["id"] for each in audiences(make_settings())] == ["a", "b", "c"]


@pytest.mark.parametrize("token", ["wrong", "sandbox-profile-token", "sandbox-papi-token-eu"])
def test_a_token_that_is_not_let_in(make_settings: MakeSettings, token: str) -> None:
    with pytest.raises(ConfigError, match=r"public_api_token.*401") as caught:
        audiences(make_settings(public_api_token=token))
    assert token not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, ConfigError),
        (403, ConfigError),
        (404, ConfigError),
        (409, RejectedError),
        (413, RejectedError),
        (422, RejectedError),
    ],
)
def test_final_refusals_are_not_repeated(
    make_settings: MakeSettings, fail: Fail, slept: list[float], status: int, kind: type[Exception]
) -> None:
    answer(fail, status, problem(field="pagination.count"), times=None)
    with pytest.raises(kind, match=rf"{status}, input-validation pagination\.count"):
        audiences(make_settings())
    assert slept == []


def test_the_reason_of_a_rejection_is_its_status(make_settings: MakeSettings, fail: Fail) -> None:
    answer(fail, 422, problem())
    with pytest.raises(RejectedError) as caught:
        audiences(make_settings())
    assert caught.value.reason == "segment:422"


def test_429_trusts_retry_after_first(make_settings: MakeSettings, fail: Fail, slept: list[float]) -> None:
    answer(fail, 429, problem(data={"msBeforeNext": 9000}), {"Retry-After": "7"})
    assert audiences(make_settings())
    assert slept == [7.0]


def test_429_trusts_the_body_next(make_settings: MakeSettings, fail: Fail, slept: list[float]) -> None:
    answer(fail, 429, problem(data={"msBeforeNext": 9500}), {"X-RateLimit-Reset": "Fri, 31 Dec 2100 23:59:59 GMT"})
    assert audiences(make_settings())
    assert slept == [9.5]


def test_429_then_trusts_the_reset_which_is_a_date(make_settings: MakeSettings, fail: Fail, slept: list[float]) -> None:
    reset = datetime.now(UTC) + timedelta(seconds=30)
    answer(fail, 429, problem(), {"X-RateLimit-Reset": format_datetime(reset, usegmt=True)})
    began = time.time()
    assert audiences(make_settings())
    assert 28 - (time.time() - began) <= slept[0] <= 30


@pytest.mark.parametrize("reset", ["Sat, 01 Jan 2000 00:00:00 GMT", "60", "soon"])
def test_429_with_nothing_to_trust_backs_off(
    make_settings: MakeSettings, fail: Fail, slept: list[float], reset: str
) -> None:
    answer(fail, 429, {"errors": []}, {"X-RateLimit-Reset": reset})
    assert audiences(make_settings())
    assert len(slept) == 1
    assert 0 < slept[0] <= 60


@pytest.mark.parametrize("body", ["<html>bad gateway</html>", [1], {"errors": "x"}, {"errors": [None]}])
def test_5xx_is_repeated_and_then_transient(
    make_settings: MakeSettings, fail: Fail, slept: list[float], body: Any
) -> None:
    answer(fail, 502, body, times=None)
    with pytest.raises(TransientError, match="502"):
        audiences(make_settings())
    assert len(slept) >= 3


@pytest.mark.parametrize("fault", ["reset", "broken_json"])
def test_a_broken_answer_is_asked_for_again(
    make_settings: MakeSettings, fail: Fail, slept: list[float], fault: str
) -> None:
    fail(kind=fault, match={"path_regex": "/audiences$"}, times=1)
    assert audiences(make_settings())
    assert len(slept) == 1


def test_an_answer_without_envelope_is_not_an_empty_list(make_settings: MakeSettings, fail: Fail) -> None:
    answer(fail, 200, {"audiences": []})
    with pytest.raises(TransientError, match="field `data`"):
        audiences(make_settings())


def test_space_by_id_slug_or_as_the_only_one(make_settings: MakeSettings) -> None:
    for wanted in ("spa_7kQ2", "prod", None):
        with public_api.connect(make_settings(space=wanted)) as api:
            assert public_api.find_space(api, wanted)["slug"] == "prod"


def test_an_unknown_space_names_those_that_exist(make_settings: MakeSettings) -> None:
    with pytest.raises(ConfigError, match=r"no space dev.*one of: prod"):
        audiences(make_settings(space="dev"))


@pytest.mark.parametrize("spaces", [[], [{"id": "1", "slug": "a"}, {"id": "2", "slug": "b"}]])
def test_without_a_choice_there_must_be_one_space(make_settings: MakeSettings, fail: Fail, spaces: list[Any]) -> None:
    body = {"data": {"spaces": spaces, "pagination": {"current": "MA=="}}}
    fail(kind="status", match={"path_regex": "^/spaces$"}, status=200, body=body)
    with pytest.raises(ConfigError, match=f"has {len(spaces)} spaces"):
        audiences(make_settings())


def test_hosts_follow_from_the_region() -> None:
    assert public_api.HOSTS == {"us": "https://api.segmentapis.com", "eu": "https://eu1.api.segmentapis.com"}


def test_a_read_is_estimated_by_the_counts_of_segment(make_settings: MakeSettings) -> None:
    settings = make_settings()
    sizes = {audience["key"]: audience["size"]["count"] for audience in audiences(settings)}
    wanted = ReadRequest(stream="audience_members", segment="vip_eu")
    assert source.estimate(settings, wanted) == sizes["vip_eu"] > 0
    both = make_settings(audiences=["vip_eu", "cart_abandoners_7d"])
    everybody = ReadRequest(stream="audience_members")
    assert source.estimate(both, everybody) == sizes["vip_eu"] + sizes["cart_abandoners_7d"]
    assert source.estimate(settings, ReadRequest(stream="spaces")) is None
