"""Every reason of the contract over HTTP: what it means for a run, and that it repeats nothing of the request."""

from collections.abc import Iterator
from typing import Any, Protocol

import pytest
from cdp_bridge.sdk import AudienceRef, ConfigError, RejectedError, TransientError
from cdp_bridge.testing import numbered
from destination_google.destination import GoogleWriter
from destination_google.errors import ERRORS, AccessError, GoneError, MembersError, ProjectError, ScopeError

from .conftest import Account

WAIT, STOP, REFUSED = TransientError, ConfigError, RejectedError
TYPES = "type.googleapis.com/google.rpc."
SHAPE = (
    *("REQUIRED_FIELD_MISSING", "INVALID_FORMAT", "INVALID_ENUM_VALUE", "FIELD_VALUE_TOO_LONG"),
    *("FIELD_VALUE_TOO_SHORT", "TOO_MANY_ELEMENTS", "TOO_FEW_ELEMENTS"),
)
OF_MEMBERS = (
    *SHAPE,
    *("INVALID_HEX_ENCODING", "INVALID_BASE64_ENCODING", "INVALID_SHA256_FORMAT", "INVALID_MOBILE_ID_FORMAT"),
    *("INVALID_POSTAL_CODE", "INVALID_REGION_CODE", "INVALID_COUNTRY_CODE", "TOO_MANY_USER_IDENTIFIERS"),
    "INVALID_AUDIENCE_MEMBER",
)
OF_EVENTS = (
    *("INVALID_EVENT", "NO_IDENTIFIERS_PROVIDED", "EVENT_TIME_INVALID", "INVALID_CURRENCY_CODE"),
    *("INVALID_AD_IDENTIFIER_FOR_ACCOUNT", "EVENT_SOURCE_AND_DESTINATION_MISMATCH"),
)
OUTCOMES = [
    *[(reason, STOP) for reason in (*OF_MEMBERS, *OF_EVENTS)],
    ("TOO_MANY_EVENTS", REFUSED),
    *[(reason, REFUSED) for reason in ("TOO_MANY_AUDIENCE_MEMBERS", "TOO_MANY_DESTINATIONS", "INVALID_ARGUMENT")],
    *[(reason, REFUSED) for reason in ("FAILED_PRECONDITION", "INVALID_REQUEST_ID", "REQUEST_TOO_OLD")],
    *[
        (reason, STOP)
        for reason in (
            *(
                "INVALID_DESTINATION",
                "DUPLICATE_DESTINATION_REFERENCE",
                "INVALID_USER_LIST_ID",
                "INVALID_NUMBER_FORMAT",
            ),
            *("INVALID_USER_LIST_TYPE", "DESTINATION_ACCOUNT_TYPE_MISMATCH", "INVALID_RESOURCE_NAME"),
            *("OPERATING_ACCOUNT_LOGIN_ACCOUNT_MISMATCH", "UNSUPPORTED_OPERATING_ACCOUNT_FOR_DATA_PARTNER"),
            "LINKED_ACCOUNT_ONLY_ALLOWED_WITH_DATA_PARTNER_LOGIN_ACCOUNT",
            *("UNSUPPORTED_LINKED_ACCOUNT_FOR_DATA_PARTNER", "DIFFERENT_LOGIN_ACCOUNTS_NOT_ALLOWED_FOR_DATA_PARTNER"),
            *("DATA_PARTNER_USER_LIST_MUTATE_NOT_ALLOWED", "TERMS_AND_CONDITIONS_NOT_SIGNED", "NOT_ALLOWLISTED"),
            *("EU_POLITICAL_ADVERTISING_DECLARATION_REQUIRED", "ADVERTISER_NOT_ALLOWLISTED_FOR_UPLOADED_DATA"),
            *("MULTIPLE_DATA_TYPES_NOT_ALLOWED", "INVALID_DISPLAY_NAME", "INVALID_DESCRIPTION"),
            *("USER_LIST_NAME_RESERVED", "MEMBERSHIP_DURATION_TOO_LONG", "OWNERSHIP_REQUIRED_FOR_UPDATE"),
            *("USER_LIST_MUTATION_NOT_SUPPORTED", "IMMUTABLE_FIELD_FOR_UPDATE", "INVALID_UPDATE_MASK"),
            *("INVALID_PAGE_TOKEN", "INVALID_FILTER", "UNSUPPORTED_USER_LIST_UPLOAD_KEY_TYPES"),
            *("UNSUPPORTED_INGESTED_USER_LIST_INFO_CONFIG", "PERMISSION_DENIED", "NOT_FOUND"),
            *("INVALID_CONVERSION_ACTION_ID", "INVALID_CONVERSION_ACTION_TYPE"),
            *("CONVERSION_ACTION_TOO_RECENTLY_CREATED", "DESTINATION_ACCOUNT_ENHANCED_CONVERSIONS_TERMS_NOT_SIGNED"),
            "DESTINATION_ACCOUNT_NOT_ENABLED_ENHANCED_CONVERSIONS_FOR_LEADS",
        )
    ],
    *[(reason, WAIT) for reason in ("DISPLAY_NAME_ALREADY_USED", "ALREADY_EXISTS", "INTERNAL_ERROR")],
    *[(reason, WAIT) for reason in ("DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED")],
]


