"""Fills a store with audiences and recorded runs: `python -m tests.bench.seed_store STORE AUDIENCES RUNS`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta

from cdp_bridge.entities import (
    Activation,
    Bridge,
    CDPConnection,
    DataMapping,
    DestinationAccount,
    Funnel,
    RunRequest,
    Schedule,
    SyncLog,
)
from cdp_bridge.store import Store, tables
from cdp_bridge.store.database import row_of
from cdp_bridge.testing.configuring import configure

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
SCHEDULE = Schedule(every="1d")
"""The schedule of every audience; nothing is due during the bench."""


def main(path: str, audiences: int, runs: int) -> None:
    """Create the store; every second run has a request."""
    names = [f"audience-{number:04}" for number in range(audiences)]
    with Store.open(f"sqlite:///{path}") as store:
        configure(store, _bridge(names))
        logs = [_log(number, names[number % audiences]) for number in range(runs)]
        requests = [_request(log) for log in logs[::2]]
        with store._database.writing() as connection:
            if runs:
                connection.execute(tables.run.insert(), [row_of(tables.run, log) for log in logs])
                connection.execute(
                    tables.run_request.insert(), [row_of(tables.run_request, request) for request in requests]
                )


def _bridge(names: list[str]) -> Bridge:
    return Bridge(
        connections=(CDPConnection(name="file", cdp_provider="source-file", api_credentials={"path": "/nowhere.csv"}),),
        destinations=(DestinationAccount(name="there", connector="destination-file", settings={"path": "/nowhere"}),),
        mappings={"people": (DataMapping(omniads_field="user_id", cdp_field="id"),)},
        audiences=tuple(
            Activation(
                name=name, connection="file", segment=name, destination="there", mapping="people", schedule=SCHEDULE
            )
            for name in names
        ),
    )


def _log(number: int, audience: str) -> SyncLog:
    return SyncLog(
        run_id=f"{number:032x}",
        audience=audience,
        sync_timestamp=EPOCH + timedelta(seconds=number),
        status="failed" if number % 50 == 0 else "succeeded",
        error="the CDP is down" if number % 50 == 0 else "",
        records_processed=1_000,
        match_rate=0.9,
        latency=1.5,
        funnel=Funnel(in_segment=1_000, mapped=1_000, not_suppressed=1_000, accepted=900),
    )


def _request(log: SyncLog) -> RunRequest:
    return RunRequest(
        id=f"r{log.run_id}",
        audience=log.audience,
        requested_at=log.sync_timestamp,
        requested_by="schedule",
        kind="scheduled",
        state="failed" if log.status == "failed" else "succeeded",
        run_id=log.run_id,
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
