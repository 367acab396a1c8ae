"""Streams as Airbyte's users send them: what a destination's executable must take, whatever is in it.

A stream is a list of records (dicts, or bytes of JSON that no dict can say) and STATE messages (`State`), in the order
in which they are sent; the table's key is its name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from cdp_bridge.testing.executable import records


class State(Struct, frozen=True):
    """A STATE of this stream, or by another `type` than `STREAM` of all streams."""

    mark: int
    type: str = "STREAM"

    def message(self, stream: str) -> dict[str, Any]:
        """As a source sends it."""
        about = {"stream_descriptor": {"name": stream}, "stream_state": {"mark": self.mark}}
        by_type: dict[str, dict[str, Any]] = {
            "STREAM": {"stream": about},
            "GLOBAL": {"global": {"shared_state": {"mark": self.mark}, "stream_states": [about]}},
            "LEGACY": {"data": {"mark": self.mark}},
        }
        return {"type": self.type, **by_type[self.type]}


Item = Mapping[str, Any] | bytes | State


def lines(stream: str, items: Sequence[Item]) -> bytes:
    """The stream as the lines of a source."""
    return b"".join(_line(stream, item) for item in items)


def _line(stream: str, item: Item) -> bytes:
    if isinstance(item, State):
        return msgspec.json.encode({"type": "STATE", "state": item.message(stream)}) + b"\n"
    if isinstance(item, bytes):
        return records(stream, [{}]).replace(b"{}", item, 1)
    return records(stream, [item])


def _people(count: int) -> list[Item]:
    return [{"email": f"person.{number}@example.com"} for number in range(count)]


_SOME: list[Item] = [*_people(3), State(1)]
_EMOJI = "\U0001f469\u200d\U0001f469\u200d\U0001f467"

_NAMES: dict[str, list[Item]] = {
    "name with blanks": _SOME,
    " blanks around ": _SOME,
    f"émoji {_EMOJI}": _SOME,
    "1st_digit": _SOME,
    "select": _SOME,
    "UPPER": _SOME,
    "名前": _SOME,
    "../../up/and/away": _SOME,
    'quote"s and \\ slashes; -- %20 %s {0} $HOME': _SOME,
    "tab\tand\nline break": _SOME,
    "long_" * 50: _SOME,
}
_SHAPES: dict[str, list[Item]] = {
    "columns_300": [{"email": "a@example.com", **{f"column {n}": n for n in range(300)}}, State(1)],
    "columns_like_ours": [
        {
            "email": "a@example.com",
            "user_id": "rowid",
            "operation": "remove",
            "key": "0" * 32,
            "packed": "x",
            "reason": "y",
            "__proto__": {"email": "b@example.com"},
            "schema": [],
        },
        State(1),
    ],
    "empty_records": [{}, {}, State(1)],
    "nulls": [{"email": None, "phone": None, "user_id": None, "is_member": None}, State(1)],
    "empty_texts": [{"email": "", "phone": " ", "first_name": "\u00a0", "user_id": ""}, State(1)],
    "no_identifiers": [{"id": 1, "colour": "blue"}, State(1)],
    "nested": [
        {"email": {"value": "a@example.com"}, "phone": {"mobile": {"home": []}}},
        {"traits": {"email": "b@example.com"}, "identifiers": {"phone": "+12125550123"}},
        {"traits": "none", "identifiers": ["email"]},
        State(1),
    ],
    "lists": [
        {"email": ["a@example.com", "b@example.com", "a@example.com"]},
        {"email": [], "phone": [None]},
        {"email": [["c@example.com"]], "external_id": [1, 2.5, "3"]},
        State(1),
    ],
    "mixed_types": [*({"email": value} for value in ("a@example.com", 17, 2.5, True, ["b"], {"c": 1})), State(1)],
}
_VALUES: dict[str, list[Item]] = {
    "keys_twice": [b'{"email": "a@example.com", "email": "b@example.com", "email": null, "user_id": "u"}', State(1)],
    "big_numbers": [
        {"email": "a@example.com", "user_id": 2**53 + 1, "external_id": 2**63},
        {"user_id": -(2**63) - 1, "phone": 10**40, "external_id": 2**53 + 1},
        {"phone": 12125550123, "external_id": -0.0},
        {"email": "b@example.com", "external_id": 1.7976931348623157e308, "phone": 5e-324},
        State(1),
    ],
    "words_for_nothing": [
        *({"email": word, "external_id": word} for word in ("NaN", "Infinity", "null", "None", "undefined", "#N/A")),
        State(1),
    ],
    "control_characters": [
        {"email": "a\u0000b@example.com", "first_name": "\u001b[31mred"},
        {"email": "\ufeffc@example.com\r\n", "city": "\u0007\u007f\u0085"},
        State(1),
    ],
    "scripts_and_emoji": [
        {"email": "jörg.müller@exämple.de", "first_name": "Jörg"},
        {"email": "用户@例子.公司", "first_name": "李", "city": "北京市"},
        {"email": "x@example.com", "first_name": "\u202eمحمد\u202c", "last_name": "e\u0301\u0301\u0301"},
        {"email": f"{_EMOJI}@example.com", "first_name": _EMOJI, "external_id": _EMOJI},
        State(1),
    ],
    "not_characters": [{"email": "a@example.com", "first_name": "\uffff\ufdd0\ufffd", "city": "\u2028"}, State(1)],
    "halves_of_characters": [
        b'{"email": "a@example.com", "first_name": "x\\ud800y", "user_id": "\\udc00"}',
        b'{"\\udfff": "z", "email": "b@example.com", "city": "\\ud83d\\ude00"}',
        State(1),
    ],
    "numbers_beyond_all_bounds": [b'{"email": "a@example.com", "user_id": 1e400, "external_id": -1e999}', State(1)],
    "injections": [
        {"email": "'; DROP TABLE member; --@example.com", "external_id": "' OR '1'='1"},
        {"email": "<script>@example.com", "first_name": "{{7*7}}", "external_id": "=1+1"},
        {"external_id": "../../etc/passwd", "city": "%s%n$(reboot)`reboot`"},
        State(1),
    ],
    "long_values": [
        {"email": f"{'a' * 100_000}@example.com", "first_name": "b" * 100_000, "user_id": "c" * 100_000},
        {"email": "d@example.com", "external_id": "e" * 60_000},
        State(1),
    ],
    "odd_dates": [
        *({"email": "a@example.com", "date_of_birth": day} for day in ("0000-00-00", "31.02.1999", 1e12, "tomorrow")),
        State(1),
    ],
    "odd_phones": [*({"phone": phone} for phone in ("", "+", "00", "anonymous", "1" * 500, 0)), State(1)],
    "odd_countries": [
        *({"email": "a@example.com", "country": country} for country in ("USA", "zz", "", 49, "A" * 99)),
        State(1),
    ],
    "hashes": [{"email": "0" * 64, "phone": "F" * 64, "external_id": "a" * 64}, State(1)],
}
_ORDERS: dict[str, list[Item]] = {
    "nothing": [],
    "only_states": [State(1), State(2, "GLOBAL"), State(3, "LEGACY")],
    "no_state": [*_people(3)],
    "state_after_each": [item for n, person in enumerate(_people(4)) for item in (person, State(n))],
    "states_of_all": [*_people(3), State(1, "GLOBAL"), *_people(5), State(2, "LEGACY"), State(3)],
    "deletes_only": [
        *({"email": f"gone.{n}@example.com", "_ab_cdc_deleted_at": "2026-01-01T00:00:00Z"} for n in range(3)),
        State(1),
    ],
    "comes_and_goes": [
        *(
            {"user_id": "u", "email": f"{n}@example.com", "is_member": is_member, "_ab_cdc_deleted_at": deleted}
            for n, (is_member, deleted) in enumerate([(True, None), (False, None), (True, "2026-01-01"), (True, None)])
        ),
        State(1),
    ],
    "one_person_many_records": [*({"user_id": 1, "email": "a@example.com", "n": n} for n in range(20)), State(1)],
    "same_address_many_people": [*({"user_id": n, "email": "a@example.com"} for n in range(20)), State(1)],
    "many_records": [*_people(700), State(1)],
}

HOSTILE_STREAMS: dict[str, list[Item]] = {**_NAMES, **_SHAPES, **_VALUES, **_ORDERS}
