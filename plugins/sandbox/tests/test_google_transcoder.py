"""What the Google twin reads without Google's parser, that parser reads the same; whatever comes is read or refused."""

import json
from contextlib import suppress
from typing import Any

import msgspec
from google.ads import datamanager_v1
from hypothesis import given, settings
from hypothesis import strategies as st
from sandbox.google import transcoder
from sandbox.google.errors import ApiError
from sandbox.google.shapes import Ingestion, Removal

DIGEST = "07e2f1394b0ea80e2adca010ea8318df697001a005ba7452720edda4b0ce57b3"
TEXT = st.sampled_from([DIGEST, DIGEST.upper(), "ann@example.com", "", "a:b", 'q"', "é", "\\", "1234567890"])
EMPTY: tuple[Any, ...] = ("", [], {}, None, True, 1.0)
ODD = st.sampled_from(EMPTY) | st.integers(-1, 99) | TEXT


def often(good: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Mostly what belongs there, now and then anything."""
    return st.integers(0, 14).flatmap(lambda n: ODD if n == 0 else good)


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """An object with some of the fields."""
    chosen = {name: often(value) for name, value in fields.items()}
    return st.fixed_dictionaries({}, optional=chosen)


STATUS = st.sampled_from(["CONSENT_GRANTED", "CONSENT_DENIED", "CONSENT_STATUS_UNSPECIFIED", "GRANTED", 1])
CONSENT = some(adUserData=STATUS, adPersonalization=STATUS)
ADDRESS = some(givenName=TEXT, familyName=TEXT, regionCode=TEXT, postalCode=TEXT, city=TEXT, countryCode=TEXT)
IDENTIFIER = st.one_of(
    some(emailAddress=TEXT), some(phoneNumber=TEXT), some(address=ADDRESS), some(emailAddress=TEXT, email_address=TEXT)
)
USER = some(userIdentifiers=st.lists(IDENTIFIER, max_size=3))
IPS = st.lists(some(ipAddress=TEXT, observeStartTime=st.sampled_from(["2026-11-01T10:00:00Z", "x"])), max_size=1)
DATA = st.one_of(
    some(userData=USER),
    some(compositeData=some(userData=USER, ipData=IPS)),
    some(mobileData=some(mobileIds=st.lists(TEXT, max_size=2))),
    some(userIdData=some(userId=TEXT), userData=USER),
)
MEMBER = st.builds(lambda data, more: {**data, **more} if isinstance(data, dict) else data, DATA, some(consent=CONSENT))
ACCOUNT = some(accountType=st.sampled_from(["GOOGLE_ADS", 1, "ADS"]), accountId=TEXT, product=st.just("GOOGLE_ADS"))
DESTINATION = some(operatingAccount=ACCOUNT, loginAccount=ACCOUNT, reference=TEXT, productDestinationId=TEXT)
REQUEST = some(
    destinations=st.lists(DESTINATION, max_size=2),
    audienceMembers=st.lists(MEMBER, max_size=3),
    audience_members=st.just([]),
    encoding=st.sampled_from(["HEX", "BASE64", "hex", 1]),
    validateOnly=st.booleans(),
    consent=CONSENT,
    termsOfService=some(customerMatchTermsOfServiceStatus=st.just("ACCEPTED")),
)


def read(body: bytes, shape: Any) -> Any:
    """What Google's own parser makes of a body, with the rules that it misses; None when it is refused."""
    with suppress(ApiError):
        return transcoder.parse(body, transcoder.MESSAGES[shape])
    return None


@settings(max_examples=300, deadline=None)
@given(REQUEST, st.sampled_from([Ingestion, Removal]), st.sampled_from([None, 1]))
def test_the_short_way_takes_nothing_that_google_refuses_and_reads_the_same(wanted: Any, shape: Any, by: Any) -> None:
    body = json.dumps(wanted, indent=by, ensure_ascii=False).encode()
    plain = transcoder._plain(body, shape)
    if plain is not None:
        judged = read(body, shape)
        assert judged is not None
        assert _set(msgspec.to_builtins(plain)) == _set(judged)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=40) | REQUEST.map(lambda wanted: json.dumps(wanted).encode()))
def test_any_body_is_read_or_refused(body: bytes) -> None:
    with suppress(ApiError):
        assert isinstance(transcoder.read_members(body, Ingestion), Ingestion)


def test_a_plain_request_takes_the_short_way() -> None:
    made = datamanager_v1.IngestAudienceMembersRequest(
        audience_members=[{"user_data": {"user_identifiers": [{"email_address": DIGEST}]}}], validate_only=True
    )
    assert transcoder._plain(json.dumps({"validateOnly": False}).encode(), Ingestion) is not None
    text = type(made).to_json(made, use_integers_for_enums=False, always_print_fields_with_no_presence=False)
    assert transcoder._plain(text.encode(), Ingestion) is not None
    assert transcoder._plain(b'{"validateOnly":true,"validateOnly":true}', Ingestion) is None


def _set(value: Any) -> Any:
    """Without what proto3 does not tell from a field that was not sent."""
    if isinstance(value, list):
        return [_set(each) for each in value]
    if not isinstance(value, dict):
        return value
    keep = ("emailAddress", "phoneNumber")
    found = {name: _set(each) for name, each in value.items()}
    dull: tuple[Any, ...] = ("", False, [], "CONSENT_STATUS_UNSPECIFIED")
    return {name: each for name, each in found.items() if name in keep or each not in dull}
