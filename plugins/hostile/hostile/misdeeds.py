"""Faults in a single call: each function gets the good call and its arguments, and does something else."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any, NoReturn

from cdp_bridge.sdk import (
    AudienceRef,
    Batch,
    Catalog,
    Checkpoint,
    ConfigError,
    Outcome,
    Page,
    Probe,
    Stream,
    TransientError,
)

from hostile.settings import Account

Good = Callable[..., Any]
AuditRecord = Callable[..., Any]

PERSON = "canary.bird@example.com"
PHONE = "+12125550101"


class Quit(BaseException):
    """What neither an `except Exception` nor anybody's good manners stop."""


def _raises(error: BaseException) -> AuditRecord:
    def deed(good: Good, *arguments: Any) -> NoReturn:
        raise error

    return deed


def _gives(value: Any) -> AuditRecord:
    return lambda good, *arguments: value


def _recurses(good: Good, *arguments: Any) -> Any:
    return _recurses(good, *arguments)


def _tells_all(kind: Callable[[str], Exception]) -> AuditRecord:
    """Raises an error that quotes the credential, a person and a batch's first hash."""

    def deed(good: Good, *arguments: Any) -> NoReturn:
        known = [f"token={value.token.reveal()}" for value in arguments if isinstance(value, Account)]
        hashes = [repr(value.identifiers) for value in arguments if isinstance(value, Batch)]
        raise kind(" ".join([f"cannot take {PERSON} of {PHONE}", *known, *hashes]))

    return deed


def _prints(good: Good, *arguments: Any) -> Any:
    print(f'{{"type": "RECORD", "record": {{"stream": "x", "data": {{"email": "{PERSON}"}}, "emitted_at": 0}}}}')
    return good(*arguments)


def _closes_stdout(good: Good, *arguments: Any) -> Any:
    sys.stdout.close()
    return good(*arguments)


def _hangs(good: Good, *arguments: Any) -> NoReturn:
    while True:
        threading.Event().wait()


def _dies(good: Good, *arguments: Any) -> Any:
    """Ends the process that it runs in, which had better not be the core's."""
    os.kill(os.getpid(), signal.SIGKILL)
    return good(*arguments)


def _alters(good: Good, *arguments: Any) -> Any:
    """Empties whatever it was given and can reach into."""
    result = good(*arguments)
    for argument in arguments:
        for name in getattr(argument, "__struct_fields__", ()):
            value = getattr(argument, name)
            if isinstance(value, list | dict | set):
                value.clear()
    return result


def _on(kind: type, change: Callable[[Any], Any]) -> AuditRecord:
    """Changes what the good call gives, where it is of that kind."""

    def deed(good: Good, *arguments: Any) -> Any:
        result = good(*arguments)
        return change(result) if isinstance(result, kind) else result

    return deed


def _rows(change: Callable[[dict[Any, Any]], Mapping[Any, Any]]) -> AuditRecord:
    return _on(Page, lambda page: Page(page.stream, [change(dict(row)) for row in page.records]))


def _state(value: Any) -> AuditRecord:
    return _on(Checkpoint, lambda checkpoint: Checkpoint(checkpoint.stream, value))


def _rejects_all(reason: str) -> AuditRecord:
    def deed(good: Good, batch: Batch) -> Outcome:
        return Outcome(rejected=dict.fromkeys(batch.keys, reason))

    return deed


def _any(kind: Any) -> Any:
    return kind


def _cycle(row: dict[Any, Any]) -> dict[Any, Any]:
    row["friend"] = row
    return row


def _deep(row: dict[Any, Any]) -> dict[Any, Any]:
    inner: dict[Any, Any] = {}
    for _ in range(5_000):
        inner = {"inner": inner}
    return row | inner


