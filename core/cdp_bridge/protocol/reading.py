"""A source's pages as RECORD and STATE messages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cdp_bridge.connectors.errors import connector_errors
from cdp_bridge.connectors.items import items_of
from cdp_bridge.connectors.loading import implementation, validated
from cdp_bridge.errors import ConfigError
from cdp_bridge.model import Catalog, Checkpoint, Connector, Page, ReadRequest
from cdp_bridge.protocol.catalog import NO_CURSOR, ConfiguredCatalog, ConfiguredStream
from cdp_bridge.protocol.messages import Output, estimate, state, stream_status

ROWS_AT_ONCE = 5_000
"""Records turned into lines at a time; bounds memory when a source yields a huge page."""


def read(
    connector: Connector, settings: Any, catalog: ConfiguredCatalog, states: Mapping[str, Any], output: Output
) -> None:
    """Read every chosen stream to its end; the first that fails is INCOMPLETE and ends the command."""
    with connector_errors(connector):
        offered = validated(Catalog, implementation(connector).discover(settings))
    for chosen in catalog.streams:
        if offered.stream(chosen.stream.name) is None:
            known = ", ".join(stream.name for stream in offered.streams)
            raise ConfigError(f"there is no stream {chosen.stream}", place="catalog", remedy=f"Choose from: {known}")
    for chosen in catalog.streams:
        name = chosen.stream.name
        output.send(stream_status(name, "STARTED"))
        try:
            _read_stream(connector, settings, _request(chosen, states), output)
        except BaseException:
            output.send(stream_status(name, "INCOMPLETE"))
            raise
        output.send(stream_status(name, "COMPLETE"))


def _request(chosen: ConfiguredStream, states: Mapping[str, Any]) -> ReadRequest:
    name = chosen.stream.name
    return ReadRequest(stream=name, checkpoint=states.get(name) if chosen.sync_mode == "incremental" else None)


def _read_stream(connector: Connector, settings: Any, request: ReadRequest, output: Output) -> None:
    name, source = request.stream, implementation(connector)
    if hasattr(source, "estimate"):
        with connector_errors(connector):
            expected = source.estimate(settings, request)
        if isinstance(expected, int):
            output.send(estimate(name, expected))
    covered: Mapping[str, Any] | None = None
    running, since_state = False, 0
    for item in items_of(source, connector, settings, request):
        if isinstance(item, Checkpoint):
            covered = item.state
            output.send(state(name, covered, since_state))
            since_state = 0
            continue
        for rows in _rows(item):
            if not running:
                output.send(stream_status(name, "RUNNING"))
                running = True
            output.records(name, rows)
            since_state += len(rows)
    if covered is None or since_state:
        output.send(state(name, covered or NO_CURSOR, since_state))


def _rows(page: Page) -> Iterator[Sequence[Mapping[str, Any]]]:
    """The records as dicts, some at a time."""
    records = page.records
    for start in range(0, len(records), ROWS_AT_ONCE):
        if isinstance(records, Sequence):
            yield records[start : start + ROWS_AT_ONCE]
        else:
            yield records.slice(start, ROWS_AT_ONCE).to_pylist(maps_as_pydicts="lossy")
