"""Members through the Google Ads API: a job for each list and operation, started with the last batch, settled later."""

import json
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import pytest
from cdp_bridge.sdk import AudienceRef, ConfigError, RejectedError, TransientError
from cdp_bridge.testing import numbered
from cdp_bridge.testing.numbered import keys, pending_of
from destination_google import destination
from destination_google.destination import GoogleWriter
from sandbox.trial import Clock

from .conftest import Account

ADDRESS = ("first_name", "last_name", "country", "postal_code")
RUN, ADD, CREATE = ":run", ":addOperations", "offlineUserDataJobs:create"
DATA_MANAGER = "https://www.googleapis.com/auth/datamanager"


@pytest.fixture
def number(account: Account) -> Iterator[str]:
    """The account's number: ten digits, and open to the uploads of the Google Ads API."""
    account.configure(legacy_uploads=True)
    yield account.number
    account.configure(legacy_uploads=False)


@pytest.fixture
def writer(account: Account, number: str) -> Iterator[GoogleWriter]:
    with account.open(api="google-ads") as writer:
        yield writer


@pytest.fixture
def ref(account: Account, writer: GoogleWriter) -> AudienceRef:
    return writer.ensure(account.audience())


class Fails(Protocol):
    """Let the next call be refused by a GoogleAdsFailure."""

    def __call__(self, group: str, code: str, path_regex: str, **more: Any) -> None: ...


@pytest.fixture
def fails(account: Account) -> Fails:
    """Function: let the next call be refused by a GoogleAdsFailure."""

    def fail(group: str, code: str, path_regex: str, **more: Any) -> None:
        error: dict[str, Any] = {"errorCode": {group: code}, "message": "jane@example.com"}
        if "index" in more:
            elements = [{"fieldName": "operations", "index": more.pop("index")}, {"fieldName": "create"}]
            error["location"] = {"fieldPathElements": elements}
        error |= more.pop("error", {})
        kind = "type.googleapis.com/google.ads.googleads.v26.errors.GoogleAdsFailure"
        details = [{"@type": kind, "errors": [error], "requestId": "lvB3KOj"}]
        status = more.pop("status", 400)
        body = {"code": status, "status": "INVALID_ARGUMENT", "message": "jane@example.com", "details": details}
        account.fault("status", path_regex, status=status, body={more.pop("name", "error"): body}, **more)

    return fail


def settled(writer: Any, ref: Any, pending: str) -> Any:
    """The final word, however often it takes to ask."""
    outcome = writer.settle(ref, pending)
    for _ in range(5):
        if outcome.pending is None:
            break
        outcome = writer.settle(ref, pending_of(outcome))
    return outcome


def asked(account: Any, what: str) -> int:
    return sum(what in one["path"] for one in account.control("GET", "requests")["requests"])


def test_all_batches_of_a_run_go_into_one_job(
    account: Account, writer: GoogleWriter, ref: AudienceRef, batch: numbered.MakeBatch
) -> None:
    account.control("DELETE", "requests")
    outcomes = [writer.write(batch(ref, range(10 * n, 10 * n + 10), number=n + 1, last=n == 2)) for n in range(3)]
    (pending,) = {pending_of(outcome) for outcome in outcomes}
    assert pending.startswith(f"customers/{account.number}/offlineUserDataJobs/")
    assert (asked(account, CREATE), asked(account, ADD), asked(account, RUN)) == (1, 3, 1)
    outcome = settled(writer, ref, pending)
    assert (outcome.pending, outcome.counts, outcome.unknown) == (None, {}, frozenset())
    assert account.held(ref.id)["held_rows"] == 30
    assert settled(writer, ref, pending_of(writer.write(batch(ref, range(10), "remove")))).pending is None
    assert account.held(ref.id)["held_rows"] == 20


