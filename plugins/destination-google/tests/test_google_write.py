"""Membership calls: what arrives, and who is refused before anything is sent."""

import json
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import pytest
from cdp_bridge.sdk import AudienceRef, ConfigError, RejectedError, TransientError
from cdp_bridge.testing import numbered
from cdp_bridge.testing.numbered import keys
from destination_google import destination
from destination_google.destination import GoogleWriter

from .conftest import Account

NAMES = {"first_name": "ann", "last_name": "lee"}


@pytest.fixture
def writer(account: Account) -> Iterator[GoogleWriter]:
    with account.open() as writer:
        yield writer


@pytest.fixture
def ref(account: Account, writer: GoogleWriter) -> AudienceRef:
    return writer.ensure(account.audience())


class Home(Protocol):
    """The columns of an address for one member."""

    def __call__(self, member: int, country: str = "PT", postal_code: str = "1229-076") -> dict[str, Any]: ...


@pytest.fixture
def home(digest: Callable[[object], str]) -> Home:
    """The columns of an address for one member."""

    def columns(member: int, country: str = "PT", postal_code: str = "1229-076") -> dict[str, Any]:
        names = {name: {member: [digest(value)]} for name, value in NAMES.items()}
        return names | {"country": {member: [country]}, "postal_code": {member: [postal_code]}}

    return columns


def test_the_request_is_that_of_the_contract(
    account: Account, batch: numbered.MakeBatch, digest: Callable[[object], str], home: Home
) -> None:
    ref = AudienceRef(id="7090", account=account.number)
    sent = destination.preview(account.settings(), batch(ref, [1], phone={1: [digest("p")]}, **home(1)))
    assert (sent["method"], sent["url"]) == ("POST", f"{account.url}/v1/audienceMembers:ingest")
    assert sent["headers"]["Authorization"] == "Bearer ***"
    address = {"givenName": digest("ann"), "familyName": digest("lee"), "regionCode": "PT", "postalCode": "1229-076"}
    identifiers = [{"emailAddress": digest("1@example.com")}, {"phoneNumber": digest("p")}, {"address": address}]
    assert sent["json"] == {
        "destinations": [
            {
                "operatingAccount": {"accountType": "GOOGLE_ADS", "accountId": account.number},
                "productDestinationId": "7090",
            }
        ],
        "audienceMembers": [{"compositeData": {"userData": {"userIdentifiers": identifiers}}}],
        "encoding": "HEX",
        "termsOfService": {"customerMatchTermsOfServiceStatus": "ACCEPTED"},
        "consent": {"adUserData": "CONSENT_GRANTED", "adPersonalization": "CONSENT_GRANTED"},
    }


def test_a_removal_has_neither_terms_nor_consent(account: Account, batch: numbered.MakeBatch) -> None:
    ref = AudienceRef(id="7090", account=account.number)
    sent = destination.preview(account.settings(customer_match_terms=False), batch(ref, [1], "remove"))
    assert sent["url"].endswith("/v1/audienceMembers:remove")
    assert sent["json"].keys() == {"destinations", "audienceMembers", "encoding"}


@pytest.mark.parametrize(
    ("said", "consent"),
    [
        ({"ad_user_data": None, "ad_personalization": None}, None),
        ({"ad_user_data": "denied", "ad_personalization": None}, {"adUserData": "CONSENT_DENIED"}),
    ],
)
def test_consent_is_what_somebody_said_and_nothing_else(
    account: Account, batch: numbered.MakeBatch, said: Any, consent: Any
) -> None:
    sent = destination.preview(account.settings(**said), batch(AudienceRef(id="1", account="1"), [1]))
    assert sent["json"].get("consent") == consent


def test_the_path_to_the_account_is_in_the_destination(account: Account, batch: numbered.MakeBatch) -> None:
    changes = {
        "operating_account": {"account_id": "123-456-7890"},
        "login_account": {"account_id": "55", "account_type": "DATA_PARTNER"},
        "linked_account": {"account_id": "999-888-7777"},
    }
    sent = destination.preview(account.settings(**changes), batch(AudienceRef(id="1", account="1"), [1]))
    (path,) = sent["json"]["destinations"]
    assert path["operatingAccount"]["accountId"] == "1234567890"
    assert path["loginAccount"] == {"accountType": "DATA_PARTNER", "accountId": "55"}
    assert path["linkedAccount"] == {"accountType": "GOOGLE_ADS", "accountId": "9998887777"}


