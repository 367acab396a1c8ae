"""Usage headers: seconds to stay away."""

import json
from typing import Any

import pytest
from destination_meta.usage import pause

USE_CASE, APP, ACCOUNT = "X-Business-Use-Case-Usage", "X-App-Usage", "X-Ad-Account-Usage"


def use_case(**usage: Any) -> Any:
    return {USE_CASE: json.dumps({"1234567": [{"type": "custom_audience"} | usage]})}


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0),
        (use_case(call_count=95), 0),
        (use_case(call_count=96), 60),
        (use_case(total_time=250), 60),
        (use_case(total_cputime=96, estimated_time_to_regain_access=3), 180),
        (use_case(call_count=10, estimated_time_to_regain_access=2), 120),
        (use_case(call_count=100, estimated_time_to_regain_access=10_000), 3_600),
        ({APP: '{"call_count":28,"total_time":97,"total_cputime":25}'}, 60),
        ({ACCOUNT: '{"acc_id_util_pct":99.67,"reset_time_duration":300}'}, 300),
        ({ACCOUNT: '{"acc_id_util_pct":9.67,"reset_time_duration":300}'}, 0),
        (use_case(call_count=96) | {ACCOUNT: '{"acc_id_util_pct":99,"reset_time_duration":300}'}, 300),
    ],
)
def test_pause(headers: Any, seconds: Any) -> None:
    assert pause(headers) == seconds


@pytest.mark.parametrize("name", [USE_CASE, APP, ACCOUNT])
@pytest.mark.parametrize("value", ["", "rubbish", "[]", "null", "{}", '{"1": [{"call_count": "x"}]}', "[" * 5_000])
def test_a_header_that_is_not_understood_is_no_failure(name: Any, value: Any) -> None:
    assert pause({name: value}) == 0