def test_every_column_arrives(
    account: Account, writer: GoogleWriter, ref: AudienceRef, batch: numbered.MakeBatch, digest: Callable[[object], str]
) -> None:
    home = {"first_name": digest("ann"), "last_name": digest("lee"), "country": "PT", "postal_code": "1229-076"}
    columns: dict[str, Any] = {name: {1: [value]} for name, value in home.items()} | {"phone": {1: [digest("p")]}}
    settled(writer, ref, pending_of(writer.write(batch(ref, [1], **columns))))
    (row,) = account.rows(ref.id)
    assert row == {
        "address": [f"{digest('ann')} {digest('lee')} PT 1229-076"],
        "email": [digest("1@example.com")],
        "phone": [digest("p")],
    }


@pytest.mark.parametrize(("said", "held"), [("granted", 3), ("denied", 0)])
def test_consent_is_said_of_the_job(
    account: Account, number: str, batch: numbered.MakeBatch, said: Any, held: int
) -> None:
    with account.open(api="google-ads", ad_user_data=said) as writer:
        ref = writer.ensure(account.audience())
        outcome = settled(writer, ref, pending_of(writer.write(batch(ref, range(3)))))
    assert account.held(ref.id)["held_rows"] == held
    assert outcome.counts == ({} if held else {"google:FAILED": 1})


def test_a_job_that_a_dead_run_left_behind_is_started_by_whoever_settles(
    account: Account, writer: GoogleWriter, ref: AudienceRef, batch: numbered.MakeBatch
) -> None:
    pending = pending_of(writer.write(batch(ref, range(3), last=False)))
    assert account.held(ref.id)["held_rows"] == 0
    with account.open(api="google-ads") as later:
        assert later.settle(ref, pending).pending == pending
        assert later.settle(ref, pending).pending is None
    assert account.held(ref.id)["held_rows"] == 3


def test_row_37_a_second_job_waits_for_the_first(
    account: Account, writer: GoogleWriter, ref: AudienceRef, batch: numbered.MakeBatch, clock: Clock
) -> None:
    account.configure(processing=1_800)
    first = pending_of(writer.write(batch(ref, range(3))))
    second = pending_of(writer.write(batch(ref, [0], "remove")))
    assert first != second
    assert writer.settle(ref, second).pending == second
    clock.advance(1_800)
    assert writer.settle(ref, first).pending is None
    assert writer.settle(ref, second).pending == second
    clock.advance(1_800)
    assert writer.settle(ref, second).pending is None
    assert account.held(ref.id)["held_rows"] == 2


@pytest.mark.parametrize("kind", ["reset", "accepted_then_reset"])
@pytest.mark.parametrize("call", [CREATE, ADD, RUN])
def test_a_lost_answer_is_a_batch_to_be_sent_again(
    account: Account, writer: GoogleWriter, ref: AudienceRef, batch: numbered.MakeBatch, kind: str, call: str
) -> None:
    account.fault(kind, call)
    with pytest.raises(TransientError):
        writer.write(batch(ref, range(3)))
    settled(writer, ref, pending_of(writer.write(batch(ref, range(3)))))
    assert account.held(ref.id)["held_rows"] == 3


def test_a_job_that_was_started_meanwhile_is_followed_by_another(
    account: Account, writer: GoogleWriter, ref: AudienceRef, batch: numbered.MakeBatch
) -> None:
    first = pending_of(writer.write(batch(ref, range(3), last=False)))
    assert settled(writer, ref, first).pending is None
    second = pending_of(writer.write(batch(ref, range(3, 6), number=2)))
    assert second != first
    assert settled(writer, ref, second).pending is None
    assert account.held(ref.id)["held_rows"] == 6


def test_members_that_google_names_are_refused_and_the_others_taken(
    account: Account, writer: GoogleWriter, ref: AudienceRef, batch: numbered.MakeBatch, fails: Fails
) -> None:
    fails("offlineUserDataJobError", "INVALID_SHA256_FORMAT", ADD, index=1, status=200, name="partialFailureError")
    outcome = writer.write(batch(ref, range(3)))
    assert outcome.rejected == dict.fromkeys(keys(1), "google:INVALID_SHA256_FORMAT")
    settled(writer, ref, pending_of(outcome))
    assert account.held(ref.id)["held_rows"] == 2