@pytest.fixture
def writer(account: Account) -> Iterator[GoogleWriter]:
    with account.open() as writer:
        yield writer


@pytest.fixture
def ref(account: Account, writer: GoogleWriter) -> AudienceRef:
    return writer.ensure(account.audience())


class Refuse(Protocol):
    """The error that `write` raises when the call is answered so."""

    def __call__(self, reason: str | None = None, **more: Any) -> Any: ...


@pytest.fixture
def refuse(account: Account, writer: GoogleWriter, ref: AudienceRef, batch: numbered.MakeBatch) -> Refuse:
    """What `write` raises when the call is answered so."""

    def raised(reason: Any = None, **more: Any) -> Any:
        if reason is None:
            account.fault("status", "audienceMembers", **more)
        else:
            account.fails(reason, **more)
        with pytest.raises((ConfigError, TransientError, RejectedError)) as caught:
            writer.write(batch(ref, range(3)))
        return caught.value

    return raised


def error(status: int, name: str, *details: Any, message: str = "jane@example.com") -> dict[str, Any]:
    return {
        "status": status,
        "body": {"error": {"code": status, "status": name, "message": message, "details": details}},
    }


def info(reason: str, **metadata: str) -> dict[str, Any]:
    return {"@type": f"{TYPES}ErrorInfo", "reason": reason, "domain": "googleapis.com", "metadata": metadata}


@pytest.mark.parametrize(("reason", "kind"), OUTCOMES)
def test_every_reason_ends_in_the_outcome_of_the_contract(
    refuse: Refuse, account: Account, reason: Any, kind: Any
) -> None:
    raised = refuse(reason)
    assert isinstance(raised, kind)
    assert f"Google's error {reason}, request t-1" in str(raised)
    assert not any(part in str(raised) for part in ("jane", account.token, "destinations"))
    if isinstance(raised, ConfigError):
        assert raised.remedy
        assert raised.place == "/v1/audienceMembers:ingest"
    if isinstance(raised, RejectedError):
        assert raised.reason == f"google:{reason}"


