"""Measures one run with connectors started by a launcher: `launcher_run STORE MEMBERS [LAUNCHER]`."""

from __future__ import annotations

import json
import os
import sys
import time
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from cdp_bridge.connectors.registry import Registry
from cdp_bridge.entities import Activation, Bridge, CDPConnection, DataMapping, DestinationAccount
from cdp_bridge.hooks import PROJECT
from cdp_bridge.store import Store
from cdp_bridge.sync.run import open_run
from cdp_bridge.testing.configuring import configure

FIELDS = ("email", "phone", "first_name", "last_name", "city", "postal_code", "country")


def main(store_path: str, members: str, launcher: str = "") -> None:
    """Configure the store and run its one audience, in this process or by a launcher."""
    registry = Registry([*entry_points(group=PROJECT), EntryPoint("bench_connectors", "bench_connectors", PROJECT)])
    started = time.monotonic()
    with Store.open(f"sqlite:///{store_path}") as store:
        bridge = _bridge(int(members))
        configure(store, bridge)
        chosen = registry.launcher(launcher) if launcher else None
        with open_run(store, registry, bridge.audiences[0], launcher=chosen) as run:
            log = run.sync()
        ended = time.monotonic()
    report = {"status": log.status, "error": log.error, "members": log.funnel.accepted}
    Path(os.environ["BENCH_REPORT"]).write_text(json.dumps({"started": started, "ended": ended, **report}))


def _bridge(members: int) -> Bridge:
    user_id = DataMapping(omniads_field="user_id", cdp_field="id")
    return Bridge(
        connections=(CDPConnection(name="crowd", cdp_provider="source-crowd", api_credentials={"people": members}),),
        destinations=(DestinationAccount(name="void", connector="destination-void"),),
        mappings={"people": (user_id, *(DataMapping(omniads_field=field, cdp_field=field) for field in FIELDS))},
        audiences=(
            Activation(name="everyone", connection="crowd", segment="all", destination="void", mapping="people"),
        ),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
