"""Turns the error codes of a platform into typed errors, by a table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from cdp_bridge.errors import ConfigError, Failure, RejectedError, TransientError
from cdp_bridge.http.client import Client

if TYPE_CHECKING:
    import requests

Code = int | str
_MAX_TRACE = 50


class ErrorRule(Struct, frozen=True):
    """What an error code means: the type of error (also one derived from the three), its problem, and the remedy.

    `wait` is how many seconds a TransientError waits where the answer does not say, `place` where a ConfigError is:
    the path of the request unless given.
    """

    error: type[ConfigError | RejectedError | TransientError]
    problem: str
    remedy: str = ""
    wait: float | None = None
    place: str = ""


class ErrorTable:
    """The error codes of one platform; `vendor` is its name for people, in lower case the prefix of reasons.

    `rules` are keyed by code, or by (code, subcode). What is in no row is `busy` (a TransientError unless given) where
    the status is 408, 429 or 5xx, else `unknown` (a RejectedError). `trace` is what the platform calls the id by which
    its support finds a request.
    """

    def __init__(
        self,
        vendor: str,
        rules: Mapping[Code | tuple[Code, Code], ErrorRule],
        *,
        busy: ErrorRule | None = None,
        unknown: ErrorRule | None = None,
        trace: str = "request",
    ) -> None:
        self.vendor, self.rules = vendor, rules
        self.busy = busy or ErrorRule(TransientError, f"{vendor} is temporarily unable to answer")
        self.unknown = unknown or ErrorRule(
            RejectedError, f"{vendor} refuses the request for a reason that is not in its documentation"
        )
        self._trace = trace

    def rule(self, status: int, code: Code, subcode: Code | None = None) -> ErrorRule:
        """The row of code and subcode, else that of the code, else what an HTTP status means without a row."""
        tail = self.busy if status in (408, 429) or status >= 500 else self.unknown
        row = None if subcode is None else self.rules.get((code, subcode))
        return row or self.rules.get(code, tail)

    def error(
        self,
        response: requests.Response,
        code: Code,
        subcode: Code | None = None,
        *,
        rule: ErrorRule | None = None,
        trace: str = "",
        wait: float | None = None,
    ) -> Failure:
        """The typed error of a response, by `rule` where one is given, else by the row of its code.

        Its problem names the code and the `trace` of the request; messages of the platform are left out, for they may
        quote what was sent. A RejectedError has the reason `vendor:code` or `vendor:code/subcode`. A TransientError
        waits for `wait` seconds, else as `Retry-After` says, else as the row says.
        """
        rule = rule or self.rule(response.status_code, code, subcode)
        number = str(code) if subcode is None else f"{code}/{subcode}"
        trace = re.sub(r"[^\w .-]", "", trace)[:_MAX_TRACE]
        trace = f", {f'{self._trace} {trace}'.strip()}" if trace else ""
        problem = f"{rule.problem} ({self.vendor}'s error {number}{trace})"
        kind = rule.error
        if issubclass(kind, ConfigError):
            return kind(problem, place=rule.place or _path(response), remedy=rule.remedy)
        if issubclass(kind, RejectedError):
            return kind(problem, reason=f"{self.vendor.lower()}:{number}")
        waits = (wait, Client.retry_after(response), rule.wait)
        return kind(problem, retry_after=next((seconds for seconds in waits if seconds is not None), None))

    @staticmethod
    def body(response: requests.Response) -> Any:
        """The JSON body of a response, None where it is something else: proxies answer with pages."""
        try:
            return msgspec.json.decode(response.content)
        except (msgspec.DecodeError, RecursionError):
            return None


def _path(response: requests.Response) -> str:
    return response.request.path_url.partition("?")[0]
