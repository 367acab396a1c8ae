"""The Graph API's error envelope and the errors that several parts of the twin raise (contract 1.2 and 10)."""

import secrets
from typing import Any


def trace_id() -> str:
    """A fresh `fbtrace_id`, as every answer about a failure or an event carries."""
    return "A" + secrets.token_urlsafe(16)


class GraphError(Exception):
    """A refusal: HTTP status, `code`, `error_subcode` and message of the envelope; nothing was applied."""

    def __init__(
        self, code: int, message: str, *, subcode: int | None = None, status: int = 400, transient: bool = False
    ) -> None:
        super().__init__(message)
        self.code, self.message, self.subcode = code, message, subcode
        self.status, self.transient = status, transient

    def envelope(self) -> dict[str, Any]:
        """The JSON body; `error_subcode` is left out when there is none."""
        error: dict[str, Any] = {"message": self.message, "type": "OAuthException", "code": self.code}
        if self.subcode is not None:
            error["error_subcode"] = self.subcode
        return {"error": error | {"is_transient": self.transient, "fbtrace_id": trace_id()}}


def invalid(what: str, subcode: int | None = None) -> GraphError:
    """Code 100: a parameter that cannot be accepted."""
    return GraphError(100, f"(#100) {what}", subcode=subcode)


def missing(method: str, node: str) -> GraphError:
    """Code 100/33: the node does not exist, was deleted, cannot be seen by the token or has no such operation."""
    message = (
        f"Unsupported {method.lower()} request. Object with ID '{node}' does not exist, cannot be loaded due to "
        "missing permissions, or does not support this operation"
    )
    return GraphError(100, message, subcode=33)


def unknown_path(path: str) -> GraphError:
    """Code 2500: the path names no edge."""
    return GraphError(2500, f"Unknown path components: /{path}")
