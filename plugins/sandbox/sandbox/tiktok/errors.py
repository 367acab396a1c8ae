"""The refusals of the API: a code in an envelope that always comes with HTTP 200 (contract 1 and 11)."""


class ApiError(Exception):
    """A refusal by its `code` and `message`; nothing was applied."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def invalid(message: str) -> ApiError:
    """40002, the catch-all for parameters."""
    return ApiError(40002, message)


def missing(*names: str) -> ApiError:
    """40002 for required fields that are not there."""
    return invalid(f"Missing required field(s): {', '.join(names)}.")


def forbidden(message: str) -> ApiError:
    """40001: the token may not touch the object."""
    return ApiError(40001, message)


def unhashed(message: str = "PII is not hashed") -> ApiError:
    """40062: an identifier that is no hash as the contract wants it."""
    return ApiError(40062, message)
