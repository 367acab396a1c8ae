"""`identity`: what a profile makes of raw values, to find out why somebody does not match."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

import click

from cdp_bridge.errors import ConfigError

if TYPE_CHECKING:
    from cdp_bridge.identity import Question

LINES_AT_ONCE = 5_000
NOT_A_QUESTION, UNKNOWN_FIELD = "not_a_question", "unknown_field"
"""Why a line got no answer, as `rejected`."""


@click.command()
@click.option("--profile", required=True, help="Whose rules: a plugin's, or `generic`.")
def identity(profile: str) -> None:
    """Explain raw identifiers, one JSON line each.

    Reads {"field", "raw", "country"?} from standard input and prints {"field", "normalised", "value", "hashed",
    "rejected"}: `value` is what would be sent, `rejected` a reason or null. A line that is no question gets an answer
    too, without a field, and the command fails at the end.
    """
    from cdp_bridge.identity import load_profile

    load_profile(profile)
    output, first, bad = sys.stdout.buffer, 0, 0
    lines = ((number, line) for number, line in enumerate(sys.stdin.buffer, start=1) if line.strip())
    while chunk := list(islice(lines, LINES_AT_ONCE)):
        questions = [_question(line) for _, line in chunk]
        output.write(b"".join(_answers(profile, questions)))
        output.flush()
        numbers = [number for (number, _), question in zip(chunk, questions, strict=True) if isinstance(question, str)]
        first, bad = first or next(iter(numbers), 0), bad + len(numbers)
    if bad:
        raise _fault(first, bad)


def _question(line: bytes) -> Question | str:
    """The question of a line, or why it is none."""
    import msgspec

    from cdp_bridge.files import without_mark
    from cdp_bridge.identity import FIELDS, Question

    try:
        question = msgspec.json.decode(without_mark(line), type=Question)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return NOT_A_QUESTION
    return question if question.field in FIELDS else UNKNOWN_FIELD


def _answers(profile: str, questions: Iterable[Question | str]) -> Iterator[bytes]:
    """A line for each question, in order."""
    import msgspec

    from cdp_bridge.identity import explain_many

    questions = list(questions)
    answers = iter(explain_many(profile, [question for question in questions if not isinstance(question, str)]))
    nothing = {"field": None, "normalised": None, "value": None, "hashed": False}
    for question in questions:
        answer = nothing | {"rejected": question} if isinstance(question, str) else next(answers)
        yield msgspec.json.encode(answer) + b"\n"


def _fault(first: int, bad: int) -> ConfigError:
    from cdp_bridge.identity import FIELDS

    more = f" and {bad - 1} more" if bad > 1 else ""
    remedy = f'Write {{"field": "email", "raw": "..."}}; a field is one of: {", ".join(FIELDS)}'
    return ConfigError("is no question in JSON about an identifier", place=f"line {first}{more}", remedy=remedy)
