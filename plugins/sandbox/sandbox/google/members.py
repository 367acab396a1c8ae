"""Audience members: ingest, remove, remove all (google.md 4.1 to 4.3)."""

import uuid
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from sandbox.google import destinations
from sandbox.google.calls import Call
from sandbox.google.errors import Violations, refuse
from sandbox.google.identifiers import KEY_TYPES, Reader, check_addresses_of_net, kind_of, plain_links
from sandbox.google.shapes import Consent, Destination, Ingestion, Member, Removal
from sandbox.google.state import Kind, Row, Submission, Target, Twin, UserList
from sandbox.google.times import seconds
from sandbox.google.transcoder import parse, read_members

MAX_MEMBERS = 10_000


def ingest(twin: Twin, call: Call) -> dict[str, Any]:
    """`POST /v1/audienceMembers:ingest`."""
    request, found = read_members(call.body, Ingestion), Violations()
    kind, rows = _checked(request, request.consent, found)
    terms = request.terms_of_service
    accepted = terms is not UNSET and terms.customer_match_terms_of_service_status == "ACCEPTED"
    if kind in ("composite", "user", "mobile") and not accepted:
        place = "terms_of_service.customer_match_terms_of_service_status"
        found.add(place, "TERMS_AND_CONDITIONS_NOT_SIGNED", "The terms of Customer Match must be accepted.")
    return _submit(twin, call, "ingest", request, (kind, rows), found)


def remove(twin: Twin, call: Call) -> dict[str, Any]:
    """`POST /v1/audienceMembers:remove`."""
    request, found = read_members(call.body, Removal), Violations()
    return _submit(twin, call, "remove", request, _checked(request, UNSET, found), found)


def remove_all(twin: Twin, call: Call) -> dict[str, Any]:
    """`POST /v1/audienceMembers:removeAll`."""
    sent, found = parse(call.body, "RemoveAllAudienceMembersRequest"), Violations()
    wanted = msgspec.convert(sent.get("destinations", []), list[Destination])
    as_of = seconds(sent["removeAsOfTime"]) if "removeAsOfTime" in sent else None
    if as_of is not None and as_of > twin.clock.now():
        found.add("remove_as_of_time", "INVALID_REMOVE_AS_OF_TIME", "The time must not be in the future.")
    lists = _entered(twin, call, wanted, found)
    if sent.get("validateOnly"):
        return {}
    targets = [Target(msgspec.to_builtins(one), each, []) for one, each in zip(wanted, lists, strict=True)]
    return accept(twin, "remove_all", "", targets, as_of=as_of)


def _entered(twin: Twin, call: Call, wanted: Sequence[Destination], found: Violations) -> list[UserList]:
    destinations.check(wanted, found)
    for number, each in enumerate(wanted):
        if each.product_destination_id and not _is_number(each.product_destination_id):
            place = f"destinations[{number}].product_destination_id"
            found.add(place, "INVALID_USER_LIST_ID", "The id of a user list is a number.")
    found.check()
    destinations.enter(twin, call.token, wanted)
    return destinations.lists(twin, wanted)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal()


def _checked(request: Removal, consent: Consent | UnsetType, found: Violations) -> tuple[str, list[Row]]:
    """The kind of data of a request and its rows, in the order of its members."""
    members = request.audience_members or ()
    if not members:
        found.add("audience_members", "REQUIRED_FIELD_MISSING", "At least one audience member is required.")
    if len(members) > MAX_MEMBERS:
        found.add("audience_members", "TOO_MANY_AUDIENCE_MEMBERS", f"At most {MAX_MEMBERS} members are allowed.")
        return "user", []
    kinds = set(map(kind_of, members))
    if None in kinds:
        for number, member in enumerate(members):
            if kind_of(member) is None:
                found.add(f"audience_members[{number}]", "INVALID_AUDIENCE_MEMBER", "The member holds no data.")
    if len(kinds - {None}) > 1:
        found.add("audience_members", "MULTIPLE_DATA_TYPES_NOT_ALLOWED", "A request takes one type of data.")
    reader = Reader(request.encoding, found)
    noted = [_read(member, f"audience_members.audience_members[{n}]", reader) for n, member in enumerate(members)]
    reader.judge()
    if found.found:
        return "user", []
    default = _consents(consent)
    rows = [
        Row(
            each if isinstance(each, tuple) else reader.links(each),
            default if member.consent is UNSET else _consents(member.consent),
        )
        for each, member in zip(noted, members, strict=True)
    ]
    return str(next(iter(kinds), "user")), rows


