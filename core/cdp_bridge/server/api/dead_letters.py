"""/v1/dead-letters: whom platforms have refused, and why; sent again on demand."""

from __future__ import annotations

from datetime import datetime

from litestar import Controller
from litestar.params import JSONBody
from msgspec import Struct
from msgspec.structs import replace

from cdp_bridge.entities import DeadLetter, RunRequest
from cdp_bridge.server.api.audiences import ask
from cdp_bridge.server.web.endpoint import Caller, CoreGiven, CursorText, Filter, Limit, posts, reads
from cdp_bridge.server.web.paging import Listing, page


class Replay(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which letters to send again: those of an audience, or of them those with a reason."""

    audience: str
    reason: str | None = None


class Replayed(Struct, frozen=True):
    """How many letters are taken back, and the run that sends these members again."""

    letters: int
    run: RunRequest


class DeadLetters(Controller):
    """Members whom platforms have refused."""

    path = "/dead-letters"
    tags = ("dead letters",)

    @reads("/", "operator")
    def list_dead_letters(
        self,
        core: CoreGiven,
        caller: Caller,
        audience: Filter = None,
        reason: Filter = None,
        limit: Limit = 50,
        cursor: CursorText = None,
    ) -> Listing[DeadLetter]:
        """List refused members, newest first; member keys and fingerprints are for those who may see hashes."""
        before = core.cursors.open(cursor, tuple[datetime, str, bytes])
        found = core.store.dead_letters.newest(audience, reason, before, limit + 1)
        listed = page(core.cursors, found, limit, lambda one: (one.created_at, one.audience, one.member_key))
        if caller.sees_hashes:
            return listed
        return Listing(items=[replace(one, member_key=b"", fingerprint=b"") for one in listed.items], next=listed.next)

    @posts("/replay", status_code=202)
    def replay(self, core: CoreGiven, caller: Caller, data: JSONBody[Replay]) -> Replayed:
        """Send refused members again with the next run, and ask for that run now."""
        run = ask(core, caller, data.audience, "replay dead letters")
        return Replayed(core.store.dead_letters.delete(data.audience, data.reason), run)
