"""What mappings and a profile would make of some records; nothing is kept or sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from cdp_bridge import engine
from cdp_bridge.entities import DataMapping
from cdp_bridge.identity import Question, explain_many
from cdp_bridge.mapping import compile_mapping, record_batch
from cdp_bridge.model import MappingFunction

COUNTED_BY = 10


class PreviewedValue(Struct, frozen=True, kw_only=True):
    """One identifier of a record: `value` is what would be sent, if it is not `rejected` for a reason."""

    field: str
    rejected: str | None = None
    hashed: bool = False
    value: str | None = None


class PreviewedRecord(Struct, frozen=True, kw_only=True):
    """One record: why it is `dropped`, if it is; the `faults` of its values; the identifiers that are left."""

    dropped: str | None = None
    faults: list[str] = []
    values: list[PreviewedValue] = []

    def without_values(self) -> PreviewedRecord:
        """The same for those who may not see people's hashes."""
        return replace(self, values=[replace(identifier, value=None) for identifier in self.values])


class PreviewCounts(Struct, frozen=True, kw_only=True):
    """How many of some records are dropped, refused or sent, by reason and field; rounded down to tens.

    What fewer than ten people have in common is left out, so that no question is about one person.
    """

    records: int
    dropped: dict[str, int]
    rejected: dict[str, int]
    sent: dict[str, int]


def counts(records: Sequence[PreviewedRecord]) -> PreviewCounts:
    """The counts of a preview; a refused value counts as `field:reason`."""
    values = [value for record in records for value in record.values]
    faults = [fault for record in records for fault in record.faults]
    return PreviewCounts(
        records=_rounded(len(records)),
        dropped=_counted(record.dropped for record in records if record.dropped),
        rejected=_counted([f"{value.field}:{value.rejected}" for value in values if value.rejected] + faults),
        sent=_counted(value.field for value in values if not value.rejected),
    )


def _counted(keys: Iterable[str]) -> dict[str, int]:
    rounded = {key: _rounded(count) for key, count in sorted(Counter(keys).items())}
    return {key: count for key, count in rounded.items() if count}


def _rounded(count: int) -> int:
    return count - count % COUNTED_BY


def preview(
    rules: Sequence[DataMapping],
    records: Sequence[Mapping[str, Any]],
    profile: str,
    functions: Mapping[str, MappingFunction],
) -> list[PreviewedRecord]:
    """What becomes of each record, in order; SettingsError for rules that are wrong."""
    if not records:
        return []
    mapper = compile_mapping(tuple(rules), (), functions)
    batch = record_batch(records)
    with engine.connect() as connection:
        mapper.register(connection)
        connection.register("page", batch)
        mapped = connection.sql(mapper.select(batch.schema)).to_arrow_table().to_pylist()
        connection.unregister("page")
    questions = [list(_questions(row, mapper.columns)) for row in mapped]
    answers = iter(explain_many(profile, [question for of_record in questions for question in of_record]))
    return [
        PreviewedRecord(
            dropped=row["dropped"],
            faults=row["faults"],
            values=[
                PreviewedValue(field=answer.field, rejected=answer.rejected, hashed=answer.hashed, value=answer.value)
                for answer in (next(answers) for _ in of_record)
            ],
        )
        for row, of_record in zip(mapped, questions, strict=True)
    ]


def _questions(row: Mapping[str, Any], columns: Sequence[str]) -> Iterator[Question]:
    country = next(iter(row.get("country") or ()), None)
    for column in columns:
        for value in row[column]:
            yield Question(column, value, country)
