"""The contract of a source: what it offers, what it is asked for, what it yields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct, field

from cdp_bridge.model.batch import Operation
from cdp_bridge.model.connector import Limits, Probe

if TYPE_CHECKING:
    import pyarrow as pa


class Stream(Struct, frozen=True, kw_only=True):
    """A set of records that a source yields, or an object that a destination writes.

    Sources: `schema` is the JSON schema of one record, `primary_key` tells records apart, `membership` says that they
    are the people of one segment, `cursor_field` names the field that incremental reads follow. Destinations: `profile`
    is the identity profile that the object wants, one of those that plugins bring (None: it gets identifiers in clear,
    those that may leave so), `operations` is what can be done with it (`add` and `remove`: an audience; `track`:
    conversions), `matching_keys` are the columns of the profile that it takes (none named: all, or in clear the
    properties of `schema`), `limits` those of this object, where they are not the connector's.
    After `expires` seconds the platform forgets a member who was not sent again (None: never); the core sends everybody
    again after half of that.
    """

    name: str
    schema: dict[str, Any] = field(default_factory=dict)
    primary_key: tuple[str, ...] = ()
    cursor_field: str | None = None
    membership: bool = False
    profile: str | None = None
    operations: tuple[Operation, ...] = ()
    matching_keys: tuple[str, ...] = ()
    limits: Limits | None = None
    expires: float | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that an object takes; none: all that its profile has."""
        return self.matching_keys or (() if self.profile else tuple(self.schema.get("properties", ())))


class Catalog(Struct, frozen=True):
    """What a connector offers under the settings given."""

    streams: tuple[Stream, ...]

    def stream(self, name: str) -> Stream | None:
        """The stream of that name, or None."""
        return next((stream for stream in self.streams if stream.name == name), None)


class ReadRequest(Struct, frozen=True, kw_only=True):
    """What a run wants from a source: one stream, for a membership stream one segment.

    `fields` are the dotted record paths that the mapping uses (empty: everything); a source may leave others out.
    `checkpoint` is the state of an earlier `Checkpoint`: the source then yields what changed since, and each membership
    record says in `is_member` (bool) whether the person is in; None asks for everything.
    """

    stream: str
    segment: str | None = None
    fields: tuple[str, ...] = ()
    checkpoint: Mapping[str, Any] | None = None


class Page(Struct, frozen=True):
    """Some records of one stream: an Arrow record batch, or plain dicts.

    `table` names the file or table that they are rows of, if each has all of its columns: a field of the mapping that
    is none of them then stops the run. (Of other records, a field that none has stops it once everything was read.)
    """

    stream: str
    records: pa.RecordBatch | Sequence[Mapping[str, Any]]
    table: str = ""


class Checkpoint(Struct, frozen=True):
    """Everything yielded before it is covered by `state` (JSON values only); a later read may start from there."""

    stream: str
    state: Mapping[str, Any]


class Source(Protocol):
    """What a source connector fulfils, usually as three functions of a module.

    It may also have `estimate(settings, request) -> int | None`: how many records a read will yield.
    """

    def check(self, settings: Any) -> list[Probe]:
        """Named findings about credentials, scope and routes; never raises for a bad credential."""

    def discover(self, settings: Any) -> Catalog:
        """The streams that these settings can read."""

    def read(self, settings: Any, request: ReadRequest) -> Iterator[Page | Checkpoint]:
        """Pages and checkpoints of one stream; returning normally means that the extract is complete.

        Raises ConfigError for a stream or segment that is not there: nobody at all would empty the audience.
        """
