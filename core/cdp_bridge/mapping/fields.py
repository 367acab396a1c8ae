"""Lists the fields of people that a mapping can fill; those of conversions are in `events`."""

from cdp_bridge.identity import FIELDS

USER_ID = "user_id"
"""The id of a member in the CDP; required except for conversions."""

IDENTIFIERS = FIELDS
"""In canonical form, before a profile is applied."""
