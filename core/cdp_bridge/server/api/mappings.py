"""/v1/mappings: named lists of data mappings, and previews of them on some records."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any

from litestar import Controller, Response
from litestar.params import JSONBody
from msgspec import Meta, Struct

from cdp_bridge.configuration.differences import entries
from cdp_bridge.connectors.probing import Account
from cdp_bridge.entities import ApiKey, CDPConnection, DataMapping, Name
from cdp_bridge.errors import ConfigError
from cdp_bridge.identity import load_profile
from cdp_bridge.model import ReadRequest
from cdp_bridge.server.web.access import count
from cdp_bridge.server.web.editing import entry, refusal
from cdp_bridge.server.web.endpoint import (
    FROM_CONNECTOR,
    Caller,
    Core,
    CoreGiven,
    IfMatch,
    PathText,
    deletes,
    patches,
    posts,
    puts,
    reads,
)
from cdp_bridge.server.web.paging import Limit, Listing, PageRequest, PageToken
from cdp_bridge.server.web.problems import problem
from cdp_bridge.server.web.resources import READ_ONLY, Patch, Resources, Sort
from cdp_bridge.settings import SettingsError
from cdp_bridge.staging.preview import PreviewCounts, PreviewedRecord, counts, preview

MAX_RECORDS = 50
"""The records of a preview that shows each."""
MIN_COUNTED, MAX_COUNTED = 50, 500
"""The records of a preview that is counted only."""
Rules = tuple[DataMapping, ...]


class MappingList(Struct, kw_only=True, forbid_unknown_fields=True):
    """A named list of mappings."""

    name: Name
    rules: Rules


class MappingResource(MappingList, kw_only=True, forbid_unknown_fields=True):
    """A named list of mappings, by which audiences and conversion feeds fill the fields that a platform takes."""

    created_at: Annotated[datetime | None, READ_ONLY] = None
    updated_at: Annotated[datetime | None, READ_ONLY] = None


class _Mappings(Resources[MappingResource]):
    def unnamed(self, configured: MappingList) -> Rules:
        """The rules."""
        return configured.rules

    def named(self, name: str, entry: Rules) -> MappingList:
        """The rules with their name."""
        return MappingList(name=name, rules=entry)


MAPPINGS = _Mappings("mapping", MappingResource, MappingList)


class Sample(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Records to read from a CDP: the first ones of a segment."""

    connection: str
    segment: str
    stream: str | None = None


class PreviewRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rules of one's own or a list by name, to be tried on records of one's own or a sample, for one profile."""

    profile: str
    rules: Rules | None = None
    mapping: str | None = None
    records: Annotated[list[dict[str, Any]], Meta(max_length=MAX_RECORDS)] | None = None
    sample: Sample | None = None


class Preview(Struct, frozen=True, kw_only=True):
    """The outcome of each record, in order; of a sample, for those who may not see hashes, `counts` instead."""

    records: list[PreviewedRecord] = []
    counts: PreviewCounts | None = None


class Mappings(Controller):
    """Named lists of mappings."""

    path = "/mappings"
    tags = ("mappings",)

    @reads("/")
    def list_mappings(
        self, core: CoreGiven, sort: Sort = "name", limit: Limit = 50, cursor: PageToken = None
    ) -> Listing[MappingResource]:
        """List mappings."""
        return MAPPINGS.page(core, core.store.bridge().mappings, PageRequest(limit, cursor, sort))

    @posts("/")
    def create_mapping(
        self, core: CoreGiven, caller: Caller, data: JSONBody[MappingResource]
    ) -> Response[MappingResource]:
        """Create a list of mappings."""
        return MAPPINGS.create(core, caller, data)

    @posts("/preview", status_code=200, also=(403, 404, *FROM_CONNECTOR), opt={"unrecorded": True})
    def preview_mapping(self, core: CoreGiven, caller: Caller, data: JSONBody[PreviewRequest]) -> Preview:
        """Map some records; nothing is stored.

        The values of records are shown to those who may see hashes. A sample is shown to them only; others get counts
        over at least 50 people by the rules of a saved mapping, 30 times an hour.
        """
        rules = _either("rules", data.rules, "mapping", data.mapping and entry(core, "mapping", data.mapping))
        try:
            load_profile(data.profile)
        except ConfigError as error:
            raise ConfigError("there is no such profile", place="profile", remedy=error.remedy) from None
        sample = _sample(core, caller, data.sample, data.rules) if data.sample else None
        records = _either("records", data.records, "sample", sample)
        try:
            previewed = preview(rules, records, data.profile, core.registry.functions)
        except SettingsError as error:
            raise refusal(core, data.rules, error.errors, within="rules.") from None
        if caller.sees_hashes:
            return Preview(records=previewed)
        if data.sample:
            return Preview(counts=counts(previewed))
        return Preview(records=[record.without_values() for record in previewed])

    @reads("/{name:str}")
    def mapping(self, core: CoreGiven, name: PathText) -> Response[MappingResource]:
        """One list of mappings."""
        return MAPPINGS.read(core, name)

    @puts("/{name:str}")
    def replace_mapping(
        self,
        core: CoreGiven,
        caller: Caller,
        name: PathText,
        data: JSONBody[MappingResource],
        if_match: IfMatch = None,
    ) -> Response[MappingResource]:
        """Replace a list of mappings; the next runs use it."""
        return MAPPINGS.replace(core, caller, name, data, if_match)

    @patches("/{name:str}")
    def patch_mapping(
        self, core: CoreGiven, caller: Caller, name: PathText, data: Patch, if_match: IfMatch = None
    ) -> Response[MappingResource]:
        """Change fields of a list of mappings, its rules as a whole; the next runs use it."""
        return MAPPINGS.patch(core, caller, name, data, if_match)

    @deletes("/{name:str}", also=(409,))
    def delete_mapping(self, core: CoreGiven, caller: Caller, name: PathText, if_match: IfMatch = None) -> None:
        """Delete a list of mappings that no audience uses."""
        MAPPINGS.delete(core, caller, name, if_match)


def _either(first: str, given: Any, second: str, instead: Any) -> Any:
    if (given is None) == (instead is None):
        raise ConfigError(f"either {first} or {second} is wanted", place=first, remedy=f"Send one of {first}, {second}")
    return instead if given is None else given


def _sample(core: Core, caller: ApiKey, sample: Sample, own_rules: Rules | None) -> list[dict[str, Any]]:
    """People of a segment, as many as the caller may look at; that they were read is audited."""
    count(core.reads_of_people if caller.sees_hashes else core.counts_of_people, caller.id)
    if own_rules and not caller.sees_hashes:
        # With rules of one's own, a count is an answer to any question about the people in the sample.
        raise problem(
            HTTPStatus.FORBIDDEN,
            "rules of one's own are tried on a sample by those who may see hashes",
            place="rules",
            remedy="Name a saved mapping, send records, or use a key that sees hashes",
        )
    connection: CDPConnection | None = entries(core.store.bridge(), "connection").get(sample.connection)
    if connection is None:
        raise ConfigError("there is no such connection", place="sample.connection", remedy="See /v1/connections")
    core.audit(caller, "preview", "segment", f"{sample.connection}/{sample.segment}")
    size = MAX_RECORDS if caller.sees_hashes else MAX_COUNTED
    records = core.connector_calls.discover(
        connection.cdp_provider, connection.api_credentials, lambda account: _sampled(account, sample, size)
    )
    if not caller.sees_hashes and len(records) < MIN_COUNTED:
        remedy = "Take a larger segment, or a key that sees hashes"
        raise ConfigError(f"the segment has fewer than {MIN_COUNTED} people", place="sample.segment", remedy=remedy)
    return records


def _sampled(account: Account, sample: Sample, size: int) -> list[dict[str, Any]]:
    streams = [stream.name for stream in account.catalog.streams if stream.membership]
    if sample.stream is None and len(streams) != 1:
        raise ConfigError("no stream is named", place="sample.stream", remedy=f"There are: {', '.join(streams)}")
    request = ReadRequest(stream=sample.stream or streams[0], segment=sample.segment)
    return [dict(record) for record in account.records(request, size)]
