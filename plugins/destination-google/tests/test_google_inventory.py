"""What the caller reaches: the account, and its user lists with size and state."""

import pytest
from cdp_bridge.sdk import ConfigError
from destination_google import destination

from .conftest import Account


@pytest.mark.parametrize("count", [0, 1, 3])
def test_lists_with_size_and_state(account: Account, count: int) -> None:
    with account.open() as writer:
        ids = {writer.ensure(account.audience(f"m{number}", name=f"A {number}")).id for number in range(count)}
    found = destination.inventory(account.settings())
    assert found.accounts == {account.number: ""}
    assert {one.id for one in found.audiences} == ids
    assert all(one.name.startswith("A ") and one.status and one.account == account.number for one in found.audiences)


def test_over_the_google_ads_api_all_accounts_that_can_be_reached(account: Account) -> None:
    answer = {"resourceNames": ["customers/1112223333", f"customers/{account.number}"]}
    account.fault("status", "listAccessibleCustomers", "GET", status=200, body=answer)
    found = destination.inventory(account.settings(api="google-ads"))
    assert found.accounts == {account.number: "", "1112223333": ""}


def test_over_the_google_ads_api_the_twin_names_the_account(account: Account) -> None:
    assert account.number in destination.inventory(account.settings(api="google-ads")).accounts


def test_lists_of_all_pages(account: Account) -> None:
    for page in ({"userLists": [{"id": "1"}], "nextPageToken": "more"}, {"userLists": [{"id": "2"}]}):
        account.fault("status", "userLists", "GET", status=200, body=page)
    assert [one.id for one in destination.inventory(account.settings()).audiences] == ["1", "2"]


def test_a_token_that_is_wrong_says_what_to_do(account: Account) -> None:
    with pytest.raises(ConfigError, match=r"token.*Connect the account again"):
        destination.inventory(account.settings(credentials={"type": "access_token", "access_token": "token-of-nobody"}))
