"""Raw records with canonical field names, normalised and hashed by the stage that a run of the bridge uses too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from cdp_bridge import engine
from cdp_bridge.entities import DataMapping
from cdp_bridge.identity import FIELDS
from cdp_bridge.mapping import compile_mapping, events, record_batch
from cdp_bridge.staging.stage import Stage

Fields = Mapping[str, Any]


class Hashed(Struct, frozen=True):
    """What a profile makes of records: its `columns`, the `members` by record position, and why the others are none."""

    columns: tuple[str, ...]
    members: dict[int, bytes]
    reasons: Counter[str]


def canonical(data: Mapping[str, Any], names: Sequence[str]) -> Fields:
    """The canonical fields of a record that hold a value or a list of values, of those named.

    They stand in the record itself or, as in the membership records of our sources, in its `identifiers` or `traits`.
    """
    parts = [part for part in (data.get("traits"), data.get("identifiers"), data) if isinstance(part, Mapping)]
    return {
        field: value
        for part in parts
        for field in names
        if (value := part.get(field)) is not None and _is_usable(value)
    }


def apply_profile(profile: str, records: Sequence[Fields], matching_keys: Sequence[str] = ()) -> Hashed:
    """Normalise and hash records that `canonical` made: people, or conversions if they have fields of these.

    `matching_keys` are the only columns of the profile that are wanted (none named: all).
    """
    rows = [{**record, "user_id": str(position)} for position, record in enumerate(records)]
    # Who drives the executable chose the fields when choosing the stream, so no policy narrows them here.
    fields = [field for field in FIELDS if any(field in record for record in records)]
    about = [field for field in events.FIELDS if any(field in record for record in records)]
    named = ("user_id", *fields, *(dict.fromkeys((*events.REQUIRED, *about)) if about else ()))
    mappings = [DataMapping(omniads_field=field, cdp_field=field, policy="clear") for field in named]
    with engine.connect() as connection:
        mapper = compile_mapping(mappings, (), {})
        stage = Stage(connection, mapper, profile, fields, key=b"", matching_keys=matching_keys)
        stage.take(record_batch(rows))
        stage.finish()
        return Hashed(
            columns=stage.columns,
            members={int(position): packed for position, packed in stage.members()},
            reasons=Counter(stage.reasons()),
        )


def _is_usable(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and all(isinstance(part, str | int | float) for part in value)
    return isinstance(value, str | int | float)
