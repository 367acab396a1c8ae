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


@click.command()
@click.option("--profile", required=True, help="Whose rules: a plugin's, or `generic`.")
def identity(profile: str) -> None:
    """Explain raw identifiers, one JSON line each.

    Reads {"field", "raw", "country"?} from standard input and prints {"field", "normalised", "value", "hashed",
    "rejected"}: `value` is what would be sent, `rejected` a reason or null.
    """
    import msgspec

    from cdp_bridge.identity import explain_many, load_profile

    load_profile(profile)
    questions = _questions(sys.stdin.buffer)
    output = sys.stdout.buffer
    while chunk := list(islice(questions, LINES_AT_ONCE)):
        output.write(b"".join(msgspec.json.encode(answer) + b"\n" for answer in explain_many(profile, chunk)))
        output.flush()


def _questions(lines: Iterable[bytes]) -> Iterator[Question]:
    import msgspec

    from cdp_bridge.files import without_mark
    from cdp_bridge.identity import FIELDS, Question

    decoder = msgspec.json.Decoder(Question)
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            question = decoder.decode(without_mark(line) if number == 1 else line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise ConfigError(
                "is not a question in JSON", place=f"line {number}", remedy='Write {"field": "email", "raw": "..."}'
            ) from None
        if question.field not in FIELDS:
            raise ConfigError("names no identifier", place=f"line {number}", remedy=f"Use one of: {', '.join(FIELDS)}")
        yield question
