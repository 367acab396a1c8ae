"""A source as it should be: the people of a segment, page by page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cdp_bridge.sdk import (
    Catalog,
    Checkpoint,
    Client,
    ConfigError,
    Page,
    ReadRequest,
    RejectedError,
    Stream,
)

from hostile.good import Good
from hostile.settings import Account

SCHEMA = {
    "type": "object",
    "required": ["id", "emails", "is_member"],
    "properties": {
        "id": {"type": "string"},
        "emails": {"type": "array", "items": {"type": "string"}},
        "city": {"type": "string"},
        "is_member": {"type": "boolean"},
    },
}
PEOPLE = Stream(name="people", schema=SCHEMA, primary_key=("id",), cursor_field="version", membership=True)
Json = Mapping[str, Any]


class GoodSource(Good):
    """What breaks a rule overrides what it breaks."""

    @classmethod
    def discover(cls, settings: Account) -> Catalog:
        """One stream."""
        return Catalog((PEOPLE,))

    @classmethod
    def read(cls, settings: Account, request: ReadRequest) -> Iterator[Page | Checkpoint]:
        """A segment from its beginning, what changed since, or the rest of either.

        A state holds the version `since` which changes are asked for, and inside an extract also the last key of the
        page before and the `version` that the whole extract is good for.
        """
        if request.stream != PEOPLE.name:
            raise ConfigError(f"there is no stream {request.stream}", remedy=f"Choose {PEOPLE.name}")
        with cls.connected(settings) as client:
            yield from cls.pages(client, request, {"since": 0} | dict(request.checkpoint or {}))

    @classmethod
    def pages(cls, client: Client, request: ReadRequest, state: dict[str, Any]) -> Iterator[Page | Checkpoint]:
        """The pages from a state on, each with the state behind it."""
        while True:
            answer = cls.page(client, request, {name: state[name] for name in ("since", "after") if name in state})
            state = {"version": answer["version"]} | state | {"after": answer["next"]}
            yield Page(request.stream, answer["members"])
            if answer["next"] is None:
                break
            yield Checkpoint(request.stream, dict(state))
        yield Checkpoint(request.stream, {"since": state["version"]})

    @classmethod
    def page(cls, client: Client, request: ReadRequest, params: Json) -> dict[str, Any]:
        """One page as the vendor gives it, of everybody without a segment; ConfigError if the segment is not there."""
        try:
            answer: dict[str, Any] = client.read("/v1/people", params={"segment": request.segment, **params})
        except RejectedError as error:
            raise ConfigError(
                f"the vendor has no segment {request.segment} ({error.reason})", remedy="Choose one that it lists"
            ) from None
        return answer
