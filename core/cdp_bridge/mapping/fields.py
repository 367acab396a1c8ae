"""The OmniAds fields that a mapping can fill; those of conversions are in `events`."""

from cdp_bridge.identity import FIELDS

USER_ID = "user_id"
"""The member's identity in the CDP; every list of mappings fills it that is not about conversions."""

IDENTIFIERS = FIELDS
"""In canonical form, before a profile is applied."""