def _read(member: Member, place: str, reader: Reader) -> Any:
    """A member's links as a tuple, or what the reader noted of its contacts as a list."""
    if member.user_data is not UNSET:
        return reader.user_data(member.user_data, f"{place}.user_data")
    if member.composite_data is UNSET:
        return plain_links(member, place, reader.found)
    composite = member.composite_data
    check_addresses_of_net(composite, f"{place}.composite_data", reader.found)
    if composite.user_data is not UNSET:
        return reader.user_data(composite.user_data, f"{place}.composite_data.user_data")
    if not composite.ip_data:
        reader.found.add(f"{place}.composite_data", "REQUIRED_FIELD_MISSING", "User data or IP data is required.")
    return tuple("other:" + (each.ip_address or "") for each in composite.ip_data or ())


_NAMES = {"CONSENT_GRANTED": "GRANTED", "CONSENT_DENIED": "DENIED"}


def _consents(consent: Consent | UnsetType) -> tuple[str, str] | None:
    """The two consents as GRANTED, DENIED or empty; None when there is no consent at all."""
    if consent is UNSET:
        return None
    return _NAMES.get(consent.ad_user_data or "", ""), _NAMES.get(consent.ad_personalization or "", "")


def _submit(
    twin: Twin, call: Call, kind: Kind, request: Removal, read: tuple[str, list[Row]], found: Violations
) -> dict[str, Any]:
    data, rows = read
    wanted, members = request.destinations or [], request.audience_members or []
    for number, member in enumerate(members):
        if member.destination_references:
            destinations.check_references(member.destination_references, wanted, f"audience_members[{number}]", found)
    lists = _entered(twin, call, wanted, found)
    if not all(user_list.key_type == KEY_TYPES.get(data) for user_list in lists):
        refuse("audience_members[0]", "INVALID_USER_LIST_TYPE", "The list does not take this type of data.")
    ips = any(member.composite_data is not UNSET and member.composite_data.ip_data for member in members)
    types = {one.operating_account.account_type for one in wanted if one.operating_account is not UNSET}
    if ips and types != {"GOOGLE_ADS"}:
        refuse("destinations", "INVALID_DESTINATION", "IP addresses go to lists of Google Ads only.")
    if request.validate_only is True:
        return {}
    targets = [
        Target(msgspec.to_builtins(one), user_list, _meant(members, rows, one))
        for one, user_list in zip(wanted, lists, strict=True)
    ]
    return accept(twin, kind, data, targets, rows_taken=call.rows_taken)


def _meant(members: Sequence[Member], rows: list[Row], one: Destination) -> list[Row]:
    """The rows that are meant for a destination: those that name it, and those that name none."""
    if not any(member.destination_references for member in members):
        return rows
    pairs = zip(members, rows, strict=True)
    return [
        row
        for member, row in pairs
        if not member.destination_references or one.reference in member.destination_references
    ]


def accept(
    twin: Twin,
    kind: Kind,
    data: str,
    targets: list[Target],
    *,
    as_of: float | None = None,
    rows_taken: int | None = None,
) -> dict[str, Any]:
    """Take a request to be processed later; says its id."""
    now = twin.clock.now()
    submission = Submission(
        str(uuid.uuid4()), kind, data, now, now + twin.config.processing, targets, as_of, rows_taken
    )
    twin.submissions[submission.request_id] = submission
    twin.pending.append(submission)
    for target in targets:
        if target.user_list is not None:
            target.user_list.counters[f"requests_{kind}"] += 1
            target.user_list.counters["rows_received"] += len(target.rows)
    return {"requestId": submission.request_id}