# Untyped, since no value that fits is given to them.
_audience_ref, _catalog, _outcome, _page = map(_any, (AudienceRef, Catalog, Outcome, Page))
_probe, _stream = map(_any, (Probe, Stream))
_NOBODY = {b"\0" * 16: "nobody", b"short": "nobody", b"": "nobody"}
_CYCLE: dict[str, Any] = {}
_CYCLE["itself"] = _CYCLE

MISDEEDS: dict[str, AuditRecord] = {
    "raises KeyError": _raises(KeyError(PERSON)),
    "raises RecursionError": _recurses,
    "raises MemoryError": _raises(MemoryError()),
    "raises SystemExit": _raises(SystemExit(0)),
    "raises StopIteration": _raises(StopIteration(PERSON)),
    "raises GeneratorExit": _raises(GeneratorExit(PERSON)),
    "raises Quit": _raises(Quit(PERSON)),
    "tells all in a ConfigError": _tells_all(lambda text: ConfigError(text, place=text, remedy=text)),
    "tells all in a bug": _tells_all(RuntimeError),
    "hangs": _hangs,
    "dies": _dies,
    "asks for an endless wait": _raises(TransientError("busy", retry_after=float("inf"))),
    "gives None": _gives(None),
    "gives a number": _gives(42),
    "gives a text": _gives(PERSON),
    "gives an object": _gives({"status": "ok"}),
    "gives a list of numbers": _gives([1, 2]),
    "prints": _prints,
    "closes stdout": _closes_stdout,
    "alters what it got": _alters,
    "probes without names": _gives([_probe(None, None, None, None)]),
    "tells all in a probe": _gives([Probe("token", False, f"cannot take {PERSON} of {PHONE}", PERSON)]),
    "offers no streams": _gives(_catalog(None)),
    "offers a stream without a name": _gives(_catalog((_stream(name=None, profile=7, membership=True),))),
    "yields another stream too": lambda good, *arguments: chain([Page("others", [{"id": PERSON}])], good(*arguments)),
    "yields an empty page too": lambda good, *arguments: chain(good(*arguments), [Page("people", [])]),
    "yields numbers as records": _on(Page, lambda page: _page(page.stream, [1, 2])),
    "yields None as records": _on(Page, lambda page: _page(page.stream, None)),
    "yields keys that are no text": _rows(lambda row: row | {1: "one", None: "none", (2, 3): "tuple"}),
    "yields bytes": _rows(lambda row: row | {"raw": b"\xff\x00", "city": b"\xff"}),
    "yields NaN": _rows(lambda row: row | {"score": float("nan"), "rank": float("inf")}),
    "yields objects": _rows(lambda row: row | {"thing": object()}),
    "yields a record in itself": _rows(_cycle),
    "yields a deep record": _rows(_deep),
    "yields a heap": _rows(lambda row: row | {"text": "x" * 100_000} | {f"column {n}": n for n in range(1_000)}),
    "yields a state of objects": _state({"at": object()}),
    "yields a state in itself": _state(_CYCLE),
    "yields a state that is no object": _state([PERSON]),
    "names no audience": _gives(_audience_ref(id=None, account=None)),
    "names an audience at length": _gives(AudienceRef(id="x" * 1_000_000, account="\0\ud800")),
    "rejects nobody": _on(Outcome, lambda outcome: Outcome(rejected=_NOBODY, unknown=frozenset(_NOBODY))),
    "rejects by number": _on(Outcome, lambda outcome: _outcome(rejected={1: 2}, unknown={3})),
    "rejects in None": _on(Outcome, lambda outcome: _outcome(rejected=None, unknown=None)),
    "tells all in a reason": _rejects_all(f"cannot take {PERSON} of {PHONE}"),
    "pauses for ever": _on(Outcome, lambda outcome: Outcome(pause=float("inf"))),
    "pauses for no number": _on(Outcome, lambda outcome: _outcome(pause="a while")),
    "leaves it pending": _on(Outcome, lambda outcome: Outcome(pending="job")),
    "leaves a number pending": _on(Outcome, lambda outcome: _outcome(pending=7)),
}
"""By name, in the words of a test's title."""
