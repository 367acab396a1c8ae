"""The Singer peer's tap, on singer-sdk."""

# The SDK is in an environment of its own, which mypy does not see.
# mypy: disable-error-code="import-not-found, misc"

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, ClassVar

from singer_sdk import Stream, Tap
from singer_sdk import typing as th

from . import payload


class People(Stream):
    """The people of one file."""

    name = "people"
    primary_keys = ("id",)
    schema = th.PropertiesList(*(th.Property(field, th.StringType) for field in payload.FIELDS)).to_dict()

    def get_records(self, context: Any) -> Iterable[dict[str, Any]]:
        started, members = time.monotonic(), 0
        for record in payload.records(self.config["path"]):
            members += 1
            yield record
        payload.report(started, members)


class TapPeople(Tap):
    """One stream."""

    name = "tap-people"
    config_jsonschema: ClassVar[dict[str, Any]] = th.PropertiesList(
        th.Property("path", th.StringType, required=True)
    ).to_dict()

    def discover_streams(self) -> list[Stream]:
        return [People(self)]


if __name__ == "__main__":
    TapPeople.cli()