def test_no_reason_of_the_table_is_without_a_test() -> None:
    ads = {"RESOURCE_TEMPORARILY_EXHAUSTED", "CONCURRENT_MODIFICATION", "TRANSIENT_ERROR", "USER_PERMISSION_DENIED"}
    ads |= {"CUSTOMER_NOT_FOUND", "CUSTOMER_NOT_ENABLED", "INVALID_CUSTOMER_ID", "RESOURCE_NOT_FOUND"}
    ads |= {"CLOUD_PROJECT_NOT_APPROVED_FOR_PRODUCTION", "CUSTOMER_NOT_ACCEPTED_CUSTOMER_DATA_TERMS"}
    ads |= {"CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE", "ADVERTISER_NOT_ON_ALLOWLIST_FOR_USING_UPLOADED_DATA"}
    ads |= {"UNSUPPORTED_VERSION", "CONFLICTING_OPERATION", "JOB_ALREADY_STARTED", "TOO_MANY_MUTATE_OPERATIONS"}
    ads |= {"INVALID_OPERATION_ORDER"}
    below = {"UNAVAILABLE", "INTERNAL", "UNKNOWN", "ABORTED", "RATE_LIMIT_EXCEEDED", "UNAUTHENTICATED"}
    below |= {"SERVICE_DISABLED", "USER_PROJECT_DENIED", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"}
    assert ERRORS.rules.keys() - {reason for reason, _ in OUTCOMES} == ads | below


@pytest.mark.parametrize("reason", OF_MEMBERS)
@pytest.mark.parametrize(
    "field",
    [
        "audience_members.audience_members[1].composite_data.user_data",
        "audience_members[1]",
        "audienceMembers[1].userData",
    ],
)
def test_members_that_are_named_are_refused_and_the_others_sent_again(
    account: Account, writer: GoogleWriter, ref: AudienceRef, batch: numbered.MakeBatch, reason: str, field: str
) -> None:
    account.fails(reason, field=field)
    outcome = writer.write(wanted := batch(ref, range(3)))
    assert outcome.rejected == {wanted.keys[1]: f"google:{reason}"}
    assert len(account.rows(ref.id)) == 2


def test_a_reason_that_is_new_and_names_a_member_costs_that_member_only(
    account: Account, writer: GoogleWriter, ref: AudienceRef, batch: numbered.MakeBatch
) -> None:
    account.fails("INVALID_SHOE_SIZE", field="audience_members[0]")
    assert list(writer.write(batch(ref, range(3))).rejected.values()) == ["google:unknown"]


def test_a_second_refusal_lets_the_core_try_halves(
    account: Account, writer: GoogleWriter, ref: AudienceRef, batch: numbered.MakeBatch
) -> None:
    for _ in range(2):
        account.fails("INVALID_HEX_ENCODING", field="audience_members[0]")
    with pytest.raises(RejectedError) as refusal:
        writer.write(batch(ref, range(5)))
    assert (type(refusal.value), refusal.value.reason) == (MembersError, "google:INVALID_HEX_ENCODING")
    assert account.held(ref.id)["requests_ingest"] == 0


def test_a_member_who_is_not_there_is_nobody(refuse: Refuse) -> None:
    assert isinstance(refuse("INVALID_HEX_ENCODING", field="audience_members[99]"), RejectedError)


def test_what_concerns_everybody_is_no_fault_of_a_member(refuse: Refuse) -> None:
    members = [{"field": f"audience_members[{n}]", "reason": "INVALID_USER_LIST_TYPE"} for n in range(3)]
    raised = refuse(**error(400, "INVALID_ARGUMENT", {"@type": f"{TYPES}BadRequest", "fieldViolations": members}))
    assert isinstance(raised, ConfigError)
    mixed = [{"field": "audience_members[0]", "reason": "INVALID_HEX_ENCODING"}]
    mixed += [{"field": "terms_of_service", "reason": "TERMS_AND_CONDITIONS_NOT_SIGNED"}]
    raised = refuse(**error(400, "INVALID_ARGUMENT", {"@type": f"{TYPES}BadRequest", "fieldViolations": mixed}))
    assert "terms of Customer Match" in str(raised)


def test_the_front_end_refuses_what_only_an_update_can_mend(refuse: Refuse) -> None:
    text = "Invalid JSON payload received. Unknown name \"addressInfo\" at 'audience_members[0]': Cannot find field."
    violations = [{"field": "audience_members[0]", "description": text}]
    details = {"@type": f"{TYPES}BadRequest", "fieldViolations": violations}
    raised = refuse(**error(400, "INVALID_ARGUMENT", details, message=text))
    assert isinstance(raised, ConfigError)
    assert raised.remedy.startswith("Update the connector")


@pytest.mark.parametrize(
    ("answer", "kind", "remedy"),
    [
        (error(401, "UNAUTHENTICATED"), STOP, "Connect the account again"),
        (error(403, "PERMISSION_DENIED", info("SERVICE_DISABLED", activationUrl="x")), ProjectError, "Enable the Data"),
        (error(403, "PERMISSION_DENIED", info("USER_PROJECT_DENIED")), ProjectError, "quota_project"),
        (error(403, "PERMISSION_DENIED", info("ACCESS_TOKEN_SCOPE_INSUFFICIENT")), ScopeError, "Connect the account"),
        (error(403, "PERMISSION_DENIED", info("PERMISSION_DENIED")), AccessError, "user of the login account"),
        (error(403, "PERMISSION_DENIED"), AccessError, "user of the login account"),
        (error(404, "NOT_FOUND"), GoneError, "base_url"),
        (error(409, "ABORTED"), WAIT, ""),
        (error(500, "INTERNAL"), WAIT, ""),
        (error(500, "UNKNOWN"), WAIT, ""),
        (error(503, "UNAVAILABLE"), WAIT, ""),
        (error(504, "DEADLINE_EXCEEDED"), WAIT, ""),
        (error(500, "INVALID_ARGUMENT"), WAIT, ""),
        (error(400, "OUT_OF_RANGE"), REFUSED, ""),
        (error(418, "TEAPOT"), REFUSED, ""),
    ],
)
def test_errors_of_google_in_general(refuse: Refuse, answer: Any, kind: Any, remedy: str) -> None:
    raised = refuse(**answer)
    assert isinstance(raised, kind)
    assert remedy in getattr(raised, "remedy", "")
    assert "jane" not in str(raised)


def test_the_wait_is_that_of_google_if_it_names_one(refuse: Refuse) -> None:
    quota = info("RATE_LIMIT_EXCEEDED", quota_limit="RequestsPerMinutePerProject")
    delay = {"@type": f"{TYPES}RetryInfo", "retryDelay": "17.5s"}
    assert refuse(**error(429, "RESOURCE_EXHAUSTED", quota)).retry_after is None
    assert refuse(**error(429, "RESOURCE_EXHAUSTED", quota, delay)).retry_after == 17.5
    assert refuse(**error(429, "RESOURCE_EXHAUSTED", quota), headers={"Retry-After": "7"}).retry_after == 7
    assert refuse(**error(503, "UNAVAILABLE", {"retryDelay": "rubbish"})).retry_after is None


def test_row_04_over_the_quota_of_the_project(
    account: Account, writer: GoogleWriter, ref: AudienceRef, batch: numbered.MakeBatch
) -> None:
    account.configure(per_minute=0)
    with pytest.raises(TransientError, match=r"rate limit.*RATE_LIMIT_EXCEEDED"):
        writer.write(batch(ref, [1]))


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ({"status": 200}, WAIT),
        ({"status": 200, "body": ["x"]}, WAIT),
        ({"status": 200, "body": {"requestId": 7}}, WAIT),
        ({"status": 200, "body": {}}, WAIT),
        ({"status": 400}, REFUSED),
        ({"status": 401}, STOP),
        ({"status": 403}, STOP),
        ({"status": 404}, REFUSED),
        ({"status": 413}, REFUSED),
        ({"status": 429}, WAIT),
        ({"status": 502}, WAIT),
        ({"status": 400, "body": {"error": "rubbish"}}, REFUSED),
        ({"status": 400, "body": {"error": {"details": [7, {"fieldViolations": [3, {"field": 9}]}]}}}, REFUSED),
        ({"status": 400, "body": {"error": {"details": [{"errors": [{"errorCode": [], "location": 1}]}]}}}, REFUSED),
        ({"status": 400, "body": [{"error": {"status": "INVALID_ARGUMENT"}}]}, REFUSED),
        ({"status": 500, "body": "[" * 100_000}, WAIT),
    ],
)
def test_what_is_no_answer_of_the_api_is_judged_by_status(refuse: Refuse, answer: Any, kind: Any) -> None:
    assert isinstance(refuse(**answer), kind)


def test_a_hostile_request_id_is_cut(refuse: Refuse) -> None:
    details = {"@type": f"{TYPES}RequestInfo", "requestId": "<jane@example.com>" * 9}
    raised = refuse(**error(400, "INVALID_ARGUMENT", details))
    assert "@" not in str(raised)
    assert len(str(raised)) < 160


def test_a_redirect_is_not_followed(
    account: Account, writer: GoogleWriter, ref: AudienceRef, batch: numbered.MakeBatch
) -> None:
    account.fault("redirect", "audienceMembers")
    with pytest.raises(ConfigError, match="redirect"):
        writer.write(batch(ref, [1]))
