"""Shortens the times after which another worker takes over, before they are used."""

import msgspec
from cdp_bridge import flow
from cdp_bridge.orchestration import worker
from cdp_bridge.sync import session

msgspec.structs.force_setattr(flow.RUNS, "silence", 5.0)
session.LEASE_SECONDS, worker.MAX_WAIT = 15.0, 0.5
