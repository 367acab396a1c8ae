"""The Airbyte peer's source, a Python connector on airbyte-cdk."""

# The SDK is in an environment of its own, which mypy does not see.
# mypy: disable-error-code="import-not-found, misc"

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping
from typing import Any

from airbyte_cdk.entrypoint import launch
from airbyte_cdk.models import ConnectorSpecification
from airbyte_cdk.sources import AbstractSource
from airbyte_cdk.sources.streams import Stream

from . import payload


class People(Stream):
    """The people of one file."""

    name = "people"
    primary_key = "id"

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def get_json_schema(self) -> Mapping[str, Any]:
        return {"type": "object", "properties": {field: {"type": "string"} for field in payload.FIELDS}}

    def read_records(self, *_: Any, **__: Any) -> Iterable[Mapping[str, Any]]:
        started, members = time.monotonic(), 0
        for record in payload.records(self._path):
            members += 1
            yield record
        payload.report(started, members)


class SourcePeople(AbstractSource):
    """One stream."""

    def spec(self, logger: Any) -> ConnectorSpecification:
        return ConnectorSpecification(connectionSpecification={"type": "object"})

    def check_connection(self, logger: Any, config: Mapping[str, Any]) -> tuple[bool, Any]:
        return True, None

    def streams(self, config: Mapping[str, Any]) -> list[Stream]:
        return [People(config["path"])]


if __name__ == "__main__":
    launch(SourcePeople(), sys.argv[1:])
