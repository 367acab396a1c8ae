"""Settings that break a rule; light to import, as settings must be."""

from typing import Annotated

from cdp_bridge.sdk import Secret, option
from msgspec import Struct

from hostile.settings import Account


class OpenAccount(Struct, kw_only=True, frozen=True):
    """Takes misspelt settings without a word."""

    token: Annotated[Secret, option("Token")]
    base_url: Annotated[str, option("Base URL")]


class UntitledAccount(Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """Leaves the form without a label."""

    token: Annotated[Secret, option("Token")]
    base_url: str


class PlainAccount(Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """Has a credential that everybody may print."""

    token: Annotated[str, option("Token")]
    base_url: Annotated[str, option("Base URL")]


class ContactAccount(Account, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """Has somebody's address that everybody may print."""

    alert_email: Annotated[str, option("Alert e-mail")] = ""


class NarrowAccount(Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """Refuses what the version before took."""

    token: Annotated[Secret, option("Token")]
    base_url: Annotated[str, option("Base URL", pattern="^https?://[^/]+$")]
