"""Validates JSON by Google's own published types, and by rules that they lack (google.md 13.1).

Requests with members are large and mostly plain. `read_members` takes those that are surely well-formed in a fraction
of the time, and leaves all others to Google's parser; what it takes, that one takes, and reads the same.
"""

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from msgspec import UNSET

from sandbox.google.errors import ApiError, malformed, refuse
from sandbox.google.shapes import Ingestion, Member, Removal

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor, FieldDescriptor

R = TypeVar("R", bound=Removal)
NEEDED = ("Encoding", "AccountType", "TermsOfServiceStatus", "UploadKeyType")
"""Enums whose zero, sent by name or number, is no value."""

MESSAGES = {Ingestion: "IngestAudienceMembersRequest", Removal: "RemoveAudienceMembersRequest"}
_PLACE = re.compile(r'at "?\w+((?:\.\w+|\[\d+\])*)"?[.\s]*(?:\n|$)')
_UNKNOWN = re.compile(r'no field named "([^"]*)"')


def read_members(body: bytes, shape: type[R]) -> R:
    """A request with members. Raises ApiError 400 as the front end does."""
    return _plain(body, shape) or msgspec.convert(parse(body, MESSAGES[shape]), shape)


def _plain(body: bytes, shape: type[R]) -> R | None:
    """The request when it is plain: no escapes, nulls, numbers for enums, old spellings, or a key that comes twice.

    What was decoded holds every colon that was sent only when no key came twice.
    """
    if b"\\" in body:
        return None
    try:
        request = msgspec.json.decode(body, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if msgspec.json.encode(request).count(b":") != body.count(b":"):
        return None
    return request if all(map(_one_of_each, request.audience_members or ())) else None


def _one_of_each(member: Member) -> bool:
    """Whether a member holds one kind of data and each identifier is one, and nothing is in it that needs a parser."""
    composite = member.composite_data
    if composite is UNSET:
        others = (member.user_id_data, member.pair_data, member.ppid_data, member.google_user_id_data)
        sent = (member.user_data, member.mobile_data, member.partner_provided_id_data, *others)
        if sum(data is not UNSET for data in sent) > 1:
            return False
        user = member.user_data
    else:
        user = composite.user_data
        if composite.ip_data is not UNSET or _others(member):
            return False
    for each in (user.user_identifiers or ()) if user is not UNSET else ():
        if (each.email_address is not UNSET) + (each.phone_number is not UNSET) + (each.address is not UNSET) > 1:
            return False
    return True


def _others(member: Member) -> bool:
    return not (
        member.user_data is UNSET
        and member.mobile_data is UNSET
        and member.user_id_data is UNSET
        and member.pair_data is UNSET
        and member.ppid_data is UNSET
        and member.google_user_id_data is UNSET
        and member.partner_provided_id_data is UNSET
    )


def parse(body: bytes, message: str) -> dict[str, Any]:
    """A request as JSON in canonical names, unset fields left out; `message` names its type in Google's package.

    Raises ApiError 400: the front end's for what Google's parser refuses, and INVALID_ENUM_VALUE for a number or an
    unspecified value that is none.
    """
    # Google's package takes a second to import: only requests that need it pay.
    from google.ads.datamanager_v1 import types
    from google.protobuf import json_format

    kind = getattr(types, message)
    made = kind.pb(kind())
    sent = decoded(body)
    try:
        json_format.ParseDict(sent, made)
    except (json_format.ParseError, ValueError, TypeError, RecursionError) as error:
        raise _refused(str(error)) from None
    for field, value, place in _fields(made.DESCRIPTOR, sent, ""):
        _check_enum(field, value, place)
    found: dict[str, Any] = json_format.MessageToDict(made)
    if "encryptionInfo" in found:
        refuse("encryption_info", "INVALID_ARGUMENT", "Encrypted values are not served by this twin.")
    return found


def decoded(body: bytes) -> dict[str, Any]:
    """A JSON object in which no key comes twice. Raises ApiError 400 as the front end does."""
    try:
        sent = json.loads(body, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise malformed("Expected a JSON object with each key once.") from None
    if not isinstance(sent, dict):
        raise malformed("Root element must be a message.")
    return sent


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _fields(message: "Descriptor", sent: dict[str, Any], place: str) -> "Iterator[tuple[FieldDescriptor, Any, str]]":
    """Every enum that was sent, with its place. Raises ApiError for a field that came in both its spellings."""
    seen = set()
    for key, value in sent.items():
        field = message.fields_by_name.get(key) or message.fields_by_camelcase_name[key]
        if field.name in seen:
            raise malformed(f"Field '{place}{field.name}' came twice.", place + field.name)
        seen.add(field.name)
        for number, each in enumerate(value if isinstance(value, list) else [value]):
            inside = f"{place}{field.name}[{number}]" if isinstance(value, list) else place + field.name
            if field.enum_type is not None:
                yield field, each, inside
            elif field.message_type is not None and isinstance(each, dict):
                yield from _fields(field.message_type, each, inside + ".")


def _check_enum(field: "FieldDescriptor", value: Any, place: str) -> None:
    enum = field.enum_type
    assert enum is not None
    if isinstance(value, bool | float) or (isinstance(value, str) and value.lstrip("-").isdigit()):
        raise malformed(f"Invalid value at '{place}'.", place)
    known = enum.values_by_name.get(value) if isinstance(value, str) else enum.values_by_number.get(value)
    if value is not None and (known is None or (known.number == 0 and enum.name in NEEDED)):
        refuse(place, "INVALID_ENUM_VALUE", "The value is not one of the enum.")


def _refused(text: str) -> ApiError:
    """The front end's wording of what Google's parser said, without the value."""
    at = _PLACE.search(text)
    place = re.sub("[A-Z]", lambda letter: "_" + letter[0].lower(), at[1].lstrip(".")) if at else ""
    unknown = _UNKNOWN.search(text)
    if unknown is None:
        return malformed(f"Invalid value at '{place}'.", place)
    where = f" at '{place}'" if place else ""
    return malformed(f'Unknown name "{unknown[1][:60]}"{where}: Cannot find field.', place)
