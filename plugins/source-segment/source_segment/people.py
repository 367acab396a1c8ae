"""Makes records of people from folded rows, and folds them for warehouses that cannot do it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from source_segment.query import TRUE, Selection, fold

FACTS_AT_ONCE = 250_000
_LISTS = pa.list_(pa.string())
_FACTS = pa.schema(
    [
        *((name, pa.string()) for name in ("canonical_segment_id", "kind", "name", "value")),
        ("seq", pa.int64()),
    ]
)


def records(folded: pa.RecordBatch, selection: Selection) -> pa.RecordBatch:
    """The records of some people, as the stream `audience_members` has them; `is_member` only in a read of changes.

    A struct of which nothing exists or is wanted is left out.
    """
    lists = {kind: folded[f"i{number}"].cast(_LISTS) for number, kind in enumerate(selection.all_types)}
    texts = {name: folded[f"t{number}"].cast(pa.string()) for number, name in enumerate(selection.all_traits)}
    columns = {
        "segment_id": pa.repeat(pa.scalar(selection.key, pa.string()), len(folded)),
        "canonical_segment_id": folded["canonical_segment_id"].cast(pa.string()),
        "user_id": pc.list_element(lists["user_id"], 0),
    }
    for struct, held, names in (("identifiers", lists, selection.types), ("traits", texts, selection.traits)):
        if names:
            columns[struct] = pa.StructArray.from_arrays([held[name] for name in names], names=list(names))
    if selection.since is not None:
        flag = pc.utf8_lower(texts[selection.key])
        columns["is_member"] = pc.fill_null(pc.is_in(flag, pa.array(TRUE)), False)
    return pa.record_batch(columns)


def folded_here(facts: Iterable[pa.RecordBatch], selection: Selection) -> Iterator[pa.RecordBatch]:
    """Fold rows of `Queries.facts`, which come sorted by person, some people at a time in DuckDB."""
    import duckdb

    with duckdb.connect() as database:
        for table in _whole_people(facts):
            database.register("facts", table)
            query = (
                "WITH identifiers AS (SELECT *, name AS type FROM facts WHERE kind = 'i'), "
                f"traits AS (SELECT * FROM facts WHERE kind = 't') {fold(selection)}"
            )
            yield from database.sql(query).to_arrow_reader(FACTS_AT_ONCE)


def _whole_people(facts: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Tables of about `FACTS_AT_ONCE` rows, cut between two people."""
    held: list[pa.RecordBatch] = []
    for batch in facts:
        columns = [batch[name].cast(kind) for name, kind in zip(_FACTS.names, _FACTS.types, strict=True)]
        held.append(pa.record_batch(columns, schema=_FACTS))
        if sum(map(len, held)) < FACTS_AT_ONCE:
            continue
        table = pa.Table.from_batches(held)
        # Without case, for some engines sort people together whose ids differ in case alone.
        owners = pc.utf8_lower(table["canonical_segment_id"])
        end = pc.index(owners, owners[-1]).as_py()
        if end:
            yield table.slice(0, end)
        held = table.slice(end).to_batches()
    if held:
        yield pa.Table.from_batches(held)
