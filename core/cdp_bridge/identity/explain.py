"""One value at a time, through the same SQL as a page: why somebody does not match."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from cdp_bridge.errors import ConfigError
from cdp_bridge.identity.compile import compile_profile
from cdp_bridge.identity.functions import register
from cdp_bridge.identity.profile import FIELDS, Profile
from cdp_bridge.identity.refusal import MARK

if TYPE_CHECKING:
    import pyarrow


class Question(msgspec.Struct, frozen=True):
    """A raw value of one identifier, with the country (code or name) it is to be read in."""

    field: str
    raw: str | None
    country: str | None = None


class Explanation(msgspec.Struct, frozen=True):
    """What a profile makes of a value.

    `value` is what would be sent: lower-case hex if `hashed`, else clear text; None if `rejected` names a reason. Of a
    field with several outputs it is the first that has a value (a date of birth: YYYYMMDD, or else the year).
    """

    field: str
    normalised: str | None
    value: str | None
    hashed: bool
    rejected: str | None


def explain(profile: str, field: str, raw: str | None, country: str | None = None) -> Explanation:
    """What `profile` makes of one value; ConfigError for an unknown profile or field."""
    return explain_many(profile, [Question(field, raw, country)])[0]


def explain_many(profile: str | Profile, questions: Iterable[Question]) -> list[Explanation]:
    """What `profile` (or the one of that name) makes of each value, in order; ConfigError for an unknown one or field.

    A question becomes a person of one page, so that all are answered by one run of the profile's SQL.
    """
    import duckdb

    compiled, asked = compile_profile(profile), [_known(question) for question in questions]
    fields = list(dict.fromkeys([*(question.field for question in asked), "country"]))
    with duckdb.connect() as connection:
        register(connection)
        connection.register("page", _page(fields, asked))
        verdicts = (
            connection.sql(f"FROM ({compiled.verdicts(fields, 'page', single=fields)})").to_arrow_table().to_pylist()
        )
        sent = connection.sql(f"FROM ({compiled.values(fields, 'page', single=fields)})").to_arrow_table().to_pylist()
        connection.unregister("page")
    return [
        _explanation(compiled.profile, question.field, *person)
        for question, *person in zip(asked, verdicts, sent, strict=True)
    ]


def _known(question: Question) -> Question:
    if question.field not in FIELDS:
        raise ConfigError(f"there is no identifier {question.field!r}", remedy=f"Use one of: {', '.join(FIELDS)}")
    return question


def _page(fields: Sequence[str], questions: Sequence[Question]) -> "pyarrow.Table":
    import pyarrow

    people = [{"country": _texts(q.country)} | {q.field: _texts(q.raw or "")} for q in questions]
    schema = pyarrow.schema([(field, pyarrow.list_(pyarrow.string())) for field in fields])
    return pyarrow.Table.from_pylist(people, schema=schema)


def _texts(raw: str | None) -> list[str]:
    """A list for Arrow, which holds no lone surrogates: they become U+FFFD, which is refused as damaged text."""
    return [] if raw is None else [raw.encode("utf-16", "surrogatepass").decode("utf-16", "replace")]


def _explanation(profile: Profile, field: str, verdict: dict[str, Any], sent: dict[str, Any]) -> Explanation:
    if field not in profile.fields:
        return Explanation(field, None, None, False, "not_taken")
    hashed, text = profile.fields[field].send == "hash", verdict[field]
    if text.startswith(MARK):
        return Explanation(field, None, None, hashed, text.removeprefix(MARK))
    value = next(sent[output][0] for output in profile.outputs(field) if sent[output])
    return Explanation(field, text, value.hex() if hashed else value, hashed, None)
