"""Defines the errors of the bridge, by what the run should do about them.

BridgeError
├── ConfigError      stop: a person must change something
├── TransientError   wait and try the same again
└── RejectedError    the other side refuses this very request: split it, or give the rows up with a reason

Any other exception is a bug. No message ever holds a secret or a personal value.
"""


class BridgeError(Exception):
    """The root: `str(error)` is one sentence for a person, free of secrets and personal values."""


class ConfigError(BridgeError):
    """A setting, credential, permission or file must be changed by a person before a new try can succeed.

    `place` names where (a settings path, a file with line, a remote object), `remedy` what to do. It ends the run.
    """

    def __init__(self, problem: str, *, place: str = "", remedy: str = "") -> None:
        self.problem, self.place, self.remedy = problem, place, remedy
        text = f"{place}: {problem}" if place else problem
        super().__init__(f"{text}. {remedy}" if remedy else text)


class TransientError(BridgeError):
    """The same request may succeed later; `retry_after` is the wait in seconds that the other side asked for, if any.

    From a writer, the core waits and tries again, a few times; then, and from a source at once, it ends the run. With
    `given_up` the request was tried again for as long as it may be.
    """

    given_up = False

    def __init__(self, problem: str, *, retry_after: float | None = None) -> None:
        self.problem, self.retry_after = problem, retry_after
        super().__init__(problem)


class RejectedError(BridgeError):
    """The other side refuses this request for good; `reason` is a short code for dead letters, such as `meta:100`.

    From `write`, the core tries the halves of the batch, until it knows the members at fault.
    """

    def __init__(self, problem: str, *, reason: str) -> None:
        self.problem, self.reason = problem, reason
        super().__init__(problem)


class Stopped(BaseException):
    """A signal asked the process to end; not an `Exception`, so that no retry and no connector swallows it."""

    def __init__(self, signal: int) -> None:
        super().__init__(signal)
        self.signal = signal


TypedError = ConfigError | RejectedError | TransientError
