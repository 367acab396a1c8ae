"""The Singer peer's target, on singer-sdk: a batch sink with the SDK's own batch size."""

# The SDK is in an environment of its own, which mypy does not see.
# mypy: disable-error-code="import-not-found, misc"

from __future__ import annotations

import time
from typing import Any, ClassVar

from singer_sdk import Target
from singer_sdk import typing as th
from singer_sdk.sinks import BatchSink

from . import payload


class PayloadSink(BatchSink):
    """Builds Meta's payload and drops it."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._started, self._payloads = time.monotonic(), payload.Sink()

    def process_batch(self, context: dict[str, Any]) -> None:
        self._payloads.send([payload.row(record) for record in context["records"]])

    def clean_up(self) -> None:
        super().clean_up()
        payload.report(self._started, self._payloads.members)


class TargetPayload(Target):
    """One sink for every stream."""

    name = "target-payload"
    config_jsonschema: ClassVar[dict[str, Any]] = th.PropertiesList().to_dict()
    default_sink_class = PayloadSink


if __name__ == "__main__":
    TargetPayload.cli()
