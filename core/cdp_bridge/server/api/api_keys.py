"""/v1/api-keys: who may use the API; an administrator makes and revokes keys."""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus
from typing import Annotated, Literal

from litestar import Controller, Response
from litestar.params import JSONBody, QueryParameter
from msgspec import Meta, Struct

from cdp_bridge.entities import ApiKey, Role
from cdp_bridge.server.web.endpoint import Caller, CoreGiven, PathText, deletes, posts, reads
from cdp_bridge.server.web.paging import Limit, Listing, PageRequest, PageToken
from cdp_bridge.server.web.problems import missing, problem
from cdp_bridge.store.access.api_keys import FIRST_KEY, KEY_DAYS, MAX_KEY_DAYS

KeyOrder = Literal["name", "-name", "created_at", "-created_at", "expires_at", "-expires_at"]


class WantedKey(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key to make: for whom or what, what it may do, and after how many days it expires."""

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    role: Role = "viewer"
    sees_hashes: bool = False
    days: Annotated[int, Meta(ge=1, le=MAX_KEY_DAYS)] = KEY_DAYS


class MadeKey(Struct, frozen=True, kw_only=True):
    """A key, and its text, which is not shown again."""

    key: ApiKey
    text: str


class ApiKeys(Controller):
    """API keys."""

    path = "/api-keys"
    tags = ("api keys",)

    @reads("/", "admin")
    def list_keys(
        self,
        core: CoreGiven,
        role: Annotated[Role | None, QueryParameter()] = None,
        sort: Annotated[KeyOrder, QueryParameter(description="With `-`, the largest comes first")] = "name",
        limit: Limit = 50,
        cursor: PageToken = None,
    ) -> Listing[ApiKey]:
        """List keys, revoked and expired ones too."""
        keys = [key for key in core.store.api_keys.all() if role in (None, key.role)]
        field = sort.removeprefix("-")
        return core.page_tokens.page_of_all(
            PageRequest(limit, cursor, sort), keys, lambda key: getattr(key, field), lambda key: [key.id]
        )

    @posts("/", "admin", also=(403,), opt={"unrecorded": True})
    def create_key(self, core: CoreGiven, caller: Caller, data: JSONBody[WantedKey]) -> Response[MadeKey]:
        """Make a key. One that sees hashes takes a caller that does; the first key of a store makes one only."""
        if data.sees_hashes and not caller.sees_hashes:
            raise problem(
                HTTPStatus.FORBIDDEN,
                "this key may not see hashes, so it gives nobody that right",
                place="sees_hashes",
                remedy="Use a key that sees hashes, or cdp-bridge keys create --sees-hashes",
            )
        if caller.name == FIRST_KEY:
            # Before it makes another, so that many requests at once make one.
            core.store.api_keys.revoke(caller.id)
        core.audit(caller, "create", "api key", data.name)
        key, text = core.store.api_keys.create(
            data.name,
            data.role,
            sees_hashes=data.sees_hashes,
            life=timedelta(days=data.days),
        )
        return Response(MadeKey(key=key, text=text), status_code=201)

    @deletes("/{key_id:str}", "admin")
    def revoke_key(self, core: CoreGiven, caller: Caller, key_id: PathText) -> None:
        """Revoke a key: it is refused from now on, and what it follows ends."""
        if not any(key.id == key_id and key.revoked_at is None for key in core.store.api_keys.all()):
            raise missing("API key")
        core.audit(caller, "revoke", "api key", key_id)
        core.store.api_keys.revoke(key_id)
