"""The settings of an account at the vendor, and of what is to go wrong."""

from typing import Annotated, Literal

from cdp_bridge.sdk import Secret, option
from msgspec import Struct

Call = Literal["check", "discover", "read", "item", "open", "ensure", "write", "settle", "close", "preview"]


class Account(Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """An account at the vendor."""

    token: Annotated[Secret, option("Token", "Made in the vendor's settings, under API")]
    base_url: Annotated[str, option("Base URL", "The vendor's API", pattern="^https?://")]


class Settings(Account, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """An account, and one misdeed in one call."""

    misdeed: Annotated[str, option("Misdeed", "One of `hostile.misdeeds.MISDEEDS`; none: all is well")] = ""
    at: Annotated[Call, option("Call", "Where it is done; `item`: at the second item that a source yields")] = "check"
