"""One value at a time, through the same SQL as a page: why somebody does not match."""

from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from cdp_bridge.errors import ConfigError
from cdp_bridge.identity.compile import CompiledProfile, compile_profile
from cdp_bridge.identity.functions import register
from cdp_bridge.identity.profile import FIELDS
from cdp_bridge.identity.refusal import MARK

if TYPE_CHECKING:
    import duckdb


class Question(msgspec.Struct, frozen=True):
    """A raw value of one identifier, with the country (code or name) it is to be read in."""

    field: str
    raw: str | None
    country: str | None = None


class Explanation(msgspec.Struct, frozen=True):
    """What a profile makes of a value.

    `value` is what would be sent: lower-case hex if `hashed`, else clear text; None if `rejected` names a reason. Of a
    field with several outputs it is the first that has a value (meta's date of birth: YYYYMMDD, or else the year).
    """

    field: str
    normalised: str | None
    value: str | None
    hashed: bool
    rejected: str | None


def explain(profile: str, field: str, raw: str | None, country: str | None = None) -> Explanation:
    """What `profile` makes of one value; ConfigError for an unknown profile or field."""
    return explain_many(profile, [Question(field, raw, country)])[0]


def explain_many(profile: str, questions: Iterable[Question]) -> list[Explanation]:
    """What `profile` makes of each value, in order; ConfigError for an unknown profile or field."""
    import duckdb

    compiled = compile_profile(profile)
    by_field: dict[str, dict[int, Question]] = defaultdict(dict)
    for number, question in enumerate(questions):
        by_field[_known(question.field)][number] = question
    answers: dict[int, Explanation] = {}
    with duckdb.connect() as connection:
        register(connection)
        for field, asked in by_field.items():
            answers |= zip(asked, _answers(connection, compiled, field, list(asked.values())), strict=True)
    return [answers[number] for number in sorted(answers)]


def _known(field: str) -> str:
    if field not in FIELDS:
        raise ConfigError(f"there is no identifier {field!r}", remedy=f"Use one of: {', '.join(FIELDS)}")
    return field


def _answers(
    connection: "duckdb.DuckDBPyConnection", compiled: CompiledProfile, field: str, asked: list[Question]
) -> list[Explanation]:
    """All the values of one field, through the SQL of a page."""
    import pyarrow

    if field not in compiled.profile.fields:
        return [Explanation(field, None, None, False, "not_taken") for _ in asked]
    columns = {"country": [_texts(question.country) for question in asked]}
    columns[field] = [_texts(question.raw or "") for question in asked]
    page = pyarrow.table({name: pyarrow.array(lists, pyarrow.list_(pyarrow.string())) for name, lists in columns.items()})
    connection.register("page", page)
    verdicts = connection.sql(f"SELECT {field} FROM ({compiled.verdicts(list(columns), 'page', single=True)})")
    outputs = ", ".join(compiled.outputs([field]))
    sent = connection.sql(f"SELECT {outputs} FROM ({compiled.values(list(columns), 'page', single=True)})")
    hashed = compiled.profile.fields[field].send == "hash"
    return [
        _explanation(field, verdict, [values[0] for values in row if values], hashed)
        for (verdict,), row in zip(verdicts.fetchall(), sent.fetchall(), strict=True)
    ]


def _texts(raw: str | None) -> list[str]:
    """A list for Arrow, which holds no lone surrogates: they become U+FFFD, which is refused as damaged text."""
    return [] if raw is None else [raw.encode("utf-16", "surrogatepass").decode("utf-16", "replace")]


def _explanation(field: str, verdict: str, sent: list[bytes] | list[str], hashed: bool) -> Explanation:
    if verdict.startswith(MARK):
        return Explanation(field, None, None, hashed, verdict.removeprefix(MARK))
    return Explanation(field, verdict, sent[0].hex() if isinstance(sent[0], bytes) else sent[0], hashed, None)
