"""Entries of the configuration as resources: one shape in bodies and answers, with fields that are only read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from http import HTTPStatus
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec
from litestar import Response
from litestar.params import Body, QueryParameter
from msgspec import Meta, Struct

from cdp_bridge import settings
from cdp_bridge.configuration.differences import Entry, entries
from cdp_bridge.entities import ApiKey, EntryKind
from cdp_bridge.errors import ConfigError
from cdp_bridge.server.web import editing
from cdp_bridge.server.web.endpoint import Core
from cdp_bridge.server.web.paging import Listing, PageRequest
from cdp_bridge.server.web.strict import PATCH_TYPE
from cdp_bridge.settings import SettingsError

R = TypeVar("R", bound=Struct)

READ_ONLY = Meta(extra_json_schema={"extra": {"read_only": True}})
"""Marks a field that answers have; in a body it changes nothing, so that what was read can be sent back."""
_TAKE_OUT = "Take it out"
Sort = Annotated[
    Literal["name", "-name", "created_at", "-created_at", "updated_at", "-updated_at"],
    QueryParameter(description="The field by which the list is sorted; with `-`, the largest comes first"),
]
Patch = Annotated[
    dict[str, Any],
    Body(media_type=PATCH_TYPE, description="The fields to change (RFC 7396): null takes a field out"),
]


class Resources(Generic[R]):
    """The entries of one kind as resources.

    A body is of type `shape`: what is `configured`, in a type with a name, and fields that are only read.
    """

    def __init__(self, kind: EntryKind, shape: type[R], configured: type[Struct]) -> None:
        self.kind: EntryKind = kind
        self._shape, self._configured = shape, configured
        marked = {field.name: getattr(field.type, "__metadata__", ()) for field in msgspec.structs.fields(shape)}
        self._read_only = {name for name, marks in marked.items() if READ_ONLY in marks}

    def unnamed(self, configured: Any) -> Entry:
        """The entry as it is kept under its name."""
        return configured

    def named(self, name: str, entry: Entry) -> Any:
        """What `unnamed` was made of."""
        return entry

    def state(self, core: Core, names: Sequence[str], *, whole: bool) -> dict[str, dict[str, Any]]:
        """Fields that are only read, by entry; with `whole`, those as well that take long."""
        return {}

    def saving(self, core: Core, entry: Entry, before: Entry | None) -> AbstractContextManager[Entry]:
        """The entry as it is to be saved, for a block that does so."""
        return nullcontext(entry)

    def page(self, core: Core, chosen: Mapping[str, Entry], wanted: PageRequest) -> Listing[R]:
        """A page of these entries, sorted as `Sort` says."""
        field = wanted.sort.removeprefix("-")
        times = core.store.entry_times(self.kind) if field != "name" else {}
        page = core.page_tokens.page_of_all(
            wanted, chosen, lambda name: getattr(times.get(name), field, None), lambda name: [name]
        )
        return Listing(items=self._shown(core, {name: chosen[name] for name in page.items}), next=page.next)

    def create(self, core: Core, caller: ApiKey, body: R) -> Response[R]:
        """Add an entry; problem 409 when there is one of that name, 422 for its faults."""
        configured = self._without_read_only(msgspec.structs.asdict(body))
        with self.saving(core, self.unnamed(configured), None) as entry:
            editing.create(core, caller, self.kind, configured.name, entry)
        answer = self.read(core, configured.name)
        answer.status_code = HTTPStatus.CREATED
        answer.headers["Location"] = f"/v1/{self.kind}s/{configured.name}"
        return answer

    def read(self, core: Core, name: str) -> Response[R]:
        """One entry; problem 404."""
        entry = editing.entry(core, self.kind, name)
        (shown,) = self._shown(core, {name: entry}, whole=True)
        return Response(shown, headers={"ETag": editing.etag(entry)})

    def replace(self, core: Core, caller: ApiKey, name: str, body: R, if_match: str | None) -> Response[R]:
        """Put an entry in place of another; problems 404, 412 and 428 by its ETag, 422 for its faults."""
        return self._save(core, caller, name, msgspec.structs.asdict(body), if_match)

    def patch(self, core: Core, caller: ApiKey, name: str, patch: dict[str, Any], if_match: str | None) -> Response[R]:
        """Change some fields (RFC 7396); problems 404, 412 by its ETag if there is one, 422 for its faults."""
        before = editing.entry(core, self.kind, name)
        faults = [
            ConfigError("is only read", place=field, remedy=_TAKE_OUT) for field in patch if field in self._read_only
        ]
        patched = merge_patch(msgspec.json.decode(msgspec.json.encode(self.named(name, before))), patch)
        try:
            settings.check_schema(settings.schema(self._configured), patched)
        except SettingsError as error:
            faults += error.errors
        if faults:
            raise editing.refusal(core, patch, faults)
        version = editing.etag(before) if if_match in (None, "*") else if_match
        return self._save(
            core, caller, name, msgspec.structs.asdict(msgspec.convert(patched, self._configured)), version
        )

    def delete(self, core: Core, caller: ApiKey, name: str, if_match: str | None) -> None:
        """Delete an entry; problems 404, 412 and 428 by its ETag, 409 while something uses it."""
        editing.delete_entry(core, caller, self.kind, name, if_match)

    def _save(
        self, core: Core, caller: ApiKey, name: str, fields: Mapping[str, Any], if_match: str | None
    ) -> Response[R]:
        configured = self._without_read_only(fields)
        if configured.name != name:
            raise ConfigError("is not the name in the address", place="name", remedy="Names cannot be changed")
        before = entries(core.store.bridge(), self.kind).get(name)
        with self.saving(core, self.unnamed(configured), before) as entry:
            editing.change_entry(core, caller, self.kind, name, entry, if_match)
        return self.read(core, name)

    def _without_read_only(self, fields: Mapping[str, Any]) -> Any:
        given = set(self._configured.__struct_fields__) - self._read_only
        return self._configured(**{name: value for name, value in fields.items() if name in given})

    def _shown(self, core: Core, chosen: Mapping[str, Entry], *, whole: bool = False) -> list[R]:
        times, states = core.store.entry_times(self.kind), self.state(core, list(chosen), whole=whole)
        return [
            self._shape(
                **msgspec.structs.asdict(self.named(name, entry)),
                **(times[name]._asdict() if name in times else {}),
                **states.get(name, {}),
            )
            for name, entry in chosen.items()
        ]


def merge_patch(value: Any, patch: Any) -> Any:
    """A JSON value with a merge patch (RFC 7396) applied."""
    if not isinstance(patch, dict):
        return patch
    before = value if isinstance(value, dict) else {}
    merged = {key: merge_patch(before.get(key), part) for key, part in patch.items() if part is not None}
    return {key: part for key, part in before.items() if key not in patch} | merged
