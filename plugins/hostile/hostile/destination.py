"""A destination as it should be: lists of people, in sync with segments."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from cdp_bridge.sdk import (
    Audience,
    AudienceRef,
    Batch,
    Catalog,
    Client,
    Conversion,
    Outcome,
    RejectedError,
    Stream,
)

from hostile.good import Good
from hostile.settings import Account

LIST = Stream(name="list", profile="generic", operations=("add", "remove"))
EVENTS = Stream(name="events", profile="generic", operations=("track",))
Json = Mapping[str, Any]


class GoodWriter:
    """Writes to the lists of one account."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def ensure(self, audience: Audience) -> AudienceRef:
        """The list that carries the marker, made only if there is none."""
        existing = self.find(audience) or self.create(audience)
        return AudienceRef(id=existing["id"], account=self._client.base_url)

    def find(self, audience: Audience) -> Any:
        """The list with the marker as its tag, or None."""
        return next(iter(self._client.read("/v1/lists", params={"tag": audience.marker})["lists"]), None)

    def create(self, audience: Audience) -> Any:
        """A new list with the marker as its tag."""
        return self._client.call("POST", "/v1/lists", json={"name": audience.name, "tag": audience.marker})

    def write(self, batch: Batch) -> Outcome:
        """Send a batch, and say of it what the vendor says."""
        return self.track(batch) if batch.operation == "track" else self.change(batch)

    def track(self, batch: Batch) -> Outcome:
        """Tell of conversions."""
        self._client.call("POST", "/v1/events", json={"events": list(map(self.event, batch.events))})
        return Outcome()

    def change(self, batch: Batch) -> Outcome:
        """Add or remove people."""
        return self.outcome(batch, self.send(batch))

    def send(self, batch: Batch) -> Json:
        """The vendor's answer to one request."""
        answer: Json = self._client.call("POST", self.path(batch), json={"members": self.rows(batch)})
        return answer

    @staticmethod
    def event(conversion: Conversion) -> dict[str, Any]:
        """A conversion under its event id."""
        return {"id": conversion.event_id, "name": conversion.event_name, "at": conversion.occurred_at}

    @staticmethod
    def path(batch: Batch) -> str:
        """Where a batch goes."""
        return f"/v1/lists/{batch.audience.id}/{batch.operation}"

    @staticmethod
    def rows(batch: Batch) -> list[dict[str, Any]]:
        """A row for each member, under its key."""
        columns = batch.identifiers.items()
        return [
            {"key": key.hex()} | {name: list(many[i]) for name, many in columns} for i, key in enumerate(batch.keys)
        ]

    @staticmethod
    def outcome(batch: Batch, answer: Json) -> Outcome:
        """Who is refused by name; RejectedError, so that halves are tried, if the vendor only counts."""
        if answer["invalid"]:
            raise RejectedError(f"{answer['invalid']} members are invalid", reason="vendor:invalid")
        return Outcome(rejected={bytes.fromhex(key): f"vendor:{code}" for key, code in answer["refused"].items()})

    def settle(self, audience: AudienceRef, pending: str) -> Outcome:
        """The vendor answers at once, so nothing is ever pending."""
        return Outcome()


class GoodDestination(Good):
    """Writes as `writer` does; what breaks a rule overrides what it breaks."""

    writer = GoodWriter

    @classmethod
    def discover(cls, settings: Account) -> Catalog:
        """People and events."""
        return Catalog((LIST, EVENTS))

    @classmethod
    @contextlib.contextmanager
    def open(cls, settings: Account) -> Iterator[GoodWriter]:
        """A writer for the length of one run."""
        with cls.connected(settings) as client:
            yield cls.writer(client)

    @classmethod
    def preview(cls, settings: Account, batch: Batch) -> Json:
        """The request that a batch would be."""
        return {"method": "POST", "path": cls.writer.path(batch), "members": cls.writer.rows(batch)}
