"""Google's error bodies and the refusals that several parts of the twin raise (google.md 3.6, 4.4, 4.5)."""

import uuid
from dataclasses import dataclass, field
from typing import Any, NoReturn

MAX_VIOLATIONS = 100
DOMAIN = "datamanager.googleapis.com"
TYPES = "type.googleapis.com/google.rpc."
ANSWERS: dict[str, tuple[int, str]] = {
    "PERMISSION_DENIED": (403, "PERMISSION_DENIED"),
    "NOT_ALLOWLISTED": (403, "PERMISSION_DENIED"),
    "NOT_FOUND": (404, "NOT_FOUND"),
    "ALREADY_EXISTS": (409, "ALREADY_EXISTS"),
}
"""HTTP status and canonical name of a reason; every other reason is 400 INVALID_ARGUMENT."""


class ApiError(Exception):
    """A refusal: HTTP status, canonical name, message and details of the body; nothing was applied."""

    def __init__(
        self,
        status: int,
        name: str,
        message: str,
        details: list[dict[str, Any]] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.name, self.message = status, name, message
        self.details, self.headers = details or [], headers or {}

    def envelope(self) -> dict[str, Any]:
        """The JSON body; `details` are left out when there are none."""
        error: dict[str, Any] = {"code": self.status, "message": self.message, "status": self.name}
        return {"error": error | ({"details": self.details} if self.details else {})}


@dataclass
class Violations:
    """What is wrong with a request, gathered so that one answer names it all (the first 100)."""

    found: list[dict[str, str]] = field(default_factory=list)

    def add(self, place: str, reason: str, description: str) -> None:
        """Note one violation: the field, a name of ErrorReason, and a sentence without the value."""
        if len(self.found) < MAX_VIOLATIONS:
            self.found.append({"field": place, "description": description, "reason": reason})

    def check(self) -> None:
        """Raises ApiError when anything was found; the status is that of the first reason."""
        if not self.found:
            return
        status, name = ANSWERS.get(self.found[0]["reason"], (400, "INVALID_ARGUMENT"))
        details = [*_about(name), {"@type": TYPES + "BadRequest", "fieldViolations": self.found}]
        raise ApiError(status, name, "There was a problem with the request.", details)


def refuse(place: str, reason: str, description: str) -> NoReturn:
    """Raises ApiError with one violation."""
    violations = Violations()
    violations.add(place, reason, description)
    violations.check()
    raise AssertionError


def malformed(text: str, place: str = "") -> ApiError:
    """What the JSON front end answers before the service is asked: no reason, no request id."""
    message = f"Invalid JSON payload received. {text}"
    violation = {"field": place, "description": message}
    details = [{"@type": TYPES + "BadRequest", "fieldViolations": [violation]}]
    return ApiError(400, "INVALID_ARGUMENT", message, details)


def unauthenticated() -> ApiError:
    """401: no token, or one that is unknown, revoked or expired."""
    message = (
        "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid "
        "authentication credential."
    )
    return ApiError(401, "UNAUTHENTICATED", message, headers={"WWW-Authenticate": 'Bearer realm="sandbox"'})


def lacks_scope(service: str) -> ApiError:
    """403: the token lacks the scope of the service."""
    info = {"reason": "ACCESS_TOKEN_SCOPE_INSUFFICIENT", "domain": "googleapis.com", "metadata": {"service": service}}
    header = {"WWW-Authenticate": 'Bearer realm="sandbox", error="insufficient_scope"'}
    message = "Request had insufficient authentication scopes."
    return ApiError(403, "PERMISSION_DENIED", message, [{"@type": TYPES + "ErrorInfo"} | info], header)


def no_access() -> ApiError:
    """403: the identity is no user of the login account, or that is no parent of the operating account."""
    return ApiError(403, "PERMISSION_DENIED", "The caller does not have permission.", _about("PERMISSION_DENIED"))


def over_quota(service: str, window: str, most: int, project: str) -> ApiError:
    """429: too many requests of the project in a minute or a day."""
    consumer = f"project_number:{project}"
    message = (
        f"Quota exceeded for quota metric 'Requests' and limit 'Requests per {window}' of service '{service}' for "
        f"consumer '{consumer}'."
    )
    metadata = {"service": service, "quota_limit": f"RequestsPer{window.title()}PerProject"}
    metadata |= {"quota_limit_value": str(most), "consumer": f"projects/{project}"}
    info = {"reason": "RATE_LIMIT_EXCEEDED", "domain": "googleapis.com", "metadata": metadata}
    return ApiError(429, "RESOURCE_EXHAUSTED", message, [{"@type": TYPES + "ErrorInfo"} | info])


def not_found(what: str) -> ApiError:
    """404: no such method or resource."""
    return ApiError(404, "NOT_FOUND", what)


def _about(reason: str) -> list[dict[str, Any]]:
    """ErrorInfo and RequestInfo; the id of an error starts with `t-` and is no status id."""
    number = f"t-{uuid.uuid4()}"
    info = {"reason": reason, "domain": DOMAIN, "metadata": {"requestId": number}}
    return [{"@type": TYPES + "ErrorInfo"} | info, {"@type": TYPES + "RequestInfo", "requestId": number}]
