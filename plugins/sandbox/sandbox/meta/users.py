"""Membership calls: users added, removed, replaced, and taken out of every audience (contract 4)."""

from typing import Any

from sandbox.meta import payload, sessions
from sandbox.meta.audiences import FLAGGED, operation_status
from sandbox.meta.calls import Call
from sandbox.meta.errors import GraphError, invalid
from sandbox.meta.membership import Link, Membership, links_of_rows
from sandbox.meta.payload import Upload
from sandbox.meta.state import Audience, Session, Twin

EXTERN_LIFE = 90 * 24 * 3600.0


def add(twin: Twin, call: Call, audience: Audience) -> dict[str, Any]:
    """`POST /{audience}/users`."""
    _check_open(twin, audience)
    _check_terms(twin, audience)
    upload = payload.parse(call.value("payload"), needs_value=audience.value_based, rows_taken=call.rows_taken)
    return _upload(twin, call, audience, upload, "add")


def remove(twin: Twin, call: Call, audience: Audience) -> dict[str, Any]:
    """`DELETE /{audience}/users`."""
    _check_open(twin, audience)
    if len(audience.members.people()) < twin.config.removal_minimum:
        message = "(#200) Audience Size too Low: You cannot remove users from this audience"
        raise GraphError(200, message, subcode=1870047, status=403)
    upload = payload.parse(call.value("payload"), rows_taken=call.rows_taken)
    return _upload(twin, call, audience, upload, "remove")


def replace(twin: Twin, call: Call, audience: Audience) -> dict[str, Any]:
    """`POST /{audience}/usersreplace`: the first batch empties the audience, the following ones fill it."""
    _check_editable(audience)
    _check_terms(twin, audience)
    now = twin.clock.now()
    batch = sessions.read_batch(call)
    if batch is None:
        raise invalid("Param session is required")
    session = twin.account(audience.account_id).sessions.get(batch.session_id)
    sessions.check_replace(audience, session, batch, now)
    if session is None and operation_status(twin, audience) not in {200, 410, 415}:
        raise GraphError(2650, "The audience is not ready for a replace", subcode=1870148)
    upload = payload.parse(call.value("payload"), needs_value=audience.value_based, rows_taken=call.rows_taken)
    if session is None:
        audience.replacing = sessions.enter(twin, audience, batch, "usersreplace")
        audience.members, audience.source = Membership(), None
    answer = _upload(twin, call, audience, upload, "replace")
    if batch.last:
        audience.replacing = None
    return answer


def forget(twin: Twin, call: Call, account_id: str) -> dict[str, Any]:
    """`DELETE /act_{id}/usersofanyaudience`: removal from every audience of the account."""
    upload = payload.parse(call.value("payload"), rows_taken=call.rows_taken)
    for audience in twin.live_audiences(account_id):
        _take_out(twin, audience, upload)
    twin.counters["requests_forget"] += 1
    return _answer(twin, "", None, upload)


def _check_editable(audience: Audience) -> None:
    """Raises GraphError 100/1713230 when flagged; a flag with a countdown falls after so many more calls."""
    if audience.forced_after:
        audience.forced_after -= 1
    elif audience.forced_status == FLAGGED:
        raise GraphError(100, "Audience Upload Blocked", subcode=1713230)


def _check_open(twin: Twin, audience: Audience) -> None:
    _check_editable(audience)
    if audience.replacing is not None and not audience.replacing.expired(twin.clock.now()):
        raise sessions.replace_running()


def _check_terms(twin: Twin, audience: Audience) -> None:
    """Raises GraphError 200/1870034 where the terms do not hold (any more); that uploads say so is a guess."""
    account = twin.config.accounts[audience.account_id]
    if not (account.terms_accepted and account.user_terms_accepted):
        link = f"https://business.facebook.com/ads/manage/customaudiences/tos/?act={audience.account_id}"
        message = f"(#200) Custom Audience Terms Not Accepted: accept them at {link}"
        raise GraphError(200, message, subcode=1870034, status=403)


