"""Processes accepted requests over time: rows reach the lists, some fail, memberships end (google.md 6, 7)."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sandbox.google.directory import CONSENT_NEEDED, Directory
from sandbox.google.membership import Member
from sandbox.google.state import Row, Submission, Target, Twin, UserList

STATUS_LIFE = 50 * 86_400
FEW = 100
"""Records below which a request says nothing of its match rate."""

DATA_NAMES = {"composite": "compositeData", "user": "userData", "mobile": "mobileData", "userId": "userIdData"}
TYPE_NAMES = {"email": "EMAIL", "phone": "PHONE_NUMBER", "address": "ADDRESS", "other": "IP_ADDRESS"}


def settle(twin: Twin) -> None:
    """Apply every request that is due, in the order in which they are, and end the memberships that are over."""
    now = twin.clock.now()
    due = sorted((one for one in twin.pending if one.due <= now), key=lambda one: one.due)
    twin.pending = [one for one in twin.pending if one.due > now]
    for submission in due:
        submission.outcome = [_applied(twin, submission, target) for target in submission.targets]
        for target in submission.targets:
            target.rows = []
    for user_list in twin.lists.values():
        user_list.members.drop_before(now - user_list.duration, inclusive=True)


def people(directory: Directory, members: Sequence[Member]) -> set[int]:
    """The numbers of the people whom members mean."""
    return {number for member in members for number in directory.meant(member.links)}


def shown_size(twin: Twin, user_list: UserList) -> tuple[int | None, int | None]:
    """The size that is shown, rounded down to two digits, and the match rate in percent; neither below the floor."""
    members, floor = user_list.members.members(), twin.config.floor
    meant = [twin.directory.meant(member.links) for member in members]
    rate = 100 * sum(map(bool, meant)) // len(members) if members and len(members) >= floor else None
    size = len(set().union(*meant))
    step = int("1".ljust(len(str(size)) - 1, "0"))
    return (size // step * step if size >= floor else None), rate


def _applied(twin: Twin, submission: Submission, target: Target) -> dict[str, Any]:
    """Apply a request to one destination; says its status."""
    user_list, rows = target.user_list, target.rows
    status: dict[str, Any] = {"destination": target.destination}
    if user_list is None:
        return status | _outcome(target.errors, len(rows)) | {"eventsIngestionStatus": {"recordCount": str(len(rows))}}
    if submission.kind == "remove_all":
        user_list.members.drop_before(submission.sent if submission.as_of is None else submission.as_of)
        return status | {"requestStatus": "SUCCESS", "removeAllAudienceMembersStatus": {}}
    taken = rows if submission.rows_taken is None else rows[: submission.rows_taken]
    errors = Counter({"INTERNAL_ERROR": len(rows) - len(taken)})
    if submission.kind == "remove":
        user_list.counters["partly_removed"] += user_list.members.remove(row.links for row in taken)
    else:
        refused = [_consent_error(twin.directory, row) for row in taken]
        errors.update(filter(None, refused))
        good = [row for row, reason in zip(taken, refused, strict=True) if reason is None]
        user_list.members.add((row.links for row in good), submission.sent)
    user_list.counters["rows_refused"] += errors.total()
    return status | _outcome(errors, len(rows)) | _counts(twin.directory, submission, rows)


def _outcome(errors: Counter[str], count: int) -> dict[str, Any]:
    if not errors.total():
        return {"requestStatus": "SUCCESS"}
    counts = [
        {"recordCount": str(number), "reason": f"PROCESSING_ERROR_REASON_{reason}"}
        for reason, number in errors.items()
        if number
    ]
    outcome = "FAILED" if errors.total() == count else "PARTIAL_SUCCESS"
    return {"requestStatus": outcome, "errorInfo": {"errorCounts": counts}}


def _counts(directory: Directory, submission: Submission, rows: Sequence[Row]) -> dict[str, Any]:
    """The part of a status that tells what was sent: records, identifiers, and for contacts how many matched."""
    kind, name = submission.kind == "ingest", DATA_NAMES.get(submission.data, submission.data + "Data")
    about: dict[str, Any] = {"recordCount": str(len(rows))}
    kinds = Counter(link.partition(":")[0] for row in rows for link in row.links)
    if submission.data == "composite":
        about["dataTypeCounts"] = [{"type": TYPE_NAMES[each], "count": str(n)} for each, n in sorted(kinds.items())]
    elif submission.data == "user":
        about["userIdentifierCount"] = str(kinds.total())
    if kind and submission.data in ("composite", "user"):
        matched = sum(bool(directory.meant(row.links)) for row in rows)
        about["uploadMatchRateRange"] = f"MATCH_RATE_RANGE_{_range(matched, len(rows))}"
    part = "IngestionStatus" if kind else "RemovalStatus"
    return {f"audienceMembers{part}": {name + part: about}}


def _range(matched: int, count: int) -> str:
    percent = 100 * matched // max(1, count)
    if count < FEW:
        return "NOT_ELIGIBLE"
    if percent < 20:
        return "LESS_THAN_20"
    if percent <= 30:
        return "20_TO_30"
    lowest = (percent - 1) // 10 * 10
    return f"{lowest + 1}_TO_{lowest + 10}"


def _consent_error(directory: Directory, row: Row) -> str | None:
    """Why a row is not taken: a consent denied, or for people in Europe one that is not given (google.md 7)."""
    if row.consent == ("GRANTED", "GRANTED"):
        return None
    if row.consent is not None and "DENIED" in row.consent:
        return "DENIED_CONSENT"
    regions = {directory.countries[number] for number in directory.meant(row.links)}
    regions |= {link.split(" ")[2] for link in row.links if link.startswith("address:")}
    if not regions & CONSENT_NEEDED:
        return None
    return "NO_CONSENT" if row.consent is None else "UNKNOWN_CONSENT"
