"""What a run notices of its audience at the platform, also where nothing changed: lost, emptied, renamed, no access."""

from datetime import timedelta

import pytest
from cdp_bridge.errors import ConfigError
from cdp_bridge.model import Audience, AudienceRef
from cdp_bridge.sync.ensure import PROCESSING
from msgspec.structs import replace

from ..conftest import SyncHarness


@pytest.fixture(params=["whole", "incremental"])
def filled(harness: SyncHarness, request: pytest.FixtureRequest) -> SyncHarness:
    """After a first run, of which the platform shows that 4,000 to 4,100 people are in."""
    harness.configure(incremental=request.param == "incremental", audience_name="VIP")
    harness.sync()
    harness.platform.shown = (4_000, 4_100)
    assert harness.sync().status == "succeeded"
    return harness


def test_a_lost_audience_is_filled_anew_although_nobody_changed(
    filled: SyncHarness, caplog: pytest.LogCaptureFixture
) -> None:
    filled.platform.lose()
    log = filled.sync()
    assert (log.status, log.adds) == ("succeeded", 5)
    assert "the platform has lost the audience" in caplog.text
    filled.assert_equal()


def test_a_revoked_token_fails_a_run_without_differences(filled: SyncHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Audience) -> AudienceRef:
        raise ConfigError("the access token is not valid any more", remedy="Make a new one")

    with monkeypatch.context() as patch:
        patch.setattr(filled.platform, "ensure", refuse)
        log = filled.sync()
    assert (log.status, log.error) == ("failed", "the access token is not valid any more. Make a new one")
    assert filled.sync().status == "succeeded"


def test_an_emptied_audience_is_filled_again_once(filled: SyncHarness, caplog: pytest.LogCaptureFixture) -> None:
    (held,) = filled.platform.audiences.values()
    held.clear()
    filled.platform.shown = (0, 100)
    log = filled.sync()
    assert (log.status, log.records_processed, filled.ref().id) == ("succeeded", 5, "a1")
    assert "at most 100 people in the audience, 4000 before" in caplog.text
    filled.assert_equal()
    assert filled.sync().records_processed == 0


def test_an_audience_that_was_emptied_while_its_size_was_hidden_is_filled_again(filled: SyncHarness) -> None:
    filled.platform.shown = None
    assert filled.sync().records_processed == 0
    filled.platform.shown = (0, 100)
    assert filled.sync().records_processed == 5


def test_a_size_that_falls_by_less_than_half_is_no_alarm(filled: SyncHarness) -> None:
    filled.platform.shown = (1_900, 2_000)
    assert filled.sync().records_processed == 0


@pytest.mark.parametrize(("days", "processed"), [(PROCESSING.days - 1, 0), (PROCESSING.days + 1, 5)])
def test_a_size_that_falls_since_the_bridge_removed_people_is_no_alarm(
    filled: SyncHarness, days: int, processed: int
) -> None:
    newest = filled.store.runs("vip")[0]
    earlier = replace(newest, sync_timestamp=newest.sync_timestamp - timedelta(days), removes=1_500, changes=500)
    with filled.store.transaction() as change:
        change.save_run(earlier)
    filled.platform.shown = (900, 1_000)
    assert filled.sync().records_processed == processed


def test_a_change_of_the_name_goes_to_the_platform(filled: SyncHarness) -> None:
    filled.configure(audience_name="Best customers")
    assert (filled.sync().error, filled.platform.names) == ("", {"a1": "Best customers"})
    assert [audience.rename for audience in filled.platform.ensured] == [True]
    assert (filled.sync().error, filled.platform.ensured[0].rename) == ("", False)


def test_a_platform_that_does_not_follow_a_change_of_the_name_is_asked_each_time(filled: SyncHarness) -> None:
    filled.platform.renames = False
    filled.configure(audience_name="Best customers")
    for _ in range(2):
        log = filled.sync()
        assert (log.status, log.error) == (
            "succeeded",
            "the platform still calls the audience 'VIP', since the bridge cannot rename it. "
            "Rename it there, or set audience_name back to 'VIP'",
        )
    filled.platform.names["a1"] = "Best customers"
    assert filled.sync().error == ""
    assert filled.sync().error == ""


def test_a_name_that_somebody_changed_at_the_platform_stays_and_is_told(filled: SyncHarness) -> None:
    filled.platform.names["a1"] = "Mine\x1b[2J"
    for _ in range(2):
        log = filled.sync()
        assert (log.status, log.error) == (
            "succeeded",
            "somebody has renamed the audience at the platform from 'VIP' to 'Mine\\x1b[2J'. "
            "Rename it there, or set audience_name",
        )
    filled.configure(audience_name="Mine")
    assert (filled.sync().error, filled.platform.names) == ("", {"a1": "Mine"})


def test_of_an_audience_from_before_the_platforms_name_is_taken_as_it_is(filled: SyncHarness) -> None:
    with filled.store.transaction() as change:
        change.save_audience("vip", filled.ref())
    filled.platform.names["a1"] = "Old name"
    assert filled.sync().error == ""
    filled.platform.names["a1"] = "Another"
    assert "from 'Old name' to 'Another'" in filled.sync().error


def test_a_note_stands_beside_that_of_removals_that_wait(filled: SyncHarness) -> None:
    filled.configure(audience_name="VIP", removal_limit=0.1)
    filled.platform.names["a1"] = "Mine"
    filled.cdp.drop("u1")
    log = filled.sync()
    assert log.status == "waiting"
    assert "set audience_name. 1 removals wait for approval" in log.error