def test_every_column_arrives(
    account: Account,
    writer: GoogleWriter,
    ref: AudienceRef,
    batch: numbered.MakeBatch,
    digest: Callable[[object], str],
    home: Home,
) -> None:
    outcome = writer.write(batch(ref, [1, 2], email={2: []}, phone={2: [digest("p")]}, city={1: ["x"]}, **home(1)))
    assert (outcome.rejected, outcome.unknown, outcome.counts) == ({}, frozenset(), {})
    assert outcome.pending
    address = f"{digest('ann')} {digest('lee')} PT 1229-076"
    assert account.rows(ref.id) == [
        {"address": [address], "email": [digest("1@example.com")]},
        {"phone": [digest("p")]},
    ]


def test_an_address_is_sent_whole_or_not_at_all(
    account: Account,
    writer: GoogleWriter,
    ref: AudienceRef,
    batch: numbered.MakeBatch,
    digest: Callable[[object], str],
    home: Home,
) -> None:
    columns = home(1) | {"postal_code": {1: []}}
    writer.write(batch(ref, [1], **columns))
    assert account.rows(ref.id) == [{"email": [digest("1@example.com")]}]


def test_every_value_of_a_member_with_several_is_sent(
    account: Account,
    writer: GoogleWriter,
    ref: AudienceRef,
    batch: numbered.MakeBatch,
    digest: Callable[[object], str],
    home: Home,
) -> None:
    several: dict[str, Any] = {"email": {1: [digest(n) for n in range(3)]}, "phone": {1: [digest("p"), digest("q")]}}
    several |= home(1) | {"country": {1: ["PT", "ES"]}}
    writer.write(batch(ref, [1], **several))
    (row,) = account.rows(ref.id)
    assert (len(row["email"]), len(row["phone"]), len(row["address"])) == (3, 2, 2)
    writer.write(batch(ref, [1], "remove", **several))
    assert account.rows(ref.id) == []


def test_row_10_a_member_with_more_than_ten_identifiers_becomes_several(
    account: Account, writer: GoogleWriter, ref: AudienceRef, batch: numbered.MakeBatch, digest: Callable[[object], str]
) -> None:
    many = {1: [digest(n) for n in range(25)]}
    sent = destination.preview(account.settings(), batch(ref, [1, 2], email=many))
    sizes = [len(one["compositeData"]["userData"]["userIdentifiers"]) for one in sent["json"]["audienceMembers"]]
    assert sizes == [10, 10, 5, 1]
    writer.write(batch(ref, [1, 2], email=many))
    values: set[str] = set().union(*account.values(ref.id))
    assert len(values) == 26
    account.fails("INVALID_HEX_ENCODING", field="audience_members[1]")
    assert list(writer.write(batch(ref, [1, 2], email=many)).rejected) == keys(1)


def test_row_10_more_than_10_000_members_are_refused_before_they_are_sent(
    account: Account, writer: GoogleWriter, ref: AudienceRef, batch: numbered.MakeBatch, digest: Callable[[object], str]
) -> None:
    with pytest.raises(RejectedError) as refusal:
        writer.write(batch(ref, range(9_999), email={0: [digest(n) for n in range(25)]}))
    assert refusal.value.reason == "google:members"
    assert account.held(ref.id)["requests_ingest"] == 0


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"email": {1: ["jane@example.com"]}}, "google:INVALID_SHA256_FORMAT"),
        ({"email": {1: ["ab" * 31]}}, "google:INVALID_SHA256_FORMAT"),
        ({"email": {1: ["zz" * 32]}}, "google:INVALID_SHA256_FORMAT"),
        ({"phone": {1: ["+18005550100"]}}, "google:INVALID_SHA256_FORMAT"),
        ({"first_name": {1: ["Ann"]}}, "google:INVALID_SHA256_FORMAT"),
        ({"country": {1: ["Portugal"]}}, "google:INVALID_REGION_CODE"),
        ({"country": {1: ["1A"]}}, "google:INVALID_REGION_CODE"),
        ({"postal_code": {1: ["ab" * 32]}}, "google:INVALID_POSTAL_CODE"),
        ({"email": {1: []}}, "google:no_identifier"),
        ({"email": {1: []}, "country": {1: ["PT"]}}, "google:no_identifier"),
    ],
)
def test_rows_18_to_24_a_bad_member_is_found_before_it_costs_the_others(
    account: Account, writer: GoogleWriter, ref: AudienceRef, batch: numbered.MakeBatch, columns: Any, reason: str
) -> None:
    outcome = writer.write(batch(ref, range(3), **columns))
    assert outcome.rejected == dict.fromkeys(keys(1), reason)
    assert len(account.rows(ref.id)) == 2
    requests = account.held(ref.id)["requests_ingest"]
    assert writer.write(batch(ref, [1], **columns)).rejected == dict.fromkeys(keys(1), reason)
    assert account.held(ref.id)["requests_ingest"] == requests == 1


