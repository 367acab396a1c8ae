"""What a platform says of whom it knows is recorded with its time and interval, apart from the acceptance rate."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cdp_bridge.entities import MatchEstimate
from cdp_bridge.model import Outcome
from msgspec.structs import replace

from ..conftest import SyncHarness

NOW = datetime(2026, 11, 30, tzinfo=UTC)


def test_the_estimate_of_the_audience_is_recorded_when_the_platform_is_asked(each_harness: SyncHarness) -> None:
    harness = each_harness
    log = harness.sync()
    # Of five members the platform of the tests says that it knows seven to nine people: rates end at 1.
    estimate = MatchEstimate(
        audience="vip",
        at=log.sync_timestamp,
        source="audience",
        members=5,
        lower_people=7,
        upper_people=9,
        lower_rate=1.0,
        upper_rate=1.0,
    )
    assert harness.store.match_estimates.listed("vip") == [estimate]
    assert harness.store.match_estimates.last(["vip", "nobody"]) == {"vip": estimate}
    assert (log.match_rate, log.funnel.matched_lower, log.funnel.matched_upper) == (1.0, 7, 9)
    # A run with nothing to send asks as well.
    newer = replace(estimate, at=harness.sync().sync_timestamp)
    assert harness.store.match_estimates.listed("vip") == [newer, estimate]
    assert harness.store.match_estimates.last(["vip"]) == {"vip": newer}


def test_the_estimate_of_an_upload_is_recorded_apart(harness: SyncHarness) -> None:
    harness.platform.answers.append(lambda _: Outcome(match_rate=(0.41, 0.5)))
    harness.sync()
    audience, upload = sorted(harness.store.match_estimates.listed("vip"), key=lambda estimate: estimate.source)
    assert (upload.members, upload.lower_people, upload.lower_rate, upload.upper_rate) == (5, None, 0.41, 0.5)
    assert harness.store.match_estimates.last(["vip"]) == {"vip": audience}


@pytest.mark.parametrize(
    ("members", "people", "rate", "interval"),
    [
        (200, (50, 100), None, (0.25, 0.5)),
        (60, (50, 100), None, (50 / 60, 1.0)),
        (0, (0, 0), None, (None, None)),
        (200, None, (0.63, 0.63), (0.63, 0.63)),
    ],
)
def test_a_number_of_people_is_a_share_of_the_members(
    members: int,
    people: tuple[int, int] | None,
    rate: tuple[float, float] | None,
    interval: tuple[float | None, float | None],
) -> None:
    estimate = MatchEstimate.of("vip", NOW, "audience", members, (people, rate))
    assert estimate is not None
    assert (estimate.lower_rate, estimate.upper_rate) == interval


def test_a_platform_that_tells_nothing_leaves_no_estimate() -> None:
    assert MatchEstimate.of("vip", NOW, "audience", 5, (None, None)) is None
