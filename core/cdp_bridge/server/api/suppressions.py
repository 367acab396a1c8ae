"""/v1/suppressions: people who must not be sent; hashed at once, and stored as digests only."""

from __future__ import annotations

from typing import Annotated, Literal

from litestar import Controller
from litestar.params import JSONBody, QueryParameter
from msgspec import Meta, Struct

from cdp_bridge.entities import SuppressionCount
from cdp_bridge.server.web.endpoint import Caller, CoreGiven, posts, reads
from cdp_bridge.server.web.paging import Limit, Listing, PageRequest, PageToken
from cdp_bridge.staging.suppression import digests

SOURCE = "api"
MAX_VALUES = 10_000
Value = Annotated[str, Meta(min_length=3, max_length=320)]


class People(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """E-mail addresses, phones with country code, SHA-256 digests of them as the platforms want them, mobile ad ids."""

    values: Annotated[list[Value], Meta(min_length=1, max_length=MAX_VALUES)]


class Understood(Struct, frozen=True):
    """How many values were understood, and the positions (from 0) of those that were not and change nothing."""

    understood: int
    not_understood: list[int]


class Suppressions(Controller):
    """People who must not be sent."""

    path = "/suppressions"
    tags = ("suppressions",)

    @reads("/")
    def list_suppressions(
        self,
        core: CoreGiven,
        sort: Annotated[Literal["source", "-source", "count", "-count"], QueryParameter()] = "source",
        limit: Limit = 50,
        cursor: PageToken = None,
    ) -> Listing[SuppressionCount]:
        """How many digests each list has; nobody is shown whose."""
        counts = core.store.count_suppressions()
        wanted = PageRequest(limit, cursor, sort)
        field = sort.removeprefix("-")
        return core.page_tokens.page_of_all(
            wanted, counts, lambda count: getattr(count, field), lambda count: [count.source]
        )

    @posts("/", status_code=200)
    def suppress(self, core: CoreGiven, caller: Caller, data: JSONBody[People]) -> Understood:
        """Send these people no more, and take them out of all audiences with the next runs."""
        answer, entries = _understand(data)
        core.audit(caller, "suppress", "suppression", f"{answer.understood} values")
        core.store.add_suppressions(entries, SOURCE)
        return answer

    @posts("/remove", status_code=200)
    def unsuppress(self, core: CoreGiven, caller: Caller, data: JSONBody[People]) -> Understood:
        """Take these people out of the list of those that came by request; lists in files stay as they are."""
        answer, entries = _understand(data)
        core.audit(caller, "unsuppress", "suppression", f"{answer.understood} values")
        core.store.remove_suppressions(entries, SOURCE)
        return answer


def _understand(data: People) -> tuple[Understood, list[tuple[str, bytes]]]:
    values = [value.strip() for value in data.values]
    known = list(digests(list(dict.fromkeys(values))))
    understood = {value for value, _, _ in known}
    lost = [position for position, value in enumerate(values) if value not in understood]
    return Understood(len(values) - len(lost), lost), [(field, digest) for _, field, digest in known]
