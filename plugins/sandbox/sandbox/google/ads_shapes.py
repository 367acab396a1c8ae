"""The requests of the Google Ads API that the twin serves, in the names of their JSON (google.md 10 to 12)."""

import re
from typing import Any, Literal, TypeVar

import msgspec

from sandbox.google.errors import malformed
from sandbox.google.transcoder import decoded

T = TypeVar("T", bound="Shape")
Number = int | str
ConsentStatus = Literal["UNSPECIFIED", "UNKNOWN", "GRANTED", "DENIED"]


class Shape(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A message; a field that was not sent has its default."""


class Consent(Shape):
    """The two consents of a job."""

    ad_user_data: ConsentStatus = "UNSPECIFIED"
    ad_personalization: ConsentStatus = "UNSPECIFIED"


class Address(Shape):
    """Hashed names with a plain country and postal code."""

    hashed_first_name: str = ""
    hashed_last_name: str = ""
    country_code: str = ""
    postal_code: str = ""
    city: str = ""
    state: str = ""
    hashed_street_address: str = ""


class Identifier(Shape):
    """Exactly one of the identifiers."""

    hashed_email: str | None = None
    hashed_phone_number: str | None = None
    address_info: Address | None = None
    mobile_id: str | None = None
    third_party_user_id: str | None = None
    user_identifier_source: Literal["UNSPECIFIED", "FIRST_PARTY", "THIRD_PARTY"] = "UNSPECIFIED"


class UserData(Shape):
    """One member."""

    user_identifiers: list[Identifier] = []
    consent: Consent | None = None


class UserDataOperation(Shape):
    """Exactly one of the three."""

    create: UserData | None = None
    remove: UserData | None = None
    remove_all: bool | None = None


class Metadata(Shape):
    """The list that a job or an upload fills."""

    user_list: str = ""
    consent: Consent | None = None


class UserDataJob(Shape):
    """What a job is for."""

    type: Literal["CUSTOMER_MATCH_USER_LIST"]
    customer_match_user_list_metadata: Metadata
    external_id: Number = 0


class CreateJob(Shape):
    """`offlineUserDataJobs:create`."""

    job: UserDataJob
    enable_match_rate_range_preview: bool = False
    validate_only: bool = False


class AddOperations(Shape):
    """`offlineUserDataJobs/{job}:addOperations`."""

    operations: list[UserDataOperation]
    enable_partial_failure: bool = False
    enable_warnings: bool = False
    validate_only: bool = False


class RunJob(Shape):
    """`offlineUserDataJobs/{job}:run`."""

    validate_only: bool = False


class UploadUserData(Shape):
    """`:uploadUserData`."""

    operations: list[UserDataOperation]
    customer_match_user_list_metadata: Metadata


class CrmList(Shape):
    """What a list of Customer Match takes."""

    upload_key_type: Literal["CONTACT_INFO", "CRM_ID", "MOBILE_ADVERTISING_ID"] | None = None
    data_source_type: str = "FIRST_PARTY"
    app_id: str = ""


class UserList(Shape):
    """A list as it is made or changed."""

    resource_name: str = ""
    name: str | None = None
    description: str | None = None
    integration_code: str | None = None
    membership_life_span: Number | None = None
    membership_status: Literal["OPEN", "CLOSED"] | None = None
    crm_based_user_list: CrmList | None = None


class UserListOperation(Shape):
    """Exactly one of create, update and remove."""

    create: UserList | None = None
    update: UserList | None = None
    update_mask: str = ""
    remove: str | None = None


class MutateUserLists(Shape):
    """`userLists:mutate`."""

    operations: list[UserListOperation]
    partial_failure: bool = False
    validate_only: bool = False


class ClickConversion(Shape):
    """One click conversion."""

    conversion_action: str = ""
    conversion_date_time: str = ""
    gclid: str | None = None
    gbraid: str | None = None
    wbraid: str | None = None
    conversion_value: float | None = None
    currency_code: str | None = None
    order_id: str | None = None
    user_identifiers: list[Identifier] = []
    consent: Consent | None = None


class UploadClickConversions(Shape):
    """`:uploadClickConversions`."""

    conversions: list[ClickConversion]
    partial_failure: bool = False
    validate_only: bool = False
    job_id: int | None = None


class SearchSettings(Shape):
    """What a search answers besides its rows."""

    return_total_results_count: bool = False
    omit_results: bool = False
    return_summary_row: bool = False


class Search(Shape):
    """`googleAds:search` and `googleAds:searchStream`."""

    query: str = ""
    page_token: str = ""
    page_size: Number | None = None
    validate_only: bool = False
    search_settings: SearchSettings | None = None
    summary_row_setting: str = ""


def read(body: bytes, shape: type[T]) -> T:
    """A request; names in snake_case are taken too. Raises ApiError 400 as the front end does."""
    try:
        return msgspec.convert(_camel(decoded(body)), shape)
    except msgspec.ValidationError as error:
        text = str(error)
        place = (re.search(r"`\$\.?(.*)`$", text) or [""])[-1]
        unknown = re.search("unknown field `(.*?)`", text)
        if unknown is not None:
            raise malformed(f"Unknown name \"{unknown[1][:60]}\" at '{place}': Cannot find field.", place) from None
        raise malformed(f"Invalid value at '{place}'.", place) from None


def _camel(value: Any) -> Any:
    if isinstance(value, list):
        return [_camel(each) for each in value]
    if not isinstance(value, dict):
        return value
    names = {name: re.sub("_([a-z])", lambda letter: letter[1].upper(), name) for name in value}
    if len(set(names.values())) != len(names):
        raise malformed("A field came in both its spellings.")
    return {names[name]: _camel(each) for name, each in value.items() if each is not None}
