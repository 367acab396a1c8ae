"""Checks which identity reaches which account, by which path (google.md 2)."""

from collections.abc import Iterator

from sandbox.google.config import Account, Config


def reaches(config: Config, user: str, login_id: str, operating_id: str) -> bool:
    """Whether a user of the login account may act in the operating account: the same one, or one below it."""
    login = config.accounts.get(login_id)
    if login is None or user not in login.users or operating_id not in config.accounts:
        return False
    return login_id == operating_id or login_id in parents(config, operating_id)


def partner_reaches(config: Config, user: str, partner: Account, linked_id: str | None, operating_id: str) -> bool:
    """Whether a data partner is linked with the account, or with the parent of it that the call names."""
    if user not in partner.users or operating_id not in config.accounts:
        return False
    if linked_id is None:
        return operating_id in partner.links
    return linked_id in partner.links and linked_id in parents(config, operating_id)


def parents(config: Config, account_id: str) -> Iterator[str]:
    """The managers above an account, nearest first."""
    seen = {account_id}
    account = config.accounts.get(account_id)
    while account is not None and account.manager is not None and account.manager not in seen:
        yield account.manager
        seen.add(account.manager)
        account = config.accounts.get(account.manager)
