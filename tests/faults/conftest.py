"""A town whose batches are small."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

LONG = """\
    - {omniads_field: external_id, cdp_field: canonical_segment_id, transformation_rule: "rpad(value, 4000, '.')",
       policy: clear}
suppressions:"""


@contextmanager
def found(found_town: Any, people: int, *segments: str) -> Iterator[Any]:
    """A town whose members have an external id of 4,000 characters, so that about a hundred of them fill a batch."""
    with found_town(people, *segments) as town:
        town.rewrite("suppressions:", LONG)
        yield town


@pytest.fixture(scope="session")
def found_town_of_small_batches(found_town: Any) -> Any:
    return partial(found, found_town)
