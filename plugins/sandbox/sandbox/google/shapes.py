"""The requests of the Data Manager API that carry members, in the names of their JSON (google.md 4)."""

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from sandbox.google.config import AccountType

Text = str | UnsetType
Texts = list[str] | UnsetType
Consented = Literal["CONSENT_STATUS_UNSPECIFIED", "CONSENT_GRANTED", "CONSENT_DENIED"] | UnsetType


class Shape(Struct, rename="camel", forbid_unknown_fields=True, gc=False):
    """A message; a field that was not sent is UNSET."""


class Consent(Shape):
    """The two consents of a member or of a request."""

    ad_user_data: Consented = UNSET
    ad_personalization: Consented = UNSET


class Address(Shape):
    """Hashed names with a plain region and postal code; the other three are of Google Analytics only."""

    given_name: Text = UNSET
    family_name: Text = UNSET
    region_code: Text = UNSET
    postal_code: Text = UNSET
    address_line: Text = UNSET
    city: Text = UNSET
    administrative_area: Text = UNSET


class Identifier(Shape):
    """Exactly one of the three."""

    email_address: Text = UNSET
    phone_number: Text = UNSET
    address: Address | UnsetType = UNSET


class UserData(Shape):
    """The identifiers of one person."""

    user_identifiers: list[Identifier] | UnsetType = UNSET


class IpData(Shape):
    """An IP address and when it was seen."""

    ip_address: Text = UNSET
    observe_start_time: Text = UNSET
    observe_end_time: Text = UNSET


class CompositeData(Shape):
    """User data with IP addresses."""

    user_data: UserData | UnsetType = UNSET
    ip_data: list[IpData] | UnsetType = UNSET


class MobileData(Shape):
    """Mobile ad ids."""

    mobile_ids: Texts = UNSET


class UserIdData(Shape):
    """The advertiser's own id."""

    user_id: Text = UNSET


class PairData(Shape):
    """Ids of PAIR."""

    pair_ids: Texts = UNSET


class PpidData(Shape):
    """Publisher-provided ids."""

    ppids: Texts = UNSET


class GoogleUserIdData(Shape):
    """Google's own ids."""

    google_user_ids: Texts = UNSET


class PartnerProvidedIdData(Shape):
    """A partner's ids."""

    partner_provided_ids: Texts = UNSET


class Member(Shape):
    """One audience member: exactly one kind of data."""

    destination_references: Texts = UNSET
    composite_data: CompositeData | UnsetType = UNSET
    user_data: UserData | UnsetType = UNSET
    mobile_data: MobileData | UnsetType = UNSET
    user_id_data: UserIdData | UnsetType = UNSET
    pair_data: PairData | UnsetType = UNSET
    ppid_data: PpidData | UnsetType = UNSET
    google_user_id_data: GoogleUserIdData | UnsetType = UNSET
    partner_provided_id_data: PartnerProvidedIdData | UnsetType = UNSET
    consent: Consent | UnsetType = UNSET


class ProductAccount(Shape):
    """An account; `product` is the older name of its type."""

    product: Literal["GOOGLE_ADS", "DISPLAY_VIDEO_PARTNER", "DISPLAY_VIDEO_ADVERTISER", "DATA_PARTNER"] | UnsetType = (
        UNSET
    )
    account_id: Text = UNSET
    account_type: AccountType | UnsetType = UNSET


class Destination(Shape):
    """Where a request goes, and the way to it."""

    reference: Text = UNSET
    login_account: ProductAccount | UnsetType = UNSET
    linked_account: ProductAccount | UnsetType = UNSET
    operating_account: ProductAccount | UnsetType = UNSET
    product_destination_id: Text = UNSET


class Terms(Shape):
    """Whether the terms of Customer Match were accepted."""

    customer_match_terms_of_service_status: Literal["ACCEPTED", "REJECTED"] | UnsetType = UNSET


Encoding = Literal["HEX", "BASE64"] | UnsetType


class Removal(Shape):
    """`audienceMembers:remove`."""

    destinations: list[Destination] | UnsetType = UNSET
    audience_members: list[Member] | UnsetType = UNSET
    validate_only: bool | UnsetType = UNSET
    encoding: Encoding = UNSET


class Ingestion(Removal):
    """`audienceMembers:ingest`."""

    consent: Consent | UnsetType = UNSET
    terms_of_service: Terms | UnsetType = UNSET
