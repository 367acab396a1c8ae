"""Uploads by the Google Ads API, for allow-listed callers: jobs, small uploads, conversions (google.md 10, 11.2)."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sandbox.google.ads_errors import error, refuse
from sandbox.google.ads_lists import find, partial
from sandbox.google.ads_rows import job_status
from sandbox.google.ads_shapes import (
    AddOperations,
    ClickConversion,
    Consent,
    CreateJob,
    Identifier,
    RunJob,
    UploadClickConversions,
    UploadUserData,
    UserDataOperation,
    read,
)
from sandbox.google.calls import Call
from sandbox.google.directory import EMAIL, MOBILE, OTHER, PHONE, address_link
from sandbox.google.members import accept
from sandbox.google.state import Job, Row, Target, Twin, UserList

MAX_IDENTIFIERS, MAX_IDENTIFIERS_OF_ONE_USER = 100_000, 20
SMALL_OPERATIONS, SMALL_IDENTIFIERS = 10, 100
MAX_CONVERSIONS = 2_000
_DIGEST = re.compile("[0-9A-Fa-f]{64}")
_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d")


def create_job(twin: Twin, call: Call) -> dict[str, Any]:
    """`offlineUserDataJobs:create`."""
    _check_open(twin)
    request, account_id = read(call.body, CreateJob), call.parts[0]
    metadata = request.job.customer_match_user_list_metadata
    place = "job.customer_match_user_list_metadata.user_list"
    user_list = find(twin, account_id, metadata.user_list, place)
    if request.validate_only:
        return {}
    job = Job(twin.new_id(246), user_list, _consents(metadata.consent))
    twin.jobs[job.job_id] = job
    return {"resourceName": f"customers/{account_id}/offlineUserDataJobs/{job.job_id}"}


def add_operations(twin: Twin, call: Call) -> dict[str, Any]:
    """`:addOperations`; with partial failure, the operations that are good are kept and the others named."""
    _check_open(twin)
    request, job = read(call.body, AddOperations), _job(twin, call)
    if job.started is not None:
        refuse("offlineUserDataJobError", "JOB_ALREADY_STARTED", "The job was already started.")
    _check_order(job, request.operations)
    count = sum(len(_data(each)) for each in request.operations)
    if count > MAX_IDENTIFIERS:
        message = f"At most {MAX_IDENTIFIERS} identifiers are allowed in a request."
        refuse("offlineUserDataJobError", "TOO_MANY_USER_IDENTIFIERS", message, "operations")
    errors, good = _judged(request.operations)
    if errors and not request.enable_partial_failure:
        _raise(errors)
    if not request.validate_only:
        for each in good:
            _keep(job, each)
    return partial(errors)


def run_job(twin: Twin, call: Call) -> dict[str, Any]:
    """`:run`; while another job of the list runs, it is refused as a write at the same time."""
    _check_open(twin)
    read(call.body, RunJob)
    job = _job(twin, call)
    if job.started is not None:
        refuse("offlineUserDataJobError", "JOB_ALREADY_STARTED", "The job was already started.")
    if any(job_status(each) == "RUNNING" for each in twin.jobs.values() if each.user_list is job.user_list):
        message = "Multiple requests were attempting to modify the same resource at once. Retry the request."
        refuse("databaseError", "CONCURRENT_MODIFICATION", message)
    if job.remove_all:
        accept(twin, "remove_all", "", [Target({}, job.user_list, [])])
    removal = bool(job.removes)
    target = Target({}, job.user_list, job.removes if removal else job.adds)
    answer = accept(twin, "remove" if removal else "ingest", "user", [target], rows_taken=call.rows_taken)
    job.started = twin.submissions[answer["requestId"]]
    return {"name": f"customers/{call.parts[0]}/operations/{job.job_id}"}


def upload(twin: Twin, call: Call) -> dict[str, Any]:
    """`:uploadUserData`: a few members, with no word of what becomes of them."""
    _check_open(twin)
    request = read(call.body, UploadUserData)
    metadata = request.customer_match_user_list_metadata
    user_list = find(twin, call.parts[0], metadata.user_list, "customer_match_user_list_metadata.user_list")
    if len(request.operations) > SMALL_OPERATIONS:
        refuse("collectionSizeError", "TOO_MANY", f"At most {SMALL_OPERATIONS} operations are allowed.", "operations")
    if sum(len(_data(each)) for each in request.operations) > SMALL_IDENTIFIERS:
        message = f"At most {SMALL_IDENTIFIERS} identifiers are allowed in a request."
        refuse("userDataError", "TOO_MANY_USER_IDENTIFIERS", message, "operations")
    errors, good = _judged(request.operations)
    if errors:
        _raise(errors)
    _accept_small(twin, user_list, good, _consents(metadata.consent))
    time = datetime.fromtimestamp(int(twin.clock.now()), UTC).isoformat(" ")
    return {"uploadDateTime": time, "receivedOperationsCount": len(request.operations)}


def upload_conversions(twin: Twin, call: Call) -> dict[str, Any]:
    """`:uploadClickConversions`; partial failure must be asked for."""
    _check_open(twin)
    request, account_id = read(call.body, UploadClickConversions), call.parts[0]
    if not request.partial_failure:
        message = "Partial failure must be enabled."
        refuse("partialFailureError", "PARTIAL_FAILURE_MODE_REQUIRED", message, "partial_failure")
    if len(request.conversions) > MAX_CONVERSIONS:
        message = f"At most {MAX_CONVERSIONS} conversions are allowed in a request."
        refuse("conversionUploadError", "TOO_MANY_CONVERSIONS_IN_REQUEST", message, "conversions")
    results: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    for number, each in enumerate(request.conversions):
        wrong = _wrong_conversion(twin, account_id, each, f"conversions[{number}]")
        errors += wrong
        results.append({} if wrong else _conversion(twin, each, store=not request.validate_only))
    return {"results": results} | partial(errors)


def _check_open(twin: Twin) -> None:
    if not twin.config.legacy_uploads:
        message = "The customer is not allowlisted for accessing this feature."
        refuse("notAllowlistedError", "CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE", message)


def _job(twin: Twin, call: Call) -> Job:
    job = twin.jobs.get(call.parts[1])
    if job is None or job.user_list.account_id != call.parts[0]:
        refuse("mutateError", "RESOURCE_NOT_FOUND", "Resource was not found.", "resource_name")
    return job


def _check_order(job: Job, operations: Sequence[UserDataOperation]) -> None:
    kinds = {"create": bool(job.adds), "remove": bool(job.removes)}
    first = not any(kinds.values()) and not job.remove_all
    for number, each in enumerate(operations):
        place = f"operations[{number}]"
        if each.remove_all and not (first and number == 0):
            message = "Remove all must be the first operation."
            refuse("offlineUserDataJobError", "INVALID_OPERATION_ORDER", message, place)
        kinds["create"] |= each.create is not None
        kinds["remove"] |= each.remove is not None
        if all(kinds.values()):
            message = "A job takes either creates or removes."
            refuse("offlineUserDataJobError", "CONFLICTING_OPERATION", message, place)


def _data(operation: UserDataOperation) -> list[Identifier]:
    data = operation.create or operation.remove
    return [] if data is None else data.user_identifiers


def _judged(operations: Sequence[UserDataOperation]) -> tuple[list[dict[str, Any]], list[UserDataOperation]]:
    """The errors of the operations, and the operations that have none."""
    errors, good = [], []
    for number, each in enumerate(operations):
        wrong = _wrong(each, f"operations[{number}]")
        errors += wrong
        if not wrong:
            good.append(each)
    return errors, good


def _wrong(operation: UserDataOperation, place: str) -> list[dict[str, Any]]:
    sent = [operation.create is not None, operation.remove is not None, bool(operation.remove_all)]
    kind, group = "create" if sent[0] else "remove", "offlineUserDataJobError"
    identifiers = _data(operation)
    if sum(sent) != 1 or (not identifiers and not operation.remove_all):
        return [error("fieldError", "REQUIRED", "The required field was not present.", place)]
    if len(identifiers) > MAX_IDENTIFIERS_OF_ONE_USER:
        message = f"At most {MAX_IDENTIFIERS_OF_ONE_USER} identifiers are allowed in an operation."
        return [error(group, "TOO_MANY_USER_IDENTIFIERS", message, f"{place}.{kind}.user_identifiers")]
    found = []
    for number, each in enumerate(identifiers):
        inside = f"{place}.{kind}.user_identifiers[{number}]"
        found += _wrong_identifier(each, inside, group)
    return found


def _wrong_identifier(each: Identifier, place: str, group: str) -> list[dict[str, Any]]:
    values = (each.hashed_email, each.hashed_phone_number, each.address_info, each.mobile_id, each.third_party_user_id)
    if sum(value is not None for value in values) != 1:
        return [error("fieldError", "REQUIRED", "An identifier holds exactly one value.", place)]
    digests = {"hashed_email": each.hashed_email, "hashed_phone_number": each.hashed_phone_number}
    if each.address_info is not None:
        address = each.address_info
        digests["address_info.hashed_first_name"] = address.hashed_first_name
        digests["address_info.hashed_last_name"] = address.hashed_last_name
        if not (address.country_code and address.postal_code):
            return [error("fieldError", "REQUIRED", "The required field was not present.", f"{place}.address_info")]
    message = "The SHA256 encoded value is malformed."
    return [
        error(group, "INVALID_SHA256_FORMAT", message, f"{place}.{name}")
        for name, value in digests.items()
        if value is not None and not _DIGEST.fullmatch(value)
    ]


def _raise(errors: list[dict[str, Any]]) -> None:
    ((group, code),) = errors[0]["errorCode"].items()
    elements = errors[0].get("location", {}).get("fieldPathElements", ())
    parts = [f"{each['fieldName']}[{each['index']}]" if "index" in each else each["fieldName"] for each in elements]
    refuse(group, code, errors[0]["message"], ".".join(parts))


def _keep(job: Job, operation: UserDataOperation) -> None:
    if operation.remove_all:
        job.remove_all = True
        return
    row = Row(tuple(map(_link, _data(operation))), job.consent)
    (job.adds if operation.create is not None else job.removes).append(row)


def _accept_small(
    twin: Twin, user_list: UserList, operations: Sequence[UserDataOperation], consent: tuple[str, str] | None
) -> None:
    for each in operations:
        if each.remove_all:
            accept(twin, "remove_all", "", [Target({}, user_list, [])])
            continue
        row = Row(tuple(map(_link, _data(each))), consent)
        accept(twin, "remove" if each.create is None else "ingest", "user", [Target({}, user_list, [row])])


def _link(each: Identifier) -> str:
    if each.hashed_email is not None:
        return EMAIL + each.hashed_email.lower()
    if each.hashed_phone_number is not None:
        return PHONE + each.hashed_phone_number.lower()
    if each.address_info is not None:
        address = each.address_info
        names = address.hashed_first_name.lower(), address.hashed_last_name.lower()
        return address_link(*names, address.country_code, address.postal_code)
    return MOBILE + each.mobile_id.lower() if each.mobile_id is not None else OTHER + (each.third_party_user_id or "")


def _consents(consent: Consent | None) -> tuple[str, str] | None:
    if consent is None:
        return None
    both = (consent.ad_user_data, consent.ad_personalization)
    user_data, personalization = ("" if each in ("UNSPECIFIED", "UNKNOWN") else each for each in both)
    return user_data, personalization


def _wrong_conversion(twin: Twin, account_id: str, each: ClickConversion, place: str) -> list[dict[str, Any]]:
    path = re.fullmatch(rf"customers/{account_id}/conversionActions/(\d+)", each.conversion_action)
    action = None if path is None else twin.config.conversion_actions.get(path[1])
    if action is None or action.account != account_id:
        message = "The conversion action was not found."
        return [error("conversionUploadError", "NO_CONVERSION_ACTION_FOUND", message, f"{place}.conversion_action")]
    if not _TIME.fullmatch(each.conversion_date_time):
        message = "The date time is not yyyy-mm-dd hh:mm:ss+|-hh:mm."
        return [
            error("dateError", "INVALID_STRING_DATE_TIME_SECONDS_WITH_OFFSET", message, f"{place}.conversion_date_time")
        ]
    clicks = [click for click in (each.gclid, each.gbraid, each.wbraid) if click]
    if len(clicks) > 1 or not (clicks or each.user_identifiers):
        message = "Exactly one click id, or user identifiers, must be set."
        return [error("conversionUploadError", "UNPARSEABLE_GCLID", message, place)]
    found = []
    for number, identifier in enumerate(each.user_identifiers):
        inside = f"{place}.user_identifiers[{number}]"
        found += _wrong_identifier(identifier, inside, "offlineUserDataJobError")
    return found


def _conversion(twin: Twin, each: ClickConversion, *, store: bool) -> dict[str, Any]:
    """Record a conversion without personal values; says what was taken."""
    action = each.conversion_action.rpartition("/")[2]
    if store:
        key = action, each.order_id or ""
        duplicate = bool(key[1]) and key in twin.event_keys
        twin.event_keys.add(key)
        person = min(twin.directory.meant(map(_link, each.user_identifiers)), default=None)
        time = datetime.fromisoformat(each.conversion_date_time)
        about: dict[str, Any] = {"conversion_action": action, "transaction_id": each.order_id}
        about |= {"duplicate": duplicate, "event_time": int(time.timestamp()), "event_source": None}
        about |= {"received": int(twin.clock.now())}
        twin.events.append(about | {"person_id": None if person is None else twin.directory.ids[person]})
    shown = {"conversionAction": each.conversion_action, "conversionDateTime": each.conversion_date_time}
    return shown | ({"gclid": each.gclid} if each.gclid else {})
