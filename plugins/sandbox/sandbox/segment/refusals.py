"""The error responses of each surface of the Segment twin (segment.md 2.1, 3, 4.2 and 4.5)."""

from typing import Any

from aiohttp import web


class RefusalError(Exception):
    """An answer that refuses a request, raised by a handler and sent as it is."""

    def __init__(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None):
        super().__init__(status)
        self.status = status
        self.body = body
        self.headers = headers or {}

    def response(self) -> web.Response:
        """The HTTP answer."""
        return web.json_response(self.body, status=self.status, headers=self.headers)


def public(status: int, kind: str, message: str, field: str | None = None) -> RefusalError:
    """A Public API refusal: plural `errors`, each with a type (section 2.1)."""
    error = {"type": kind, "message": message} | ({"field": field} if field else {})
    return RefusalError(status, {"errors": [error]})


def invalid(message: str, field: str | None = None) -> RefusalError:
    """The Public API's 422 for input that breaks a rule."""
    return public(422, "input-validation", message, field)


def missing(what: str) -> RefusalError:
    """The Public API's 404 for an unknown thing."""
    return public(404, "not-found", f"{what} was not found.")


def profile(status: int, code: str, message: str) -> RefusalError:
    """A Profile API refusal: singular `error` (section 3)."""
    return RefusalError(status, {"error": {"code": code, "message": message}})


def tracking(status: int, code: str, message: str) -> RefusalError:
    """A Tracking API refusal: bare `code` and `message` (section 4.5)."""
    return RefusalError(status, {"code": code, "message": message})


def oauth(status: int, error: str, description: str) -> RefusalError:
    """An OAuth server refusal (section 4.2)."""
    return RefusalError(status, {"error": error, "error_description": description})