def _source(audience: Audience, upload: Upload) -> str:
    """The kind of an upload; one audience takes one kind (contract 4.1). Raises GraphError 2650 for the other."""
    kind = "FILE_IMPORTED.HASHES_OR_USER_IDS" if upload.single else "FILE_IMPORTED.MULTI_HASHES"
    if audience.source not in (None, kind):
        message = f"(#2650) The custom audience was created from source {audience.source}, which does not take {kind}."
        raise GraphError(2650, message)
    return kind


def _upload(twin: Twin, call: Call, audience: Audience, upload: Upload, operation: str) -> dict[str, Any]:
    """Apply one batch, counted in its session when it has one, and say what was received."""
    source, batch, now = _source(audience, upload), sessions.read_batch(call), twin.clock.now()
    session, fate = None, "new"
    if batch is not None:
        edge = "usersreplace" if operation == "replace" else "users"
        session = sessions.enter(twin, audience, batch, edge)
        fate = sessions.admit(session, batch, hash((operation, upload.received, tuple(upload.rows))), now)
    audience.counters[f"requests_{operation}"] += 1
    if fate == "dropped":
        audience.counters["rows_dropped"] += upload.received
        return _answer(twin, audience.audience_id, session, upload)
    audience.source, audience.content_updated = source, now
    people = _matched(twin, audience.account_id, upload)
    if operation == "remove":
        _take_out(twin, audience, upload)
    else:
        _learn(twin, audience.account_id, upload, people)
        audience.members.add(upload.rows, people, upload.attributes)
    if fate == "new":
        _count(audience, session, upload, len(people) - people.count(None))
    if session is not None and batch is not None and batch.last and session.finished_at is None:
        session.finished_at = now
    return _answer(twin, audience.audience_id, session, upload)


def _count(audience: Audience, session: Session | None, upload: Upload, matched: int) -> None:
    audience.counters["rows_received"] += upload.received
    audience.counters["rows_invalid"] += upload.invalid
    if session is not None:
        session.received += upload.received
        session.invalid += upload.invalid
        session.matched += matched


def _matched(twin: Twin, account_id: str, upload: Upload) -> list[int | None]:
    """The person each row means: by a strong identifier, else by an EXTERN_ID that was learned in the last 90 days."""
    people = twin.directory.match(upload.columns, len(upload.rows))
    external = upload.columns.get("EXTERN_ID")
    if external is None:
        return people
    now, learned = twin.clock.now(), twin.account(account_id).extern
    rows = zip(external, people, strict=True)
    return [person if person is not None else _by_extern(learned, extern, now) for extern, person in rows]


def _learn(twin: Twin, account_id: str, upload: Upload, people: list[int | None]) -> None:
    """Remember whose EXTERN_ID is whose, from rows that also matched."""
    external, now = upload.columns.get("EXTERN_ID", ()), twin.clock.now()
    pairs = (
        (extern, person) for extern, person in zip(external, people, strict=False) if extern and person is not None
    )
    twin.account(account_id).extern.update((extern, (person, now)) for extern, person in pairs)


def _by_extern(learned: dict[str, tuple[int | None, float]], extern: str, now: float) -> int | None:
    person, since = learned.get(extern, (None, 0.0))
    return person if now - since < EXTERN_LIFE else None


def _take_out(twin: Twin, audience: Audience, upload: Upload) -> None:
    """Remove every row that shares a strong identifier with the upload, or was learned to belong to its EXTERN_ID."""
    links: set[Link] = links_of_rows(upload.rows)
    now, learned = twin.clock.now(), twin.account(audience.account_id).extern
    known = (_by_extern(learned, extern, now) for extern in upload.columns.get("EXTERN_ID", ()))
    links |= {person for person in known if person is not None}
    audience.members.remove(upload.rows, links)


def _answer(twin: Twin, audience_id: str, session: Session | None, upload: Upload) -> dict[str, Any]:
    """The counts of the session so far, or of the request when it has none."""
    samples: Any = list(upload.samples) if twin.config.list_samples else upload.samples
    return {
        "audience_id": audience_id,
        "session_id": str(session.session_id) if session else "0",
        "num_received": session.received if session else upload.received,
        "num_invalid_entries": session.invalid if session else upload.invalid,
        "invalid_entry_samples": samples,
    }
