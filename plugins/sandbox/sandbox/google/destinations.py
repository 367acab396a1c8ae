"""Validates the destinations of a request, and whether the caller reaches them (google.md 2)."""

from collections.abc import Sequence

from msgspec import UNSET, UnsetType

from sandbox.google.access import partner_reaches, reaches
from sandbox.google.config import Config, Token
from sandbox.google.errors import Violations, no_access
from sandbox.google.shapes import Destination, ProductAccount
from sandbox.google.state import Twin, UserList

MAX_DESTINATIONS = 10


def check(destinations: Sequence[Destination], found: Violations) -> None:
    """Note what is wrong with destinations before anybody looks at accounts and lists."""
    if not destinations:
        found.add("destinations", "REQUIRED_FIELD_MISSING", "At least one destination is required.")
    if len(destinations) > MAX_DESTINATIONS:
        found.add("destinations", "TOO_MANY_DESTINATIONS", f"At most {MAX_DESTINATIONS} destinations are allowed.")
    references = [each.reference for each in destinations if each.reference]
    if len(set(references)) != len(references):
        found.add("destinations", "DUPLICATE_DESTINATION_REFERENCE", "References must differ.")
    for number, each in enumerate(destinations):
        place = f"destinations[{number}]"
        _check_account(each.operating_account, f"{place}.operating_account", found, required=True)
        _check_account(each.login_account, f"{place}.login_account", found)
        _check_account(each.linked_account, f"{place}.linked_account", found)
        if each.linked_account is not UNSET and _type(each.login_account) != "DATA_PARTNER":
            reason = "LINKED_ACCOUNT_ONLY_ALLOWED_WITH_DATA_PARTNER_LOGIN_ACCOUNT"
            found.add(f"{place}.linked_account", reason, "A linked account needs a data partner as login account.")


def check_references(references: Sequence[str], destinations: Sequence[Destination], place: str, f: Violations) -> None:
    """Note references of a member or an event that name no destination."""
    if not set(references) <= {each.reference for each in destinations}:
        f.add(f"{place}.destination_references", "INVALID_DESTINATION", "The reference names no destination.")


def enter(twin: Twin, token: Token, destinations: Sequence[Destination]) -> None:
    """Raises ApiError 403 when the caller does not reach one of them, 400 when its kind of account is another."""
    found = Violations()
    for number, each in enumerate(destinations):
        operating_id, config = _id(each.operating_account), twin.config
        if not _reaches(config, token.user, each, operating_id):
            raise no_access()
        account = config.accounts[operating_id]
        place = f"destinations[{number}].operating_account"
        if _type(each.operating_account) != account.type:
            found.add(place, "DESTINATION_ACCOUNT_TYPE_MISMATCH", "The account is of another type.")
        if not account.eu_declaration:
            reason = "EU_POLITICAL_ADVERTISING_DECLARATION_REQUIRED"
            found.add(place, reason, "The account has not made the declaration on political ads in the EU.")
        if not account.eligible:
            reason = "ADVERTISER_NOT_ALLOWLISTED_FOR_UPLOADED_DATA"
            found.add(place, reason, "Customer Match is not open to the account.")
    found.check()


def lists(twin: Twin, destinations: Sequence[Destination]) -> list[UserList]:
    """The user list of each destination. Raises ApiError INVALID_USER_LIST_ID: malformed, unknown, closed."""
    found, reached = Violations(), []
    for number, each in enumerate(destinations):
        place = f"destinations[{number}].product_destination_id"
        user_list = twin.lists.get(each.product_destination_id or "")
        if not each.product_destination_id:
            found.add(place, "REQUIRED_FIELD_MISSING", "The id of a user list is required.")
        elif user_list is None or user_list.deleted or user_list.account_id != _id(each.operating_account):
            found.add(place, "INVALID_USER_LIST_ID", "The account has no such user list.")
        elif user_list.fields.get("membershipStatus") == "CLOSED":
            found.add(place, "INVALID_USER_LIST_ID", "The user list is closed.")
        else:
            reached.append(user_list)
    found.check()
    return reached


def _check_account(
    account: ProductAccount | UnsetType, place: str, found: Violations, *, required: bool = False
) -> None:
    if account is UNSET:
        if required:
            found.add(place, "REQUIRED_FIELD_MISSING", "The account is required.")
        return
    if not account.account_id:
        found.add(f"{place}.account_id", "REQUIRED_FIELD_MISSING", "The id of the account is required.")
    elif not (account.account_id.isascii() and account.account_id.isdecimal()):
        found.add(f"{place}.account_id", "INVALID_NUMBER_FORMAT", "The id of an account is digits only.")
    if account.account_type is UNSET and account.product is UNSET:
        found.add(f"{place}.account_type", "REQUIRED_FIELD_MISSING", "The type of the account is required.")
    elif UNSET not in (account.account_type, account.product) and account.account_type != account.product:
        found.add(f"{place}.product", "INVALID_ARGUMENT", "Product and account type differ.")


def _reaches(config: Config, user: str, each: Destination, operating_id: str) -> bool:
    login_id = operating_id if each.login_account is UNSET else _id(each.login_account)
    login = config.accounts.get(login_id)
    if login is None or (each.login_account is not UNSET and login.type != _type(each.login_account)):
        return False
    if login.type == "DATA_PARTNER":
        linked_id = None if each.linked_account is UNSET else _id(each.linked_account)
        return partner_reaches(config, user, login, linked_id, operating_id)
    return reaches(config, user, login_id, operating_id)


def _id(account: ProductAccount | UnsetType) -> str:
    return "" if account is UNSET else account.account_id or ""


def _type(account: ProductAccount | UnsetType) -> str | None:
    if account is UNSET:
        return None
    return account.account_type or account.product or None
