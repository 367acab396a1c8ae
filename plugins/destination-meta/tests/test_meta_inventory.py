"""What a token reaches: ad accounts, and the audiences of one with size and state."""

import pytest
from cdp_bridge.errors import ConfigError
from cdp_bridge.testing import numbered
from destination_meta import destination
from facebook_business.adobjects.user import User
from facebook_business.api import FacebookAdsApi

from .conftest import Account


def test_accounts_and_audiences_with_size_and_state(account: Account, batch: numbered.MakeBatch) -> None:
    with account.open() as writer:
        ref = writer.ensure(account.audience())
        writer.write(batch(ref, range(3)))
    account.call(
        "POST",
        f"act_{account.number}/customaudiences",
        name="Of others",
        subtype="CUSTOM",
        customer_file_source="USER_PROVIDED_ONLY",
    )
    account.configure(empty_first_page=True)
    found = destination.inventory(account.settings())
    assert found.accounts == {f"act_{account.number}": "Test"}
    assert sorted(one.name for one in found.audiences) == ["Of others", "VIP"]
    (mine,) = (one for one in found.audiences if one.id == ref.id)
    assert (mine.account, mine.lower_bound, mine.upper_bound) == (f"act_{account.number}", 0, 100)
    assert mine.status.startswith(("200 ", "300 ", "411 ", "441 ")), mine.status


def test_a_token_that_is_wrong_says_what_to_do(account: Account) -> None:
    with pytest.raises(ConfigError, match="access token"):
        destination.inventory(account.settings(access_token="token-of-nobody"))


def test_metas_own_sdk_lists_the_same_accounts(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("facebook_business.session.FacebookSession.GRAPH", account.url)
    api = FacebookAdsApi.init(access_token=account.token, api_version="v26.0")
    listed = User("me", api=api).get_ad_accounts(fields=["id", "name"])
    assert [one["id"] for one in listed] == [f"act_{account.number}"]
