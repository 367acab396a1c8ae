"""Measures one run of ours: a fresh process syncs one file of people to one destination.

`python -m tests.bench.work PEOPLE STORE {null | meta URL}`
"""

from __future__ import annotations

import json
import os
import sys
import time
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from cdp_bridge.connectors.registry import Registry
from cdp_bridge.entities import Activation, Bridge, CDPConnection, DataMapping, DestinationAccount
from cdp_bridge.hooks import PROJECT
from cdp_bridge.store import Store
from cdp_bridge.sync.run import open_run
from cdp_bridge.testing.configuring import configure

FIELDS = {
    "user_id": "id",
    "email": "email_address",
    "phone": "telephone",
    "first_name": "given_name",
    "last_name": "family_name",
    "city": "town",
    "postal_code": "postcode",
    "country": "country_code",
}


def main(people: str, store_path: str, *destination: str) -> None:
    """Configure the store and run its one audience, as `cdp-bridge apply` and `sync` do."""
    points = [*entry_points(group=PROJECT), EntryPoint("null", "tests.bench.null_destination", PROJECT)]
    registry = Registry(points)
    with Store.open(f"sqlite:///{store_path}") as store:
        bridge = _bridge(people, *destination)
        configure(store, bridge)
        started = time.monotonic()
        with open_run(store, registry, bridge.audiences[0]) as run:
            log = run.sync()
        ended = time.monotonic()
    counts = {name: getattr(log, name) for name in ("status", "error", "adds", "removes", "membership_calls")}
    Path(os.environ["BENCH_REPORT"]).write_text(
        json.dumps({"started": started, "ended": ended, "members": log.funnel.accepted, **counts})
    )


def _bridge(people: str, kind: str, url: str = "") -> Bridge:
    settings: dict[str, Any] = {}
    if kind == "meta":
        settings = {"access_token": "sandbox-token", "ad_account_id": "act_1001", "base_url": url}
    return Bridge(
        connections=(CDPConnection(name="file", cdp_provider="source-file", api_credentials={"path": people}),),
        destinations=(DestinationAccount(name="there", connector=_connector(kind), settings=settings),),
        mappings={"people": tuple(DataMapping(omniads_field=ours, cdp_field=his) for ours, his in FIELDS.items())},
        audiences=(
            Activation(name="everyone", connection="file", segment="everyone", destination="there", mapping="people"),
        ),
    )


def _connector(kind: str) -> str:
    return "destination-meta" if kind == "meta" else kind


if __name__ == "__main__":
    main(*sys.argv[1:])