def test_an_upper_case_digest_is_good(
    account: Account, writer: GoogleWriter, ref: AudienceRef, batch: numbered.MakeBatch, digest: Callable[[object], str]
) -> None:
    assert writer.write(batch(ref, [1], email={1: [digest("x").upper()]})).rejected == {}
    assert account.values(ref.id) == [{digest("x")}]


def test_remove_takes_out_and_repeats_change_nothing(
    account: Account, writer: GoogleWriter, ref: AudienceRef, batch: numbered.MakeBatch
) -> None:
    for _ in range(2):
        writer.write(batch(ref, range(10)))
    for _ in range(2):
        writer.write(batch(ref, range(5), "remove"))
    held = account.held(ref.id)
    assert (held["held_rows"], held["requests_ingest"], held["requests_remove"]) == (5, 2, 2)


def test_an_answer_that_is_lost_is_sent_for_again(
    account: Account, writer: GoogleWriter, ref: AudienceRef, batch: numbered.MakeBatch
) -> None:
    account.fault("accepted_then_reset", "audienceMembers")
    with pytest.raises(TransientError):
        writer.write(batch(ref, range(5)))
    assert writer.write(batch(ref, range(5))).pending
    assert account.held(ref.id)["held_rows"] == 5


def test_row_26_nothing_is_added_before_somebody_accepted_the_terms(
    account: Account, ref: AudienceRef, batch: numbered.MakeBatch
) -> None:
    with account.open(customer_match_terms=False) as writer:
        with pytest.raises(ConfigError, match=r"customer_match_terms.*terms of Customer Match.*Accept them"):
            writer.write(batch(ref, [1]))
        assert writer.write(batch(ref, [1], "remove")).pending
    assert account.held(ref.id)["requests_ingest"] == 0


def test_in_test_mode_google_looks_and_keeps_nothing(
    account: Account, ref: AudienceRef, batch: numbered.MakeBatch
) -> None:
    with account.open(test_mode=True) as writer:
        outcome = writer.write(batch(ref, range(3), email={1: ["bad"]}))
        assert outcome.rejected == dict.fromkeys(keys(1), "google:INVALID_SHA256_FORMAT")
        assert (outcome.pending, outcome.unknown) == (None, frozenset(keys(0, 2)))
    assert account.held(ref.id)["held_rows"] == 0
    assert destination.preview(account.settings(test_mode=True), batch(ref, [1]))["json"]["validateOnly"] is True


def test_row_14_a_list_that_is_gone_while_we_write(
    account: Account, writer: GoogleWriter, ref: AudienceRef, batch: numbered.MakeBatch
) -> None:
    account.call("DELETE", f"/{ref.id}")
    with pytest.raises(ConfigError, match=r"INVALID_USER_LIST_ID.*the bridge then makes another"):
        writer.write(batch(ref, [1]))


def test_row_15_a_list_of_another_kind_stops_the_run(
    account: Account, writer: GoogleWriter, batch: numbered.MakeBatch
) -> None:
    info = {"uploadKeyTypes": ["USER_ID"], "userIdInfo": {"dataSourceType": "DATA_SOURCE_TYPE_FIRST_PARTY"}}
    made = account.call("POST", displayName="Other", ingestedUserListInfo=info)
    with pytest.raises(ConfigError, match="INVALID_USER_LIST_TYPE"):
        writer.write(batch(AudienceRef(id=made["id"], account=account.number), range(3)))


def test_row_09_an_account_to_which_customer_match_is_closed(
    account: Account, writer: GoogleWriter, ref: AudienceRef, batch: numbered.MakeBatch
) -> None:
    account.configure_account(eligible=False)
    with pytest.raises(ConfigError, match=r"not open.*ADVERTISER_NOT_ALLOWLISTED"):
        writer.write(batch(ref, [1]))


def test_the_bridge_of_a_big_batch_keeps_within_the_limits(
    account: Account, writer: GoogleWriter, ref: AudienceRef, batch: numbered.MakeBatch
) -> None:
    assert writer.write(batch(ref, range(10_000))).pending
    assert account.held(ref.id)["held_rows"] == 10_000


def test_preview_is_json(account: Account, batch: numbered.MakeBatch) -> None:
    assert json.dumps(destination.preview(account.settings(), batch(AudienceRef(id="1", account="1"), range(3))))
