"""`check`: each probe fails with its remedy, and nothing raises."""

from typing import Any

import pytest
from destination_google import CONNECTOR, bridge_connectors, destination

from .conftest import Account

DATA_MANAGER, ADWORDS = (f"https://www.googleapis.com/auth/{name}" for name in ("datamanager", "adwords"))
ALL = ["credentials", "project", "scope", "account", "terms", "lists"]


def findings(account: Any, **changes: Any) -> Any:
    return destination.check(account.settings(**changes))


def test_all_is_well_and_nothing_is_made(account: Account) -> None:
    probes = findings(account)
    assert [(probe.name, probe.passed) for probe in probes] == [(name, True) for name in ALL]
    assert account.audiences() == []


@pytest.mark.parametrize("token", [{"expires_at": 1}, {"calls_left": 0}])
def test_row_01_a_dead_token(account: Account, token: Any) -> None:
    account.configure_token(**token)
    (probe,) = findings(account)
    assert (probe.name, probe.passed) == ("credentials", False)
    assert "Connect the account again" in probe.remedy


def test_an_unknown_token_is_not_quoted(account: Account) -> None:
    (probe,) = findings(account, credentials={"type": "access_token", "access_token": "somebody-elses-token"})
    assert (probe.name, probe.passed) == ("credentials", False)
    assert "somebody" not in probe.detail + probe.remedy


@pytest.mark.parametrize("reason", ["SERVICE_DISABLED", "USER_PROJECT_DENIED"])
def test_a_project_that_may_not(account: Account, reason: str) -> None:
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}]
    error = {"code": 403, "status": "PERMISSION_DENIED", "message": "x", "details": details}
    account.fault("status", "userLists", status=403, body={"error": error}, times=None)
    token, project = findings(account)
    assert (token.passed, project.name, project.passed) == (True, "project", False)
    assert project.remedy


def test_row_02_a_token_without_the_scope(account: Account) -> None:
    account.configure_token(scopes=[ADWORDS])
    probe = findings(account)[-1]
    assert (probe.name, probe.passed) == ("scope", False)
    assert "agree to all" in probe.remedy


def test_row_03_an_account_that_the_caller_does_not_reach(account: Account) -> None:
    probe = findings(account, operating_account={"account_id": "5556667777"})[-1]
    assert (probe.name, probe.passed) == ("account", False)
    assert "user of the login account" in probe.remedy


def test_terms_that_nobody_accepted(account: Account) -> None:
    probe = findings(account, customer_match_terms=False)[-1]
    assert (probe.name, probe.passed) == ("terms", False)
    assert "customer_match_terms to true" in probe.remedy


def test_row_33_lists_that_may_not_be_made(account: Account) -> None:
    account.configure_account(eu_declaration=False)
    probe = findings(account)[-1]
    assert (probe.name, probe.passed) == ("lists", False)
    assert "declaration" in probe.remedy


def test_the_quota_project_goes_with_each_call(account: Account) -> None:
    with account.open(quota_project="acme-ads") as writer:
        response = writer._client.send("GET", f"/v1/accountTypes/GOOGLE_ADS/accounts/{account.number}/userLists")
    assert response.request.headers["x-goog-user-project"] == "acme-ads"


@pytest.mark.parametrize("kind", ["status", "reset", "broken_json", "redirect"])
def test_an_unwell_google_is_reported_with_a_remedy(account: Account, kind: Any) -> None:
    account.fault(kind, times=None)
    (probe,) = findings(account)
    assert not probe.passed
    assert probe.remedy


def test_nobody_listens(account: Account) -> None:
    (probe,) = findings(account, base_url="http://127.0.0.1:9")
    assert (probe.passed, "check the host" in probe.remedy) == (False, True)


def test_a_wrong_path(account: Account) -> None:
    (probe,) = findings(account, base_url=f"{account.url}/wrong/path")
    assert not probe.passed
    assert "base_url" in probe.remedy


def test_discover_needs_no_network_and_says_when_google_forgets(account: Account) -> None:
    catalog = destination.discover(account.settings(base_url="http://127.0.0.1:9", membership_days=30))
    audience = catalog.streams[0]
    assert (audience.name, audience.profile, audience.operations) == ("audience", "google", ("add", "remove"))
    assert audience.matching_keys == ("email", "phone", "first_name", "last_name", "country", "postal_code")
    assert audience.expires == 30 * 86_400


def test_the_package_announces_its_connector() -> None:
    assert list(bridge_connectors()) == [CONNECTOR]
    assert (CONNECTOR.name, CONNECTOR.kind, CONNECTOR.delivery) == ("destination-google", "destination", "idempotent")
