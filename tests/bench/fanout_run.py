"""Measures one run of our bridge from the Segment twin to one platform or several, in a fresh process.

`python -m tests.bench.fanout_run STORE SEGMENT WAREHOUSE [PLATFORM=URL ...]`
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterable
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from cdp_bridge.connectors.registry import Registry
from cdp_bridge.entities import Activation, Bridge, CDPConnection, DataMapping, DestinationAccount, SyncLog
from cdp_bridge.hooks import PROJECT, hookimpl
from cdp_bridge.model import Connector
from cdp_bridge.store import Store
from cdp_bridge.sync.reading import ReadTicket
from cdp_bridge.sync.run import open_run
from cdp_bridge.sync.run_group import run_group
from cdp_bridge.testing.configuring import configure
from destination_tiktok import CONNECTOR
from msgspec.structs import replace

FIELDS = {
    "user_id": "canonical_segment_id",
    "email": "identifiers.email",
    "phone": "identifiers.phone",
    "first_name": "traits.first_name",
    "last_name": "traits.last_name",
    "city": "traits.city",
    "postal_code": "traits.postal_code",
    "country": "traits.country",
}
TOKEN = "sandbox-token"


@hookimpl
def bridge_connectors() -> Iterable[Connector]:
    """TikTok's connector without its pace: 8 requests a second would be all that is measured."""
    return (replace(CONNECTOR, limits=replace(CONNECTOR.limits, requests=None, seconds=60.0)),)


def main(store_path: str, segment: str, warehouse: str, *platforms: str) -> None:
    """Configure the store and run an audience for each platform, as `cdp-bridge sync --all` does."""
    points = [point for point in entry_points(group=PROJECT) if point.module != "destination_tiktok"]
    registry = Registry([*points, EntryPoint("unpaced", "tests.bench.fanout_run", PROJECT)])
    with Store.open(f"sqlite:///{store_path}") as store:
        bridge = _bridge(segment, warehouse, dict(platform.split("=", 1) for platform in platforms))
        configure(store, bridge)
        jobs = [partial(_run, store, registry, audience) for audience in bridge.audiences]
        started = time.monotonic()
        logs = run_group(jobs, threading.Event())
        ended = time.monotonic()
        refs = store.audience_refs([log.audience for log in logs])
    report = {
        log.audience: {"status": log.status, "error": log.error, "audience": refs[log.audience].id} for log in logs
    }
    Path(os.environ["BENCH_REPORT"]).write_text(json.dumps({"started": started, "ended": ended, "runs": report}))


def _run(store: Store, registry: Registry, activation: Activation, ticket: ReadTicket) -> SyncLog:
    with open_run(store, registry, activation, ticket=ticket) as run:
        return run.sync()


def _bridge(segment: str, warehouse: str, platforms: dict[str, str]) -> Bridge:
    space = {"public_api_token": "sandbox-papi-token", "base_url": segment, "warehouse": {"url": warehouse}}
    return Bridge(
        connections=(CDPConnection(name="segment", cdp_provider="source-segment", api_credentials=space),),
        destinations=tuple(
            DestinationAccount(name=name, connector=f"destination-{name}", settings=_settings(name, url))
            for name, url in platforms.items()
        ),
        mappings={"people": tuple(DataMapping(omniads_field=field, cdp_field=path) for field, path in FIELDS.items())},
        audiences=tuple(
            Activation(name=name, connection="segment", segment="everyone", destination=name, mapping="people")
            for name in platforms
        ),
    )


def _settings(platform: str, url: str) -> dict[str, Any]:
    match platform:
        case "meta":
            account: dict[str, Any] = {"access_token": TOKEN, "ad_account_id": "act_1001"}
        case "tiktok":
            account = {"access_token": TOKEN, "advertiser_id": "7000000000000000001"}
        case _:
            account = {
                "credentials": {"type": "access_token", "access_token": TOKEN},
                "operating_account": {"account_id": "1234567890"},
                "customer_match_terms": True,
                "ad_user_data": "granted",
                "ad_personalization": "granted",
            }
    return account | {"base_url": url}


if __name__ == "__main__":
    main(*sys.argv[1:])
