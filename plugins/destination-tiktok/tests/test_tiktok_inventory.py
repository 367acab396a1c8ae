"""What a token reaches: the advertiser, and its audiences with size and state."""

import pytest
from cdp_bridge.errors import ConfigError
from destination_tiktok import destination

from .conftest import Account


@pytest.mark.parametrize("count", [0, 1, 120])
def test_audiences_of_all_pages_with_size_and_state(account: Account, count: int) -> None:
    with account.open() as writer:
        ids = {writer.ensure(account.audience(f"m{number}", name=f"A {number}")).id for number in range(count)}
    found = destination.inventory(account.settings())
    assert found.accounts == {account.number: ""}
    assert {one.id for one in found.audiences} == ids
    assert all(one.name.startswith("A ") and one.status and one.account == account.number for one in found.audiences)


def test_a_token_that_is_wrong_says_what_to_do(account: Account) -> None:
    with pytest.raises(ConfigError, match="token"):
        destination.inventory(account.settings(access_token="token-of-nobody"))
