"""Upload sessions: numbering, retries, their 90 minutes and their end (contract 4.2 and 4.3)."""

from dataclasses import dataclass
from typing import Any

from sandbox.meta.calls import Call
from sandbox.meta.errors import GraphError, invalid
from sandbox.meta.state import Audience, Session, Twin

MAX_SESSION_ID = 2**63 - 1


@dataclass(frozen=True)
class Batch:
    """The `session` parameter of one call."""

    session_id: int
    sequence: int
    last: bool


def read_batch(call: Call) -> Batch | None:
    """The session parameter, or None when there is none. Raises GraphError 100."""
    value = call.value("session")
    if value is None:
        return None
    if not isinstance(value, dict):
        raise invalid("Param session must be an object")
    session_id, sequence = _whole(value.get("session_id")), _whole(value.get("batch_seq"))
    if session_id is None or not 1 <= session_id <= MAX_SESSION_ID:
        raise invalid("session_id must be a positive 64-bit integer")
    if sequence is None or sequence < 1:
        raise invalid("batch_seq must be an integer from 1")
    return Batch(session_id, sequence, value.get("last_batch_flag") in (True, "true", 1))


def _whole(value: Any) -> int | None:
    digits = str(value).removeprefix("-")
    return int(str(value)) if digits.isascii() and digits.isdigit() else None


def enter(twin: Twin, audience: Audience, batch: Batch, edge: str) -> Session:
    """The session a batch belongs to, begun when new. Raises GraphError 100 when the id is already used elsewhere."""
    sessions = twin.account(audience.account_id).sessions
    session = sessions.get(batch.session_id)
    if session is None:
        if batch.sequence != 1:
            raise invalid("The first batch of a session must have batch_seq 1")
        session = Session(batch.session_id, audience.audience_id, edge, twin.clock.now())
        sessions[batch.session_id] = session
    if session.audience_id != audience.audience_id or session.edge != edge:
        raise invalid("session_id is already used in this ad account")
    return session


def admit(session: Session, batch: Batch, fingerprint: int, now: float) -> str:
    """What becomes of a batch: `new`, `retry` (identical to the last one, counted once) or `dropped` (session over).

    Raises GraphError 100 when the number skips or repeats, or when a session that ended is begun again, and
    2650/1870159 when a replace goes on after its end.
    """
    same = batch.sequence == session.sequence and fingerprint == session.fingerprint
    if same and not session.expired(now):
        return "retry"
    if session.ended(now):
        if session.edge == "usersreplace":
            raise GraphError(2650, "The replace session has already finished", subcode=1870159)
        if batch.sequence == 1:
            raise invalid("session_id was used before in this ad account and has ended")
        return "dropped"
    if batch.sequence != session.sequence + 1:
        raise invalid(f"batch_seq must be {session.sequence + 1}")
    session.sequence, session.fingerprint = batch.sequence, fingerprint
    return "new"


def check_replace(audience: Audience, session: Session | None, batch: Batch, now: float) -> None:
    """The order of a replace, before its session is entered. Raises GraphError 2650 with the subcodes of 4.3."""
    running = audience.replacing
    if running is not None and running.session_id != batch.session_id and not running.expired(now):
        raise replace_running()
    if session is None:
        if batch.sequence != 1:
            raise GraphError(2650, "The first batch_seq of a replace must be 1", subcode=1870147)
    elif session.expired(now):
        raise GraphError(2650, "The replace session has timed out", subcode=1870158)


def replace_running() -> GraphError:
    """Code 2650/1870145."""
    return GraphError(2650, "A replace operation is in progress for this audience", subcode=1870145)


def describe(twin: Twin, session: Session) -> dict[str, str]:
    """One entry of `GET /{audience}/sessions`: every value is text."""
    ended = session.ended(twin.clock.now()) and not twin.config.stuck_sessions
    end = session.finished_at if session.finished_at is not None else session.started + Session.LIFE
    return {
        "session_id": str(session.session_id),
        "start_time": str(int(session.started)),
        "end_time": str(int(end)) if ended else "0",
        "num_received": str(session.received),
        "num_matched": str(session.matched) if ended else "-1",
        "num_invalid_entries": str(session.invalid),
        "progress": "100" if ended else "0",
        "stage": "completed" if ended else "uploading",
    }


def read(twin: Twin, call: Call, audience: Audience) -> dict[str, Any]:
    """`GET /{audience}/sessions`, optionally of one `session_id`."""
    wanted = call.text("session_id")
    known = twin.account(audience.account_id).sessions.values()
    mine = [s for s in known if s.audience_id == audience.audience_id and wanted in (None, str(s.session_id))]
    return {"data": [describe(twin, session) for session in mine]}
