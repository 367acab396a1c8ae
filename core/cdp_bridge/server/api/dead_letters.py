"""/v1/dead-letters: the members that platforms have refused, with reasons; they can be sent again."""

from __future__ import annotations

from datetime import datetime

from litestar import Controller
from litestar.params import JSONBody
from msgspec import Struct
from msgspec.structs import replace

from cdp_bridge.entities import DeadLetter, RunRequest
from cdp_bridge.server.api.audiences import ask
from cdp_bridge.server.web.access import count
from cdp_bridge.server.web.endpoint import Caller, CoreGiven, Filter, posts, reads
from cdp_bridge.server.web.paging import Listing, LogPageGiven


class Replay(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which dead letters to send again: those of an audience, optionally of one reason."""

    audience: str
    reason: str | None = None


class Replayed(Struct, frozen=True):
    """How many dead letters were removed, and the run that sends these members again."""

    dead_letters: int
    run: RunRequest


class DeadLetters(Controller):
    """Members that platforms have refused."""

    path = "/dead-letters"
    tags = ("dead letters",)

    @reads("/", "operator")
    def list_dead_letters(
        self,
        core: CoreGiven,
        caller: Caller,
        log_page: LogPageGiven,
        audience: Filter = None,
        reason: Filter = None,
    ) -> Listing[DeadLetter]:
        """List refused members; member keys and fingerprints are for those who may see hashes."""
        window = core.page_tokens.window(log_page, tuple[datetime, str, bytes])
        count(core.reads_of_people, caller.id)
        core.audit(caller, "read", "dead letters", audience or "")
        found = core.store.dead_letters.listed(audience, reason, window)
        listed = core.page_tokens.page(log_page, found, lambda one: (one.created_at, one.audience, one.member_key))
        if caller.sees_hashes:
            return listed
        return Listing(
            items=[replace(item, member_key=b"", fingerprint=b"") for item in listed.items], next=listed.next
        )

    @posts("/replay", status_code=202, also=(404,))
    def replay(self, core: CoreGiven, caller: Caller, data: JSONBody[Replay]) -> Replayed:
        """Send refused members again with the next run, and request that run now."""
        run = ask(core, caller, data.audience, "replay dead letters")
        return Replayed(core.store.dead_letters.delete(data.audience, data.reason), run)
