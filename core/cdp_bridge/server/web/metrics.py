"""/metrics: the metrics of the bridge in the Prometheus format; `docs/operations.md` lists them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from litestar import Response
from litestar.enums import ScopeType
from litestar.handlers import HTTPRouteHandler
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from cdp_bridge.entities import MatchEstimate
from cdp_bridge.server.web.endpoint import CoreGiven, reads
from cdp_bridge.store import Store

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
_STARTED = "cdp_bridge_started"


class Metrics(ASGIMiddleware):
    """The metrics of one process; as middleware it times requests, `count` counts responses."""

    scopes = (ScopeType.HTTP,)

    def __init__(self, store: Store) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(_Stored(store))
        labels = ("method", "route")
        self._requests = Counter(
            "cdp_bridge_http_requests", "Answers by status", (*labels, "status"), registry=self.registry
        )
        self._seconds = Histogram(
            "cdp_bridge_http_request_seconds",
            "From request to the start of its answer",
            labels,
            buckets=_BUCKETS,
            registry=self.registry,
        )

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Start the clock of a request."""
        scope["state"][_STARTED] = time.perf_counter()
        await next_app(scope, receive, send)

    async def count(self, message: Message, scope: Scope) -> None:
        """Count a response at its start."""
        if message["type"] != "http.response.start" or scope["type"] != ScopeType.HTTP:
            return
        # The path itself would give endless label values.
        method, route = scope["method"], scope.get("path_template", "") or "none"
        self._requests.labels(method, route, message["status"]).inc()
        started = scope.get("state", {}).get(_STARTED)
        if started is not None:
            self._seconds.labels(method, route).observe(time.perf_counter() - started)


class _Stored(Collector):
    """Metrics that are read from the store at each scrape."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def collect(self) -> Iterator[Metric]:
        """All families."""
        counts = self._store.counts
        yield _family("runs", "Recorded runs", "status", counts.runs())
        yield _family("run_requests", "Runs that were asked for", "state", counts.requests())
        yield _family("dead_letters", "Members whom the platform refused", "audience", counts.dead_letters())
        oldest = counts.oldest_queued()
        yield GaugeMetricFamily(
            "cdp_bridge_oldest_queued_seconds",
            "How long the oldest run waits that was asked for",
            value=max(0.0, time.time() - oldest.timestamp()) if oldest else 0.0,
        )
        successes = {name: at.timestamp() for name, at in counts.last_successes().items()}
        yield _family("audience_last_success_timestamp_seconds", "Newest successful run", "audience", successes)
        last = self._store.last_runs([sync.name for sync in self._store.bridge().syncs])
        members = {name: log.funnel.accepted for name, log in last.items()}
        yield _family("audience_members", "Members accepted by the platform", "audience", members)
        rates = {name: log.match_rate for name, log in last.items() if log.match_rate is not None}
        yield _family("audience_acceptance_ratio", "Accepted of those who may be sent, 0 to 1", "audience", rates)
        yield _match_estimates(self._store.match_estimates.last(list(last)))

    def describe(self) -> Iterator[Metric]:
        """Nothing, so that the store is not read before the first scrape."""
        return iter(())


def metrics(collected: Metrics) -> HTTPRouteHandler:
    """The handler of /metrics."""

    @reads("/metrics", tags=["health"], media_type="text/plain")
    def scrape(core: CoreGiven) -> Response[bytes]:
        """All metrics."""
        return Response(generate_latest(collected.registry), media_type=CONTENT_TYPE_LATEST)

    return scrape


def _match_estimates(estimates: dict[str, MatchEstimate]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        "cdp_bridge_audience_match_estimate_ratio",
        "Share of the members that the platform says it knows, 0 to 1, as the bounds of an interval",
        labels=("audience", "bound"),
    )
    for audience, estimate in estimates.items():
        for bound, rate in (("lower", estimate.lower_rate), ("upper", estimate.upper_rate)):
            if rate is not None:
                family.add_metric((audience, bound), rate)
    return family


def _family(name: str, text: str, label: str, values: dict[str, Any]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"cdp_bridge_{name}", text, labels=(label,))
    for key, value in values.items():
        family.add_metric((key,), value)
    return family
