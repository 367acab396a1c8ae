"""Breaches of what a source must do (MUST 17 to 25)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cdp_bridge.sdk import Checkpoint, Client, ConfigError, Page, ReadRequest, TransientError

from hostile.breaches.table import breaks
from hostile.settings import Account
from hostile.source import PEOPLE, GoodSource, Json

Items = Iterator[Page | Checkpoint]
NOTHING: dict[str, Any] = {"members": [], "next": None, "version": 0}


@breaks(17)
class YieldsSomebodyTwice(GoodSource):
    """Pages that overlap: two records have one key."""

    @classmethod
    def page(cls, client: Client, request: ReadRequest, params: Json) -> dict[str, Any]:
        """A page that begins with its first person twice."""
        answer = super().page(client, request, params)
        return answer | {"members": answer["members"][:1] + answer["members"]}


@breaks(17)
class BreaksItsOwnSchema(GoodSource):
    """The schema was written by hand, the records come from the vendor."""

    @classmethod
    def page(cls, client: Client, request: ReadRequest, params: Json) -> dict[str, Any]:
        """Cities as objects."""
        answer = super().page(client, request, params)
        return answer | {"members": [person | {"city": {"name": person.get("city")}} for person in answer["members"]]}


@breaks(18)
class LosesSomebody(GoodSource):
    """A person whom a filter of the author's did not think of is left out."""

    @classmethod
    def page(cls, client: Client, request: ReadRequest, params: Json) -> dict[str, Any]:
        """A page without number seven."""
        answer = super().page(client, request, params)
        return answer | {"members": [person for person in answer["members"] if person["id"] != "u-007"]}


@breaks(18)
class BringsAStranger(GoodSource):
    """The author's own test user comes with every extract."""

    @classmethod
    def pages(cls, client: Client, request: ReadRequest, state: dict[str, Any]) -> Items:
        """The segment, and somebody else."""
        stranger = {"id": "test-user", "emails": ["test.user@example.com"], "city": "Nowhere", "is_member": True}
        yield Page(request.stream, [stranger])
        yield from super().pages(client, request, state)


@breaks(19)
class YieldsOnlyWhatIsNew(GoodSource):
    """It remembers in memory what it gave out, so a run that is repeated gets nothing."""

    _done: set[Account] = set()  # noqa: RUF012 - shared by all reads, which is the fault

    @classmethod
    def read(cls, settings: Account, request: ReadRequest) -> Items:
        """Everything, once."""
        if settings not in cls._done or request.checkpoint:
            yield from super().read(settings, request)
            cls._done.add(settings)


@breaks(20)
class TakesAnUnknownSegmentForEmpty(GoodSource):
    """A misspelt segment has nobody in it, and the audience is emptied."""

    @classmethod
    def page(cls, client: Client, request: ReadRequest, params: Json) -> dict[str, Any]:
        """A page, or nothing."""
        try:
            return super().page(client, request, params)
        except ConfigError as error:
            if error.problem.startswith("the vendor has no segment"):
                return NOTHING
            raise


@breaks(20)
class ReadsPeopleWhateverIsAskedFor(GoodSource):
    """There is only one stream, so its name is not looked at."""

    @classmethod
    def read(cls, settings: Account, request: ReadRequest) -> Items:
        """The people of the segment."""
        yield from super().read(settings, ReadRequest(**{**_fields(request), "stream": PEOPLE.name}))


@breaks(21)
class EndsEarly(GoodSource):
    """A later page that does not come passes for the end: half a segment looks like the whole of it."""

    @classmethod
    def page(cls, client: Client, request: ReadRequest, params: Json) -> dict[str, Any]:
        """A page, or the end."""
        try:
            return super().page(client, request, params)
        except TransientError:
            if "after" in params:
                return NOTHING
            raise


@breaks(22)
class SavesBeforeItYields(GoodSource):
    """The state runs ahead of the records: who is killed in between loses a page."""

    @classmethod
    def pages(cls, client: Client, request: ReadRequest, state: dict[str, Any]) -> Items:
        """Each checkpoint before its page."""
        items = super().pages(client, request, state)
        for page, checkpoint in zip(items, items, strict=True):
            yield checkpoint
            yield page


@breaks(23)
class ForgetsWhoLeft(GoodSource):
    """Changes are those who came: nobody is ever taken out."""

    @classmethod
    def page(cls, client: Client, request: ReadRequest, params: Json) -> dict[str, Any]:
        """Only those who are in."""
        answer = super().page(client, request, params)
        return answer | {"members": [person for person in answer["members"] if person["is_member"]]}


@breaks(23)
class DoesNotSayWhoIsIn(GoodSource):
    """A record of a change that does not tell whether the person came or left."""

    @classmethod
    def page(cls, client: Client, request: ReadRequest, params: Json) -> dict[str, Any]:
        """Changes without `is_member`."""
        answer = super().page(client, request, params)
        for person in answer["members"] if params["since"] else ():
            del person["is_member"]
        return answer


@breaks(24)
class TidiesFields(GoodSource):
    """Asked for some fields it takes another way, on which values come out otherwise."""

    @classmethod
    def page(cls, client: Client, request: ReadRequest, params: Json) -> dict[str, Any]:
        """Cities in capitals where fields are named."""
        answer = super().page(client, request, params)
        for person in answer["members"] if request.fields else ():
            person["city"] = str(person.get("city")).upper()
        return answer


@breaks(25)
class CollectsEverythingFirst(GoodSource):
    """The whole segment is in memory before the first page leaves."""

    @classmethod
    def pages(cls, client: Client, request: ReadRequest, state: dict[str, Any]) -> Items:
        """All pages at once."""
        yield from list(super().pages(client, request, state))


def _fields(request: ReadRequest) -> dict[str, Any]:
    return {name: getattr(request, name) for name in request.__struct_fields__}