def test_an_index_may_come_as_text(
    account: Account, writer: GoogleWriter, ref: AudienceRef, batch: numbered.MakeBatch, fails: Fails
) -> None:
    fails("offlineUserDataJobError", "INVALID_SHA256_FORMAT", ADD, index="2", status=200, name="partialFailureError")
    assert list(writer.write(batch(ref, range(3))).rejected) == keys(2)


@pytest.mark.parametrize(
    ("group", "code", "status", "kind"),
    [
        ("databaseError", "CONCURRENT_MODIFICATION", 400, TransientError),
        ("internalError", "TRANSIENT_ERROR", 500, TransientError),
        ("internalError", "INTERNAL_ERROR", 500, TransientError),
        ("quotaError", "RESOURCE_EXHAUSTED", 429, TransientError),
        ("quotaError", "RESOURCE_TEMPORARILY_EXHAUSTED", 429, TransientError),
        ("notAllowlistedError", "CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE", 403, ConfigError),
        ("userListError", "ADVERTISER_NOT_ON_ALLOWLIST_FOR_USING_UPLOADED_DATA", 400, ConfigError),
        ("offlineUserDataJobError", "CUSTOMER_NOT_ACCEPTED_CUSTOMER_DATA_TERMS", 400, ConfigError),
        ("authorizationError", "USER_PERMISSION_DENIED", 403, ConfigError),
        ("authorizationError", "CUSTOMER_NOT_ENABLED", 403, ConfigError),
        ("authorizationError", "CLOUD_PROJECT_NOT_APPROVED_FOR_PRODUCTION", 403, ConfigError),
        ("authenticationError", "CUSTOMER_NOT_FOUND", 400, ConfigError),
        ("requestError", "INVALID_CUSTOMER_ID", 400, ConfigError),
        ("requestError", "UNSUPPORTED_VERSION", 400, ConfigError),
        ("offlineUserDataJobError", "CONFLICTING_OPERATION", 400, ConfigError),
        ("offlineUserDataJobError", "INVALID_OPERATION_ORDER", 400, ConfigError),
        ("mutateError", "RESOURCE_NOT_FOUND", 400, ConfigError),
        ("requestError", "TOO_MANY_MUTATE_OPERATIONS", 400, RejectedError),
        ("fieldError", "SOMETHING_NEW", 400, RejectedError),
    ],
)
def test_errors_of_the_api(
    writer: GoogleWriter,
    ref: AudienceRef,
    batch: numbered.MakeBatch,
    fails: Fails,
    group: Any,
    code: Any,
    status: Any,
    kind: Any,
) -> None:
    fails(group, code, ADD, status=status)
    with pytest.raises(kind) as raised:
        writer.write(batch(ref, range(3)))
    assert "jane" not in str(raised.value)
    assert not isinstance(raised.value, ConfigError) or raised.value.remedy


def test_the_wait_is_that_of_google(
    writer: GoogleWriter, ref: AudienceRef, batch: numbered.MakeBatch, fails: Fails
) -> None:
    details = {"quotaErrorDetails": {"rateScope": "ACCOUNT", "retryDelay": "30s"}}
    fails("quotaError", "RESOURCE_EXHAUSTED", CREATE, status=429, error={"details": details})
    with pytest.raises(TransientError) as raised:
        writer.write(batch(ref, [1]))
    assert raised.value.retry_after == 30


def test_row_35_a_project_that_is_not_allow_listed(account: Account, batch: numbered.MakeBatch) -> None:
    with account.open(api="google-ads") as writer:
        ref = writer.ensure(account.audience())
        with pytest.raises(ConfigError, match=r"not open to this caller.*set api to data-manager"):
            writer.write(batch(ref, [1]))


