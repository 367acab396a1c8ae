"""A sandbox whose batches are small."""

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
def with_small_batches(bridge_sandbox: Any, people: int, *segments: str) -> Iterator[Any]:
    """A sandbox whose members have an external id of 4,000 characters, so that about a hundred of them fill a batch."""
    with bridge_sandbox(people, *segments) as harness:
        harness.rewrite("suppressions:", LONG)
        yield harness


@pytest.fixture(scope="session")
def bridge_sandbox_of_small_batches(bridge_sandbox: Any) -> Any:
    return partial(with_small_batches, bridge_sandbox)
