"""Bridges with schedules, the stores that hold them, and a clock that tests set."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Protocol

import pytest
from cdp_bridge.entities import Activation, Bridge, CDPConnection, DataMapping, DestinationAccount, Schedule

Schedules = Mapping[str, Schedule | None]


def bridge_of(schedules: Schedules, sync_schedule: str = "hourly") -> Bridge:
    return Bridge(
        connections=(CDPConnection(name="cdp", cdp_provider="source-x", sync_schedule=sync_schedule),),
        destinations=(DestinationAccount(name="ads", connector="destination-x"),),
        mappings={"people": (DataMapping(omniads_field="user_id", cdp_field="id"),)},
        audiences=tuple(
            Activation(
                name=name, connection="cdp", segment=name, destination="ads", mapping="people", schedule=schedule
            )
            for name, schedule in schedules.items()
        ),
    )


class MakeBridge(Protocol):
    """A bridge with audiences by name and schedule."""

    def __call__(self, schedules: Schedules, sync_schedule: str = "hourly") -> Bridge: ...


Utc = Callable[[str], datetime]


@pytest.fixture
def bridge() -> MakeBridge:
    """A bridge with audiences by name and schedule."""
    return bridge_of


@pytest.fixture
def utc() -> Utc:
    """A moment such as `2026-03-29 01:30`."""
    return lambda text: datetime.fromisoformat(f"{text}+00:00")
