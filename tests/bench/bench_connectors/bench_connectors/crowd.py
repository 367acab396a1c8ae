"""A source of made-up people with seven identifiers, generated in columns so that reading costs little."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc
from cdp_bridge.sdk import Catalog, Checkpoint, Page, Probe, ReadRequest, Stream

from . import Crowd

PAGE = 20_000


def check(settings: Crowd) -> list[Probe]:
    """Nothing can be wrong."""
    return []


def discover(settings: Crowd) -> Catalog:
    """The people."""
    return Catalog((Stream(name="people", primary_key=("id",), membership=True),))


def read(settings: Crowd, request: ReadRequest) -> Iterator[Page | Checkpoint]:
    """All of them."""
    for first in range(0, settings.people, PAGE):
        yield Page(request.stream, _page(first, min(first + PAGE, settings.people)))


def _page(first: int, stop: int) -> pa.RecordBatch:
    numbers = pc.utf8_lpad(pa.array(range(first, stop)).cast(pa.string()), 7, "0")
    columns = {
        "id": pc.binary_join_element_wise("u", numbers, ""),
        "email": pc.binary_join_element_wise("person.", numbers, "@example.com", ""),
        "phone": pc.binary_join_element_wise("+1212", numbers, ""),
        "first_name": pc.binary_join_element_wise("Ada", numbers, " "),
        "last_name": pc.binary_join_element_wise("Lovelace", numbers, " "),
        "city": pa.array(["London"] * len(numbers)),
        "postal_code": pc.utf8_slice_codeunits(numbers, 0, 5),
        "country": pa.array(["US"] * len(numbers)),
    }
    return pa.RecordBatch.from_pydict(columns)
