"""Defines the fields of a conversion that a mapping can fill, and the SQL that composes an event of them.

Times are ISO 8601 (without a zone: UTC) or numbers of seconds, milliseconds or microseconds since 1970. `item_ids`,
`item_quantities` and `item_prices` have one value for each product.
"""

from __future__ import annotations

from collections.abc import Sequence

REQUIRED = ("event_id", "event_name", "occurred_at")
CLICK_IDS = ("fbc", "fbp", "gclid", "gbraid", "wbraid", "ttclid", "ttp")
PERSONAL = ("ip_address", "user_agent")
"""Personal fields that are useful in clear only; their mappings must allow it (`policy: clear`)."""
LISTS = ("item_ids", "item_quantities", "item_prices")
_TEXTS = ("event_id", "event_name", "source", "url", "order_id", *PERSONAL)
FIELDS = (*_TEXTS, "occurred_at", "value", "currency", *CLICK_IDS, *LISTS)

OLDEST_DAYS = 90
"""Older events are not sent: no platform accepts them, and the ledger may no longer know that they were sent."""
_SOURCES = "'web', 'app', 'store', 'crm'"
_MAX_BYTES = 60_000


def column(field: str) -> str:
    """The name under which `compose` expects a field: VARCHAR (NULL: missing), of `LISTS` VARCHAR[]."""
    return f"event_{field}"


def compose(mapped: str, fields: Sequence[str]) -> str:
    """The SELECT `mapped` with its columns of event fields replaced by three.

    `event_id` VARCHAR, `event` VARCHAR[] of one text: a `Conversion` as JSON without what is missing, `clicked`
    BOOLEAN: whether it has a click id. Values that are none of their kind go to `faults`, and events without all of
    `REQUIRED`, or too old, to `dropped`.
    """
    given = {field: column(field) if field in fields else _absent(field) for field in FIELDS}
    parsed = f"""
        SELECT *, {_moment(given["occurred_at"])} AS occurred_at, {_number(given["value"])} AS amount,
               upper(trim({given["currency"]})) AS money, lower(trim({given["source"]})) AS place,
               len({given["item_ids"]}) AS items
        FROM ({mapped})"""
    whole = f"""
        SELECT *, CAST(json_merge_patch('{{}}', to_json({_struct(given)})) AS VARCHAR) AS event FROM ({parsed})"""
    dropped = f"""
        CASE WHEN {given["event_id"]} IS NULL THEN 'incomplete:event_id'
             WHEN {given["event_name"]} IS NULL THEN 'incomplete:event_name'
             WHEN occurred_at IS NULL THEN 'incomplete:occurred_at'
             WHEN occurred_at < epoch(now()) - {OLDEST_DAYS} * 86400 THEN 'too_old'
             WHEN octet_length(encode(event)) > {_MAX_BYTES} THEN 'invalid:too_large' END"""
    temporary = [*map(column, fields), "occurred_at", "amount", "money", "place", "items"]
    return f"""
        SELECT * EXCLUDE ({", ".join(temporary)})
                 REPLACE ([event] AS event, coalesce(dropped, {dropped}) AS dropped,
                          list_concat(faults, {_faults(given)}) AS faults),
               {given["event_id"]} AS event_id,
               coalesce({", ".join(given[name] for name in CLICK_IDS)}) IS NOT NULL AS clicked
        FROM ({whole})"""


def _absent(field: str) -> str:
    return "CAST([] AS VARCHAR[])" if field in LISTS else "CAST(NULL AS VARCHAR)"


def _moment(text: str) -> str:
    number = _number(text)
    unit = f"CASE WHEN {number} >= 1e14 THEN 1e6 WHEN {number} >= 1e11 THEN 1e3 ELSE 1 END"
    has_zone = f"regexp_matches({text}, '([Zz]|[+-]\\d\\d(:?\\d\\d)?)\\s*$')"
    # A time without zone must not depend on the zone of the machine.
    with_zone, without = (f"epoch(TRY_CAST({text} AS {kind}))" for kind in ("TIMESTAMPTZ", "TIMESTAMP"))
    other = f"WHEN {has_zone} AND contains({text}, ':') THEN {with_zone} ELSE {without}"
    return f"CASE WHEN {number} IS NOT NULL THEN {number} / {unit} {other} END"


def _number(text: str) -> str:
    return f"CASE WHEN isfinite(TRY_CAST({text} AS DOUBLE)) THEN TRY_CAST({text} AS DOUBLE) END"


def _struct(given: dict[str, str]) -> str:
    parts = {name: given[name] for name in _TEXTS} | {
        "source": f"CASE WHEN place IN ({_SOURCES}) THEN place END",
        "occurred_at": "occurred_at",
        "value": "amount",
        "currency": "CASE WHEN regexp_full_match(money, '[A-Z]{3}') THEN money END",
        "click_ids": "{" + ", ".join(f"'{name}': {given[name]}" for name in CLICK_IDS) + "}",
        "items": f"""CASE WHEN items > 0 THEN list_transform({given["item_ids"]}, lambda id, i: {{'id': id,
            'quantity': {_of_item(given["item_quantities"])}, 'price': {_of_item(given["item_prices"])}}}) END""",
    }
    return "{" + ", ".join(f"'{name}': {sql}" for name, sql in parts.items()) + "}"


def _of_item(values: str) -> str:
    return f"CASE WHEN len({values}) = items THEN {_number(f'{values}[i]')} END"


def _faults(given: dict[str, str]) -> str:
    codes = [
        f"CASE WHEN {given['value']} IS NOT NULL AND amount IS NULL THEN 'value:not_a_number' END",
        "CASE WHEN NOT regexp_full_match(money, '[A-Z]{3}') THEN 'currency:not_iso_4217' END",
        f"CASE WHEN place NOT IN ({_SOURCES}) THEN 'source:unknown' END",
        *(
            f"CASE WHEN len({given[name]}) NOT IN (0, items) THEN '{name}:not_one_for_each_item' END"
            for name in ("item_quantities", "item_prices")
        ),
    ]
    return f"list_filter([{', '.join(codes)}], lambda code: code IS NOT NULL)"
