"""The suites of the good connectors and of those that break one rule each.

`test_mutations.py` runs a copy of this file, beside the schemas that the connectors' earlier versions have committed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import pytest
from cdp_bridge.sdk import Connector
from cdp_bridge.testing import DestinationSuite, DestinationTwin, SourceSuite, SourceTwin
from cdp_bridge.testing.vendor import SEGMENT, TOKEN, Vendor
from hostile import LIMITS
from hostile.breaches import BREACHES
from hostile.settings import Account

GOOD = (
    Connector(name="source-good", kind="source", settings=Account, load="hostile.source:GoodSource"),
    Connector(
        name="destination-good",
        kind="destination",
        settings=Account,
        load="hostile.destination:GoodDestination",
        limits=LIMITS,
    ),
)
EXPENSIVE = (4, 12, 39, 40)
"""Rules that take long (processes, many streams, traced memory): tried on good connectors and those that break them."""
SHARE = 1 if "LONG_TESTS" in os.environ else 4
"""Of the rules that it does not break, a connector is held to every fourth, and the next one to the next fourth; to all
with LONG_TESTS.
"""


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with Vendor().running() as vendor:
        yield vendor


class OfSources(SourceSuite):
    """A source of the made-up vendor under the kit."""

    @pytest.fixture
    def twin(self, vendor: Vendor) -> SourceTwin:
        return SourceTwin(
            settings={"token": TOKEN, "base_url": vendor.url},
            wrong_settings={"token": "vendor-token-9876543210", "base_url": vendor.url},
            segment=SEGMENT,
            keys=vendor.keys,
            churn=vendor.churn,
            url=vendor.url,
        )


class OfDestinations(DestinationSuite):
    """A destination of the made-up vendor under the kit."""

    @pytest.fixture
    def twin(self, vendor: Vendor) -> DestinationTwin:
        return DestinationTwin(
            settings={"token": TOKEN, "base_url": vendor.url},
            wrong_settings={"token": "vendor-token-9876543210", "base_url": vendor.url},
            audiences=vendor.audiences,
            members=vendor.members,
            conversions=vendor.conversions,
            refuse={"row": vendor.refuse, "count": vendor.refuse_by_count, "request": vendor.refuse_whole},
            url=vendor.url,
        )


def _suite(connector: Connector, must: int, number: int) -> type:
    """A suite with the rule that a connector breaks, and its share of the others, none of them expensive."""
    base = OfSources if connector.kind == "source" else OfDestinations
    rules = {name: int(match[1]) for name in dir(base) if (match := re.match(r"test_must_(\d\d)_", name))}
    left_out = [name for name, rule in rules.items() if rule != must and (rule in EXPENSIVE or (rule - number) % SHARE)]
    return type(f"Test{connector.load}", (base,), {"connector": connector, **dict.fromkeys(left_out)})


class TestGoodSource(OfSources):
    connector = GOOD[0]


class TestGoodDestination(OfDestinations):
    connector = GOOD[1]


globals().update(
    {f"Test{number}": _suite(breach.connector, breach.must, number) for number, breach in enumerate(BREACHES)}
)
