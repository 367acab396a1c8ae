"""Membership calls: what arrives, in which rows, and what is never sent."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cdp_bridge.model import Writer
from cdp_bridge.sdk import AudienceRef, ConfigError, RejectedError
from cdp_bridge.testing import numbered
from cdp_bridge.testing.numbered import keys
from destination_tiktok import destination

from .conftest import Account


@pytest.fixture
def writer(account: Account) -> Iterator[Writer]:
    with account.open() as writer:
        yield writer


@pytest.fixture
def ref(account: Account, writer: Writer) -> AudienceRef:
    return writer.ensure(account.audience())


def test_every_column_arrives_under_its_types(
    account: Account, writer: Writer, ref: AudienceRef, batch: numbered.MakeBatch, digest: Callable[[object], str]
) -> None:
    writer.write(batch(ref, [1, 2], phone={1: [digest("p")]}, mobile_ad_id={2: [digest("m")]}, city={1: ["x"]}))
    mobile = {"IDFA_SHA256": digest("m"), "AAID_SHA256": digest("m")}
    assert account.rows(ref.id) == [
        {"EMAIL_SHA256": digest("1@example.com"), "PHONE_SHA256": digest("p")},
        {"EMAIL_SHA256": digest("2@example.com"), **mobile},
    ]


def test_rows_are_as_long_as_the_schema_with_empty_cells(
    account: Account, ref: AudienceRef, batch: numbered.MakeBatch, digest: Callable[[object], str]
) -> None:
    wanted = batch(ref, [1, 2], "remove", email={1: []}, phone={1: [digest("p")]})
    sent = destination.preview(account.settings(), wanted)
    assert (sent["method"], sent["url"]) == ("POST", f"{account.url}/open_api/v1.3/segment/mapping/")
    assert sent["headers"]["Access-Token"] == "***"
    assert sent["json"] == {
        "advertiser_ids": [account.number],
        "action": "delete",
        "id_schema": ["EMAIL_SHA256", "PHONE_SHA256"],
        "batch_data": [
            [{}, {"id": digest("p"), "audience_ids": [ref.id]}],
            [{"id": digest("2@example.com"), "audience_ids": [ref.id]}, {}],
        ],
    }


def test_every_value_of_a_member_with_several_is_sent(
    account: Account, writer: Writer, ref: AudienceRef, batch: numbered.MakeBatch, digest: Callable[[object], str]
) -> None:
    several: dict[str, Any] = {"email": {1: [digest(n) for n in range(3)]}, "phone": {1: [digest("p"), digest("q")]}}
    writer.write(batch(ref, [1], **several))
    values = {value for row in account.rows(ref.id) for value in row.values()}
    assert values == {digest(n) for n in (0, 1, 2, "p", "q")}
    writer.write(batch(ref, [1], "remove", **several))
    assert account.rows(ref.id) == []


def test_members_without_an_identifier_are_named_and_the_others_sent(
    account: Account, writer: Writer, ref: AudienceRef, batch: numbered.MakeBatch
) -> None:
    outcome = writer.write(batch(ref, range(3), email={1: []}))
    assert (outcome.rejected, outcome.unknown) == (dict.fromkeys(keys(1), "tiktok:no_identifier"), frozenset())
    assert account.held(ref.id)["held_rows"] == 2
    outcome = writer.write(batch(ref, [1], email={1: []}))
    assert outcome.rejected == dict.fromkeys(keys(1), "tiktok:no_identifier")
    assert account.held(ref.id)["requests_add"] == 1


def test_row_20_more_than_1_000_rows_or_a_megabyte_are_refused_before_they_are_sent(
    account: Account, writer: Writer, ref: AudienceRef, batch: numbered.MakeBatch, digest: Callable[[object], str]
) -> None:
    long = {n: [digest("x"), digest("y")] for n in range(600)}
    for wanted in (batch(ref, range(600), email=long), batch(ref, range(1_001))):
        with pytest.raises(RejectedError) as refusal:
            writer.write(wanted)
        assert refusal.value.reason == "tiktok:rows"
    assert account.held(ref.id)["requests_add"] == 0


def test_a_token_that_is_revoked_while_we_write(
    account: Account, writer: Writer, ref: AudienceRef, batch: numbered.MakeBatch
) -> None:
    account.configure_token(calls_left=1)
    writer.write(batch(ref, [1]))
    with pytest.raises(ConfigError, match=r"40105.*set access_token"):
        writer.write(batch(ref, [2]))


def test_row_16_an_audience_that_is_deleted_while_we_write(
    account: Account, writer: Writer, ref: AudienceRef, batch: numbered.MakeBatch
) -> None:
    account.call("segment/audience/", advertiser_id=account.number, action="delete", delete_audience_id=ref.id)
    with pytest.raises(ConfigError, match="does not exist"):
        writer.write(batch(ref, [1]))


def test_nothing_is_ever_pending(writer: Writer, ref: AudienceRef) -> None:
    assert writer.settle(ref, "x").pending is None