def test_row_36_an_account_below_a_manager(account: Account, number: str, batch: numbered.MakeBatch) -> None:
    manager = str(int(number) + 1_000_000_000)
    about = {"name": "Manager", "users": [account.user], "is_manager": True}
    account.configure(accounts={manager: about, number: {"users": [], "manager": manager}})
    with account.open(api="google-ads", login_account={"account_id": manager}) as writer:
        ref = writer.ensure(account.audience())
        settled(writer, ref, pending_of(writer.write(batch(ref, range(3)))))
    assert account.held(ref.id)["held_rows"] == 3


@pytest.mark.parametrize("status", ["RUNNING", "UNKNOWN"])
def test_what_is_under_way_stays_pending(account: Account, writer: GoogleWriter, ref: AudienceRef, status: str) -> None:
    name = f"customers/{account.number}/offlineUserDataJobs/1"
    job = {"results": [{"offlineUserDataJob": {"resourceName": name, "status": status}}]}
    account.fault("status", "googleAds:search", status=200, body=job)
    assert writer.settle(ref, name).pending == name


def test_an_unwell_google_is_asked_again(
    account: Account, writer: GoogleWriter, ref: AudienceRef, batch: numbered.MakeBatch, clock: Clock
) -> None:
    pending = pending_of(writer.write(batch(ref, [1])))
    account.fault("status", "googleAds:search", status=503)
    account.fault("reset", "googleAds:search")
    assert settled(writer, ref, pending).pending is None
    assert len(clock.slept) == 2


def test_a_job_that_google_does_not_know_is_in_doubt(account: Account, writer: GoogleWriter, ref: AudienceRef) -> None:
    with pytest.raises(RejectedError, match="does not know"):
        writer.settle(ref, f"customers/{account.number}/offlineUserDataJobs/999")


def test_a_job_is_settled_also_after_the_settings_went_back(
    account: Account, writer: GoogleWriter, ref: AudienceRef, batch: numbered.MakeBatch
) -> None:
    pending = pending_of(writer.write(batch(ref, range(3))))
    with account.open() as later:
        assert later.settle(ref, pending).pending is None


def test_in_test_mode_nothing_is_kept(account: Account, number: str, batch: numbered.MakeBatch) -> None:
    account.control("DELETE", "requests")
    with account.open(api="google-ads", test_mode=True) as writer:
        ref = writer.ensure(account.audience())
        outcome = writer.write(wanted := batch(ref, range(3)))
    assert (outcome.pending, outcome.unknown) == (None, frozenset(wanted.keys))
    assert (asked(account, CREATE), asked(account, ADD)) == (1, 0)


def test_preview_and_check(
    account: Account, number: str, batch: numbered.MakeBatch, digest: Callable[[object], str]
) -> None:
    settings = account.settings(api="google-ads")
    sent = destination.preview(settings, batch(AudienceRef(id="7", account=number), [1], "remove"))
    assert sent["url"].endswith(f"/v26/customers/{number}/offlineUserDataJobs/(new):addOperations")
    wanted = [{"remove": {"userIdentifiers": [{"hashedEmail": digest("1@example.com")}]}}]
    assert sent["json"]["operations"] == wanted
    assert json.dumps(sent)
    probes = destination.check(settings)
    assert ("google_ads", True) in [(probe.name, probe.passed) for probe in probes]
    account.configure_token(scopes=[DATA_MANAGER])
    assert (destination.check(settings)[-1].name, destination.check(settings)[-1].passed) == ("google_ads", False)


def test_the_match_rate_of_a_job_is_read_when_it_has_ended(
    account: Account, writer: GoogleWriter, ref: AudienceRef
) -> None:
    name = f"customers/{account.number}/offlineUserDataJobs/1"
    told = {"resourceName": name, "status": "SUCCESS", "operationMetadata": {"matchRateRange": "MATCH_RANGE_71_TO_80"}}
    account.fault("status", "googleAds:search", status=200, body={"results": [{"offlineUserDataJob": told}]})
    assert writer.settle(ref, name).match_rate == (0.71, 0.8)
