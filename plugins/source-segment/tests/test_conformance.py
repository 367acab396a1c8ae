"""source-segment under the conformance kit."""

import json
from collections.abc import Iterator

import pytest
import requests
import sandbox
from cdp_bridge.testing import SourceSuite, SourceTwin
from source_segment import CONNECTOR

AUDIENCE = "cart_abandoners_7d"


class TestSourceSegment(SourceSuite):
    connector = CONNECTOR


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sandbox.Sandbox]:
    """A workspace of its own, since the kit lets its people change."""
    file = tmp_path_factory.mktemp("warehouse") / "segment.duckdb"
    with sandbox.running(people=300, warehouse=f"duckdb:///{file}") as box:
        yield box


@pytest.fixture
def twin(workspace: sandbox.Sandbox) -> SourceTwin:
    """The Public API and the warehouse of the workspace."""
    # An hour later the token may call again: nobody waits here in truth, so the tests of one minute would use it up.
    requests.post(f"{workspace.segment}/_twin/clock", json={"advance": 3600}).raise_for_status()

    def keys() -> list[tuple[str, str]]:
        people = requests.get(f"{workspace.segment}/_twin/people")
        known = [json.loads(line) for line in people.text.splitlines()]
        return [(AUDIENCE, person["canonical_segment_id"]) for person in known if AUDIENCE in person["audiences"]]

    def churn() -> None:
        # With this seed nobody is deleted: that leaves no trace in the tables, so only the next full read notices it.
        wanted = {"fraction": 0.05, "seed": 5}
        requests.post(f"{workspace.segment}/_twin/churn", json=wanted).raise_for_status()

    settings = {
        "public_api_token": "sandbox-papi-token",
        "profile_api_token": "sandbox-profile-token",
        "base_url": workspace.segment,
        "warehouse": {"url": workspace.warehouse},
        "audiences": [AUDIENCE],
    }
    return SourceTwin(
        settings=settings,
        wrong_settings=settings | {"public_api_token": "kit-wrong-token"},
        segment=AUDIENCE,
        keys=keys,
        churn=churn,
        url=workspace.segment or "",
    )
