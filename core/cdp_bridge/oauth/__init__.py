"""Accounts that a person connects by signing in at the platform: OAuth 2.0, authorization code with PKCE."""

from cdp_bridge.oauth.grants import SCHEME, Grants
from cdp_bridge.oauth.sign_ins import Account, SignIns

__all__ = ["SCHEME", "Account", "Grants", "SignIns"]
