"""`requestStatus:retrieve`: the status of an accepted request (google.md 6)."""

from typing import Any

from sandbox.google.calls import Call
from sandbox.google.errors import refuse
from sandbox.google.processing import STATUS_LIFE
from sandbox.google.state import Twin


def retrieve(twin: Twin, call: Call) -> dict[str, Any]:
    """`GET /v1/requestStatus:retrieve`: one status per destination, in the order of the request."""
    submission = twin.submissions.get(call.query.get("requestId", ""))
    if submission is None:
        refuse("request_id", "INVALID_REQUEST_ID", "The request id is not one of an accepted request.")
    if twin.clock.now() > submission.sent + STATUS_LIFE:
        refuse("request_id", "REQUEST_TOO_OLD", "The status of the request is not kept any more.")
    under_way = [{"destination": each.destination, "requestStatus": "PROCESSING"} for each in submission.targets]
    return {"requestStatusPerDestination": submission.outcome or under_way}
