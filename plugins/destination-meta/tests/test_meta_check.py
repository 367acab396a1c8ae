"""`check`: each probe fails with its remedy, and nothing raises."""

from typing import Any

import pytest
from destination_meta import CONNECTOR, bridge_connectors, destination

from .conftest import Account


def findings(account: Any, **changes: Any) -> Any:
    return destination.check(account.settings(**changes))


def test_all_is_well(account: Account) -> None:
    probes = findings(account)
    assert [(probe.name, probe.passed) for probe in probes] == [
        ("token", True),
        ("account", True),
        ("terms", True),
        ("quota", True),
    ]
    assert probes[-1].detail == "0 of 500 custom audiences are used"


@pytest.mark.parametrize(
    ("token", "remedy"),
    [({"expires_at": 1}, "new system user token"), ({"calls_left": 0}, "new system user token")],
)
def test_a_dead_token(account: Account, token: Any, remedy: Any) -> None:
    account.configure_token(**token)
    (probe,) = findings(account)
    assert (probe.name, probe.passed) == ("token", False)
    assert remedy in probe.remedy


def test_an_unknown_token_is_not_quoted(account: Account) -> None:
    (probe,) = findings(account, access_token="somebody-elses-token")
    assert (probe.name, probe.passed) == ("token", False)
    assert "somebody" not in probe.detail + probe.remedy


def test_row_06_an_account_that_the_token_cannot_see(account: Account) -> None:
    token, invisible = findings(account, ad_account_id="act_999999")
    assert (token.passed, invisible.name, invisible.passed) == (True, "account", False)
    assert "assign the ad account" in invisible.remedy


@pytest.mark.parametrize("terms", ["terms_accepted", "user_terms_accepted"])
def test_terms_that_nobody_accepted_with_the_link(account: Account, terms: Any) -> None:
    account.configure_account(**{terms: False})
    probe = findings(account)[-1]
    assert (probe.name, probe.passed) == ("terms", False)
    assert f"https://business.facebook.com/ads/manage/customaudiences/tos/?act={account.number}" in probe.remedy


def test_a_full_account(account: Account) -> None:
    fields = {"name": "x", "subtype": "CUSTOM", "customer_file_source": "USER_PROVIDED_ONLY"}
    for _ in range(500):
        account.call("POST", f"act_{account.number}/customaudiences", **fields)
    probe = findings(account)[-1]
    assert (probe.name, probe.passed, probe.remedy) == ("quota", False, "Delete unused audiences")


def test_a_missing_proof(account: Account) -> None:
    account.configure(app={"demand_proof": True})
    (probe,) = findings(account)
    assert "Set app_secret" in probe.remedy
    assert all(probe.passed for probe in findings(account, app_secret="sandbox-secret"))


@pytest.mark.parametrize("kind", ["status", "reset", "broken_json", "redirect"])
def test_an_unwell_meta_is_reported_with_a_remedy(account: Account, kind: Any) -> None:
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


def test_discover_needs_no_network(account: Account) -> None:
    (audience, _) = destination.discover(account.settings(base_url="http://127.0.0.1:9")).streams
    assert (audience.name, audience.profile, audience.operations) == ("audience", "meta", ("add", "remove"))
    assert "email" in audience.matching_keys


def test_the_package_announces_its_connector() -> None:
    assert list(bridge_connectors()) == [CONNECTOR]
    assert (CONNECTOR.name, CONNECTOR.kind, CONNECTOR.delivery) == ("destination-meta", "destination", "idempotent")
