"""The Airbyte peer's destination, a Python connector on airbyte-cdk: records in batches, states after them."""

# The SDK is in an environment of its own, which mypy does not see.
# mypy: disable-error-code="import-not-found, misc"

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping
from typing import Any

from airbyte_cdk.destinations import Destination
from airbyte_cdk.models import (
    AirbyteConnectionStatus,
    AirbyteMessage,
    ConfiguredAirbyteCatalog,
    ConnectorSpecification,
    Status,
    Type,
)

from . import payload


class DestinationPayload(Destination):
    """Builds Meta's payload and drops it."""

    def spec(self, logger: Any) -> ConnectorSpecification:
        return ConnectorSpecification(connectionSpecification={"type": "object"})

    def check(self, logger: Any, config: Mapping[str, Any]) -> AirbyteConnectionStatus:
        return AirbyteConnectionStatus(status=Status.SUCCEEDED)

    def write(
        self,
        config: Mapping[str, Any],
        configured_catalog: ConfiguredAirbyteCatalog,
        input_messages: Iterable[AirbyteMessage],
    ) -> Iterable[AirbyteMessage]:
        started, sink = time.monotonic(), payload.Sink()
        rows: list[payload.Row] = []
        for message in input_messages:
            if message.type == Type.RECORD and message.record:
                rows.append(payload.row(message.record.data))
            if rows and (len(rows) == payload.ROWS or message.type == Type.STATE):
                sink.send(rows)
                rows = []
            if message.type == Type.STATE:
                yield message
        if rows:
            sink.send(rows)
        payload.report(started, sink.members)


if __name__ == "__main__":
    DestinationPayload().run(sys.argv[1:])
