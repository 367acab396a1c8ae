"""`check`: each probe fails with its remedy, and nothing raises."""

from typing import Any

import pytest
from destination_tiktok import CONNECTOR, bridge_connectors, destination

from .conftest import Account


def findings(account: Any, **changes: Any) -> Any:
    return destination.check(account.settings(**changes))


@pytest.mark.parametrize("upload", ["streaming", "file"])
def test_all_is_well(account: Account, upload: Any) -> None:
    probes = findings(account, upload=upload)
    assert [(probe.name, probe.passed) for probe in probes] == [
        ("token", True),
        ("advertiser", True),
        ("scopes", True),
        ("quota", True),
    ]
    assert probes[-1].detail == "0 of 400 audiences are used"


@pytest.mark.parametrize("token", [{"calls_left": 0}, {"expires_at": 1}])
def test_rows_04_and_05_a_dead_token(account: Account, token: Any) -> None:
    account.configure_token(**token)
    (probe,) = findings(account)
    assert (probe.name, probe.passed) == ("token", False)
    assert "Sign in again at TikTok" in probe.remedy
    assert "set access_token" in probe.remedy


def test_a_token_that_is_revoked_while_we_look(account: Account) -> None:
    account.configure_token(calls_left=2)
    probes = findings(account)
    assert [(probe.name, probe.passed) for probe in probes] == [
        ("token", True),
        ("advertiser", True),
        ("scopes", False),
    ]
    assert "set access_token" in probes[-1].remedy


def test_an_unknown_token_is_not_quoted(account: Account) -> None:
    (probe,) = findings(account, access_token="somebody-elses-token")
    assert (probe.name, probe.passed) == ("token", False)
    assert "somebody" not in probe.detail + probe.remedy


def test_row_06_an_advertiser_that_the_token_cannot_see(account: Account) -> None:
    token, invisible = findings(account, advertiser_id="7000000000000000009")
    assert (token.passed, invisible.name, invisible.passed) == (True, "advertiser", False)
    assert "Check advertiser_id" in invisible.remedy


@pytest.mark.parametrize("scopes", [[], [4], [5, 8]])
def test_row_07_a_token_without_the_scope(account: Account, scopes: Any) -> None:
    account.configure_token(scopes=scopes)
    probe = findings(account)[-1]
    assert (probe.name, probe.passed) == ("scopes", False)
    assert "grant Audience Management" in probe.remedy


@pytest.mark.parametrize("code", [40119, 40124, 40125])
def test_an_app_that_is_not_approved(account: Account, code: Any) -> None:
    account.fails(code, "/list/", times=None)
    probe = findings(account)[-1]
    assert (probe.name, probe.passed) == ("scopes", False)
    assert "grant Audience Management" in probe.remedy


@pytest.mark.parametrize(
    ("code", "remedy"),
    [(40101, "Check app_id and app_secret"), (41000, "address of this host"), (41001, "Update the connector")],
)
def test_what_a_new_token_would_not_mend(account: Account, code: Any, remedy: Any) -> None:
    account.fails(code, "/list/", times=None)
    (probe,) = findings(account)
    assert remedy in probe.remedy


def test_row_24_a_full_advertiser(account: Account) -> None:
    page = {"list": [], "page_info": {"total_number": 400, "total_page": 400}}
    account.fault("status", "/list/", status=200, body={"code": 0, "data": page}, times=None)
    probe = findings(account)[-1]
    assert (probe.name, probe.passed, probe.remedy) == ("quota", False, "Delete unused ones")


@pytest.mark.parametrize("kind", ["status", "reset", "broken_json", "redirect"])
def test_an_unwell_tiktok_is_reported_with_a_remedy(account: Account, kind: Any) -> None:
    account.fault(kind, times=None)
    (probe,) = findings(account)
    assert not probe.passed
    assert probe.remedy


def test_nobody_listens(account: Account) -> None:
    (probe,) = findings(account, base_url="http://127.0.0.1:9")
    assert (probe.passed, "check the host" in probe.remedy) == (False, True)


def test_row_01_a_wrong_path(account: Account) -> None:
    (probe,) = findings(account, base_url=f"{account.url}/wrong/path")
    assert (probe.passed, probe.remedy) == (False, "Check base_url")


def test_discover_needs_no_network(account: Account) -> None:
    audience = destination.discover(account.settings(base_url="http://127.0.0.1:9")).stream("audience")
    assert audience is not None
    assert (audience.profile, audience.operations) == ("tiktok-audience", ("add", "remove"))
    assert audience.matching_keys == ("email", "phone", "mobile_ad_id")


def test_the_package_announces_its_connector() -> None:
    assert list(bridge_connectors()) == [CONNECTOR]
    assert (CONNECTOR.name, CONNECTOR.kind, CONNECTOR.delivery) == ("destination-tiktok", "destination", "idempotent")
