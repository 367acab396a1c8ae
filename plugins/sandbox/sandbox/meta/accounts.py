"""Ad accounts: their fields, and whether the custom audience terms were accepted (contract 3.2)."""

from typing import Any

from sandbox.meta.calls import Call
from sandbox.meta.config import Token
from sandbox.meta.errors import invalid
from sandbox.meta.paging import page
from sandbox.meta.state import Twin


def read(twin: Twin, call: Call, account_id: str) -> dict[str, Any]:
    """`GET /act_{id}`; terms that were not accepted are missing from the two maps."""
    account = twin.config.accounts[account_id]
    known: dict[str, Any] = {
        "id": f"act_{account_id}",
        "account_id": account_id,
        "account_status": 1,
        "name": account.name,
        "currency": account.currency,
        "timezone_name": account.timezone_name,
        "tos_accepted": {"custom_audience_tos": 1} if account.terms_accepted else {},
        "user_tos_accepted": {"custom_audience_tos": 1} if account.user_terms_accepted else {},
    }
    for name in call.fields():
        if name not in known:
            raise invalid(f"Tried accessing nonexisting field ({name[:60]}) on node type (AdAccount)")
    return {name: known[name] for name in call.fields()} | {"id": known["id"]}


def listed(twin: Twin, call: Call, token: Token) -> dict[str, Any]:
    """`GET /me/adaccounts`: those that the token's user may see."""
    seen = [name for name in twin.config.accounts if token.accounts is None or name in token.accounts]
    return page(twin, call, [read(twin, call, name) for name in seen])
