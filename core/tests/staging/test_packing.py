"""Packed identifiers: what SQL packs, Python unpacks, and both fingerprint the same."""

from typing import Any

import duckdb
import msgspec
import pyarrow as pa
from cdp_bridge.staging.packing import PACK_MACROS, batch_columns, fingerprint, pack_sql, unpack
from hypothesis import given, settings
from hypothesis import strategies as st

COLUMNS = {"email": pa.binary(), "phone": pa.binary(), "external_id": pa.string(), "country": pa.string()}
HASHED = ("email", "phone")

digests = st.lists(st.binary(min_size=32, max_size=32), max_size=20)
texts = st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=300), max_size=3)
people = st.lists(st.tuples(digests, digests, texts, texts), min_size=1, max_size=5)


@settings(deadline=None, max_examples=60)
@given(people)
def test_what_sql_packs_is_the_messagepack_map_of_the_filled_columns(rows: list[tuple[Any, ...]]) -> None:
    table = pa.table(
        {name: pa.array([row[at] for row in rows], pa.list_(kind)) for at, (name, kind) in enumerate(COLUMNS.items())}
    )
    with duckdb.connect() as connection:
        for macro in PACK_MACROS:
            connection.execute(macro)
        connection.register("page", table)
        packed = connection.execute(
            "SELECT packed, unhex(sha256(packed)[1:32]) "
            f"FROM (SELECT {pack_sql(list(COLUMNS), HASHED)} AS packed FROM page)"
        ).fetchall()
    for row, (blob, digest) in zip(rows, packed, strict=True):
        assert unpack(blob) == {name: values for name, values in zip(COLUMNS, row, strict=True) if values}
        assert digest == fingerprint(blob)


def packed(**columns: object) -> bytes:
    return msgspec.msgpack.encode(columns)


def test_a_fingerprint_changes_with_every_value() -> None:
    assert len(fingerprint(packed(email=b"a" * 32))) == 16
    assert fingerprint(packed(email=b"a" * 32)) != fingerprint(packed(email=b"b" * 32))


def test_batch_columns_are_hex_and_leave_empty_columns_out() -> None:
    members = [packed(email=b"\x0a" * 32, external_id=["C-1"]), packed(email=b"\x0b" * 32), packed()]
    assert batch_columns(members[:2], ["email", "phone"]) == {"email": [("0a" * 32,), ("0b" * 32,)]}
    assert batch_columns(members, ["email", "phone", "external_id"]) == {
        "email": [("0a" * 32,), ("0b" * 32,), ()],
        "external_id": [("C-1",), (), ()],
    }


def test_batch_columns_keep_several_values_in_order() -> None:
    members = [packed(email=b"\x01" * 32 + b"\x02" * 32, madid=["x", "y"]), packed(email=b"\x03" * 32)]
    assert batch_columns(members, ["email", "madid"]) == {
        "email": [("01" * 32, "02" * 32), ("03" * 32,)],
        "madid": [("x", "y"), ()],
    }
