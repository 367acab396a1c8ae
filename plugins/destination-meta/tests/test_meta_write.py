"""Membership calls: what arrives, and what each answer means for each member."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cdp_bridge.sdk import AudienceRef, ConfigError, Outcome, RejectedError, TransientError
from cdp_bridge.testing import numbered
from cdp_bridge.testing.numbered import keys
from destination_meta import destination
from destination_meta.destination import MetaWriter

from .conftest import Account

ALL_COLUMNS = {
    "phone": "PHONE",
    "first_name": "FN",
    "last_name": "LN",
    "gender": "GEN",
    "birth_year": "DOBY",
    "birth_month": "DOBM",
    "birth_day": "DOBD",
    "city": "CT",
    "region": "ST",
    "postal_code": "ZIP",
    "country": "COUNTRY",
}


@pytest.fixture
def writer(account: Account) -> Iterator[MetaWriter]:
    with account.open() as writer:
        yield writer


@pytest.fixture
def ref(account: Account, writer: MetaWriter) -> AudienceRef:
    return writer.ensure(account.audience())


def test_every_column_arrives_under_its_key(
    account: Account, writer: MetaWriter, ref: AudienceRef, batch: numbered.MakeBatch, digest: Callable[[object], str]
) -> None:
    columns: dict[str, Any] = {name: {1: [digest(name)]} for name in ALL_COLUMNS}
    clear: dict[str, Any] = {
        "mobile_ad_id": {1: ["aebe52e7-03ee-455a-b3c4-e57283966239"]},
        "external_id": {1: ["CRM-0042"]},
    }
    outcome = writer.write(batch(ref, [1], **columns, **clear))
    assert (outcome.rejected, outcome.unknown, outcome.pause) == ({}, frozenset(), 0)
    expected = {key: digest(name) for name, key in ALL_COLUMNS.items()} | {"EMAIL": digest("1@example.com")}
    expected |= {"MADID": "aebe52e7-03ee-455a-b3c4-e57283966239", "EXTERN_ID": "CRM-0042"}
    assert account.rows(ref.id) == [expected]


def test_columns_without_a_value_or_unknown_to_meta_are_not_sent(
    account: Account, batch: numbered.MakeBatch, ref: AudienceRef
) -> None:
    sent = destination.preview(account.settings(), batch(ref, [1, 2], phone={}, first_initial={1: ["x"]}))
    assert sent["json"]["payload"]["schema"] == ["EMAIL"]
    assert [len(row) for row in sent["json"]["payload"]["data"]] == [1, 1]


def test_every_value_of_a_member_with_several_is_sent(
    account: Account, writer: MetaWriter, ref: AudienceRef, batch: numbered.MakeBatch, digest: Callable[[object], str]
) -> None:
    emails, phones = [digest(n) for n in range(3)], [digest(n) for n in range(10, 12)]
    wanted = batch(ref, [1, 2], email={1: emails}, phone={1: phones, 2: [digest("p")]}, first_name={1: [digest("ann")]})
    writer.write(wanted)
    rows = account.rows(ref.id)
    ann = [row for row in rows if row.get("FN") == digest("ann")]
    assert [row["EMAIL"] for row in ann] == emails
    assert {row["PHONE"] for row in ann} == set(phones)
    assert len(rows) == 4
    writer.write(batch(ref, [1, 2], "remove", email={1: emails}, phone={1: phones, 2: [digest("p")]}))
    assert account.rows(ref.id) == []


def test_remove_takes_out_and_repeats_change_nothing(
    account: Account, writer: MetaWriter, ref: AudienceRef, batch: numbered.MakeBatch
) -> None:
    for _ in range(2):
        writer.write(batch(ref, range(10)))
    for _ in range(2):
        writer.write(batch(ref, range(5), "remove"))
    held = account.held(ref.id)
    assert (held["held_rows"], held["requests_add"], held["requests_remove"]) == (5, 2, 2)


def test_removing_many_uses_no_long_url(
    account: Account, writer: MetaWriter, ref: AudienceRef, batch: numbered.MakeBatch
) -> None:
    writer.write(batch(ref, range(3_000)))
    writer.write(batch(ref, range(3_000), "remove"))
    assert account.held(ref.id)["held_rows"] == 0


@pytest.mark.parametrize(("choice", "cells"), [("california", (1, 1000)), ("located", (0, 0))])
def test_limited_data_use_marks_added_people(
    account: Account, ref: AudienceRef, batch: numbered.MakeBatch, choice: Any, cells: Any
) -> None:
    with account.open(limited_data_use=choice) as writer:
        writer.write(batch(ref, [1]))
        country, state = cells
        row = account.rows(ref.id)[0]
        assert row["DATA_PROCESSING_OPTIONS"] == ["LDU"]
        assert (row["DATA_PROCESSING_OPTIONS_COUNTRY"], row["DATA_PROCESSING_OPTIONS_STATE"]) == (country, state)
    settings = account.settings(limited_data_use=choice)
    assert destination.preview(settings, batch(ref, [1], "remove"))["json"]["payload"]["schema"] == ["EMAIL"]


def test_a_batch_without_any_identifier_costs_no_call(
    account: Account, writer: MetaWriter, ref: AudienceRef, batch: numbered.MakeBatch
) -> None:
    outcome = writer.write(batch(ref, [1, 2], email={1: [], 2: []}))
    assert outcome.rejected == dict.fromkeys(keys(1, 2), "meta:no_identifier")
    assert account.held(ref.id)["requests_add"] == 0


@pytest.mark.parametrize("as_list", [False, True])
def test_row_14_named_invalid_members_are_rejected_and_the_others_accepted(
    account: Account, writer: MetaWriter, ref: AudienceRef, batch: numbered.MakeBatch, as_list: Any
) -> None:
    account.configure(list_samples=as_list)
    outcome = writer.write(batch(ref, range(5), email={1: ["Ann@Example.com"], 3: ["ABC"]}, last=False))
    assert outcome.rejected == dict.fromkeys(keys(1, 3), "meta:invalid_entry")
    assert outcome.unknown == frozenset()
    assert account.held(ref.id)["held_rows"] == 3
    # Counts are totals of the session: the two invalid rows of the first batch are not held against the second.
    assert writer.write(batch(ref, range(5, 9))).rejected == {}


def test_row_15_a_hashed_mobile_id_is_rejected(
    writer: MetaWriter, ref: AudienceRef, batch: numbered.MakeBatch, digest: Callable[[object], str]
) -> None:
    outcome = writer.write(batch(ref, range(2), mobile_ad_id={1: [digest("madid")]}))
    assert outcome.rejected == dict.fromkeys(keys(1), "meta:invalid_entry")


def test_a_member_with_one_bad_row_of_two_is_unknown(
    writer: MetaWriter, ref: AudienceRef, batch: numbered.MakeBatch, digest: Callable[[object], str]
) -> None:
    outcome = writer.write(batch(ref, range(3), email={1: [digest("a"), "bad"]}))
    assert outcome.rejected == {}
    assert outcome.unknown == frozenset(keys(1))


def test_invalid_rows_that_no_sample_names_leave_the_rest_unknown(
    account: Account, writer: MetaWriter, ref: AudienceRef, batch: numbered.MakeBatch
) -> None:
    account.fault("partial", "/users", rows=7)
    outcome = writer.write(batch(ref, range(10), email={0: ["bad"]}))
    assert outcome.rejected == dict.fromkeys(keys(0), "meta:invalid_entry")
    assert outcome.unknown == frozenset(keys(*range(1, 10)))


def test_row_11_more_than_10_000_rows_are_refused_before_they_are_sent(
    account: Account, writer: MetaWriter, ref: AudienceRef, batch: numbered.MakeBatch, digest: Callable[[object], str]
) -> None:
    with pytest.raises(RejectedError) as refusal:
        writer.write(batch(ref, range(9_999), email={0: [digest("a"), digest("b"), digest("c")]}))
    assert refusal.value.reason == "meta:rows"
    assert account.held(ref.id)["requests_add"] == 0


def test_row_16_an_audience_filled_with_single_keys_by_another_tool(
    account: Account, writer: MetaWriter, ref: AudienceRef, batch: numbered.MakeBatch, digest: Callable[[object], str]
) -> None:
    payload = {"schema": "EMAIL_SHA256", "data": [digest("a")]}
    account.call("POST", f"{ref.id}/users", payload=payload)
    with pytest.raises(ConfigError, match=r"kind of upload.*2650.*audience of its own"):
        writer.write(batch(ref, [1]))


def test_row_22_a_replace_by_another_tool_is_waited_for(
    account: Account, writer: MetaWriter, ref: AudienceRef, batch: numbered.MakeBatch, digest: Callable[[object], str]
) -> None:
    session = {"session_id": 77, "batch_seq": 1, "last_batch_flag": False}
    account.call(
        "POST", f"{ref.id}/usersreplace", session=session, payload={"schema": ["EMAIL"], "data": [[digest(1)]]}
    )
    with pytest.raises(TransientError) as wait:
        writer.write(batch(ref, [1]))
    assert wait.value.retry_after == 60


def test_row_23_an_audience_that_is_flagged_while_we_write(
    account: Account, writer: MetaWriter, ref: AudienceRef, batch: numbered.MakeBatch
) -> None:
    account.control("POST", f"audiences/{ref.id}", {"operation_status": 471, "after": 1})
    writer.write(batch(ref, [1]))
    with pytest.raises(ConfigError, match=r"flagged.*100/1713230.*neutral name"):
        writer.write(batch(ref, [2]))


def test_row_25_an_audience_that_is_deleted_while_we_write(
    account: Account, writer: MetaWriter, ref: AudienceRef, batch: numbered.MakeBatch
) -> None:
    account.call("DELETE", ref.id)
    with pytest.raises(ConfigError, match="does not exist"):
        writer.write(batch(ref, [1]))


def test_row_27_over_the_hourly_budget_says_how_long(
    account: Account, writer: MetaWriter, ref: AudienceRef, batch: numbered.MakeBatch
) -> None:
    account.configure_account(calls_per_hour=1)
    with pytest.raises(TransientError, match="80003") as wait:
        writer.write(batch(ref, [1]))
    assert wait.value.retry_after is not None
    assert 0 < wait.value.retry_after <= 3_600
    assert wait.value.retry_after % 60 == 0


def test_row_28_over_the_score(
    account: Account, writer: MetaWriter, ref: AudienceRef, batch: numbered.MakeBatch
) -> None:
    account.configure_account(max_score=2)
    with pytest.raises(TransientError, match="17/2446079") as wait:
        writer.write(batch(ref, [1]))
    assert (wait.value.retry_after or 0) >= 60


def test_usage_that_climbs_asks_for_a_pause_before_the_limit(
    account: Account, writer: MetaWriter, ref: AudienceRef, batch: numbered.MakeBatch
) -> None:
    account.configure_account(calls_per_hour=100)
    pauses = [writer.write(batch(ref, [number])).pause for number in range(97)]
    assert pauses[:90] == [0] * 90
    assert pauses[-1] >= 60


def test_row_05_a_token_without_permission(
    account: Account, writer: MetaWriter, ref: AudienceRef, batch: numbered.MakeBatch
) -> None:
    account.configure_token(scopes=["ads_read"])
    with pytest.raises(ConfigError, match=r"permission.*200.*ads_management"):
        writer.write(batch(ref, [1]))


def test_a_token_that_is_revoked_while_we_write(
    account: Account, writer: MetaWriter, ref: AudienceRef, batch: numbered.MakeBatch
) -> None:
    account.configure_token(calls_left=1)
    writer.write(batch(ref, [1]))
    with pytest.raises(ConfigError, match=r"190/458.*set access_token"):
        writer.write(batch(ref, [2]))


def test_row_04_the_proof_is_sent_and_a_wrong_one_is_explained(
    account: Account, ref: AudienceRef, batch: numbered.MakeBatch
) -> None:
    account.configure(app={"demand_proof": True})
    with account.open(app_secret="sandbox-secret") as writer:
        assert writer.write(batch(ref, [1])).rejected == {}
    for secret in ({"app_secret": "wrong-secret"}, {}):
        with account.open(**secret) as writer, pytest.raises(ConfigError, match="Set app_secret"):
            writer.write(batch(ref, [2]))


def test_preview_is_the_request_without_credentials(
    account: Account, ref: AudienceRef, batch: numbered.MakeBatch, digest: Callable[[object], str]
) -> None:
    sent = destination.preview(account.settings(app_secret="sandbox-secret"), batch(ref, [1], "remove"))
    assert sent["method"] == "DELETE"
    assert sent["url"] == f"{account.url}/v26.0/{ref.id}/users"
    assert (sent["headers"]["Authorization"], sent["params"]) == ("Bearer ***", {"appsecret_proof": "***"})
    assert sent["json"]["payload"] == {"schema": ["EMAIL"], "data": [[digest("1@example.com")]]}
    assert sent["json"]["session"] | {"session_id": 0} == {
        "session_id": 0,
        "batch_seq": 1,
        "last_batch_flag": True,
        "estimated_num_total": 1,
    }


def test_nothing_is_ever_pending(writer: MetaWriter, ref: AudienceRef) -> None:
    assert writer.settle(ref, "x").pending is None


def test_a_too_small_audience_keeps_its_members_with_one_call_and_a_reason(
    account: Account, batch: numbered.MakeBatch
) -> None:
    with account.open() as writer:
        ref = writer.ensure(account.audience())
        writer.write(batch(ref, range(5)))
        account.configure(removal_minimum=100)
        removal = batch(ref, range(2), operation="remove")
        refused = writer.write(removal)
        assert refused == Outcome(rejected=dict.fromkeys(removal.keys, "meta:too_small"))
        assert (account.held(ref.id)["held_rows"], account.held(ref.id)["requests_remove"]) == (5, 0)
        account.configure(removal_minimum=0)
        assert writer.write(removal) == Outcome()
    assert account.held(ref.id)["held_rows"] == 3


@pytest.mark.parametrize("terms", ["terms_accepted", "user_terms_accepted"])
def test_terms_that_hold_no_more_are_for_a_person_to_accept(
    account: Account, batch: numbered.MakeBatch, terms: str
) -> None:
    with account.open() as writer:
        ref = writer.ensure(account.audience())
        account.configure_account(**{terms: False})
        with pytest.raises(ConfigError, match=r"200/1870034.*must accept them at https://business\.facebook\.com/"):
            writer.write(batch(ref, range(5)))
