"""The OmniAds fields that a mapping can fill."""

USER_ID = "user_id"
"""The member's identity in the CDP; every list of mappings fills it."""

IDENTIFIERS = (
    "email",
    "phone",
    "first_name",
    "last_name",
    "date_of_birth",
    "gender",
    "city",
    "region",
    "postal_code",
    "country",
    "mobile_ad_id",
    "external_id",
)
"""In canonical form, before a profile is applied: the fields of `cdp_bridge.identity`."""
