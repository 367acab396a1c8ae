"""The values that flow between the core and connectors, and the contracts that connectors fulfil."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol

from msgspec import Struct, field

from .errors import BridgeError, ConfigError

if TYPE_CHECKING:
    import pyarrow as pa

API_VERSION = 1
"""The version of this module's contracts; a connector built for another one is not loaded."""

Operation = Literal["add", "remove", "track"]
"""People are added to an audience and removed from it; conversions are tracked."""
Kind = Literal["source", "destination"]
Delivery = Literal["idempotent", "upsert", "append"]
MappingFunction = Callable[[str], str | None]
"""A named transformation of a mapping: one text in, one out; None, or an exception, drops the value."""


class Limits(Struct, frozen=True, kw_only=True):
    """What one account of a platform takes; the core obeys it.

    A batch has at most `rows` members, and about `bytes` bytes: the core goes by the mean size of a member. `write` is
    called at most `requests` times in any `seconds`, counted over all runs that share a store; None: no such limit.
    """

    rows: int = 10_000
    bytes: int = 1_000_000
    requests: int | None = None
    seconds: int = 3_600


class OAuth(Struct, frozen=True, kw_only=True):
    """How a person connects an account by signing in: the authorization code grant (RFC 6749), with PKCE (RFC 7636).

    The URLs are templates over the settings (`{base_url}/oauth/token`); the one to sign in at may have parameters of
    its own. `client_id` and `client_secret` name the settings with those of the app (dotted where they are nested),
    `access_token` the one that is filled: it holds `oauth:NAME`, and the connector gets a token that is good. `scope`
    is written as the platform wants it.
    Where a platform gives no refresh token but trades a token for one that lasts longer, `exchange` is the grant type
    of that trade, and the name of its parameter (Meta: `fb_exchange_token`). Where it goes its own way (TikTok),
    `names` are what it calls `client_id`, `client_secret` and `code`: nothing more is sent, but for `state` and
    `redirect_uri` to sign in; the token is asked for in JSON, and is in `data` of the answer, beside a `code` of 0.
    """

    authorize_url: str
    token_url: str
    client_id: str
    client_secret: str
    access_token: str
    scope: str = ""
    exchange: str = ""
    names: Mapping[str, str] = field(default_factory=dict)


class Connector(Struct, frozen=True, kw_only=True):
    """A connector as a plugin announces it; `load` is imported only when a run needs it.

    `settings` is a msgspec Struct type, `load` the dotted path of a module (or `module:object`) that fulfils `Source`
    or `Destination`. `delivery` is the honest promise of its writes: `idempotent` (a repeat changes nothing), `upsert`
    (a repeat replaces what is there), `append` (a repeat counts twice). `hosts` are those of the vendor (`*.` for all
    below one; `host:port` where it is not 443): a container reaches them, and what its settings name. `documentation`
    is the URL of the vendor's, `oauth` how an account is connected by signing in, if it can be. `local` says that it
    works with files of this machine, so never in a container. `program` is the console script that works for it, where
    that is not its name: it starts a container itself, and is never in one.
    A connector for another `api_version` is reported and not used.
    """

    name: str
    kind: Kind
    settings: type[Struct]
    load: str
    api_version: int = API_VERSION
    delivery: Delivery = "idempotent"
    limits: Limits = Limits()
    hosts: tuple[str, ...] = ()
    documentation: str = ""
    oauth: OAuth | None = None
    local: bool = False
    program: str = ""


class Probe(Struct, frozen=True):
    """One finding of a check: `name` is what was looked at, `detail` what was found.

    A failed one says in `remedy` what a person should do.
    """

    name: str
    passed: bool
    detail: str = ""
    remedy: str = ""

    @classmethod
    def of(cls, name: str, finding: Callable[[], str]) -> Probe:
        """A probe that passes with the text of `finding`, or fails with problem and remedy of the error it raises."""
        try:
            return cls(name, True, finding())
        except ConfigError as error:
            return cls(name, False, f"{error.place}: {error.problem}" if error.place else error.problem, error.remedy)
        except BridgeError as error:
            return cls(name, False, str(error), "Try again later; if it stays so, check the host in the settings")


class Stream(Struct, frozen=True, kw_only=True):
    """A set of records that a source yields, or an object that a destination writes.

    Sources: `schema` is the JSON schema of one record, `primary_key` tells records apart, `membership` says that they
    are the people of one segment, `cursor` names the field that incremental reads follow. Destinations: `profile` is
    the identity profile that the object wants (`meta`, `google`, `tiktok-audience`, `tiktok-events`), `operations` is
    what can be done with it (`add` and `remove`: an audience; `track`: conversions), `matching_keys` are the columns of
    the profile that it takes (none named: all), `limits` those of this object, where they are not the connector's.
    After `expires` seconds the platform forgets a member who was not sent again (None: never); the core sends everybody
    again after half of that.
    """

    name: str
    schema: dict[str, Any] = field(default_factory=dict)
    primary_key: tuple[str, ...] = ()
    cursor: str | None = None
    membership: bool = False
    profile: str | None = None
    operations: tuple[Operation, ...] = ()
    matching_keys: tuple[str, ...] = ()
    limits: Limits | None = None
    expires: float | None = None


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
    """Some records of one stream: an Arrow record batch, or plain dicts."""

    stream: str
    records: pa.RecordBatch | Sequence[Mapping[str, Any]]


class Checkpoint(Struct, frozen=True):
    """Everything yielded before it is covered by `state` (JSON values only); a later read may start from there."""

    stream: str
    state: Mapping[str, Any]


class Audience(Struct, frozen=True, kw_only=True):
    """An audience as the bridge wants it.

    `marker` is a short text that is unique to it: stored at the platform, it finds the audience again. `name` and
    `description` are for people. `ref` is what an earlier `ensure` returned.
    """

    marker: str
    name: str
    description: str = ""
    ref: AudienceRef | None = None


class AudienceRef(Struct, frozen=True, kw_only=True):
    """An audience as the platform holds it.

    `account` is whose `Limits` it uses up, `name` the one for people, `status` the platform's own word, `lower_bound`
    and `upper_bound` its estimate of how many people it has matched. `id` is empty while the platform has none yet,
    since the first batch makes it: `name` then tells the audience from others, and a later `ensure` gives the id.
    `asked_at`, which the core fills, is when the platform said so.
    """

    id: str
    account: str
    name: str = ""
    status: str = ""
    lower_bound: int | None = None
    upper_bound: int | None = None
    asked_at: datetime | None = None


class Inventory(Struct, frozen=True, kw_only=True):
    """What credentials reach at a platform: `accounts` by id with their names, and the audiences of the account that
    the settings name, also those that others have made.
    """

    accounts: Mapping[str, str] = field(default_factory=dict)
    audiences: tuple[AudienceRef, ...] = ()


class Item(Struct, frozen=True, kw_only=True):
    """A product in a conversion; `price` is that of one, in the conversion's currency."""

    id: str
    quantity: float | None = None
    price: float | None = None

    @property
    def whole_quantity(self) -> int | None:
        """The quantity, if it is a whole number: platforms count pieces."""
        return int(self.quantity) if self.quantity is not None and self.quantity == int(self.quantity) else None


class Conversion(Struct, frozen=True, kw_only=True):
    """Something that a person did and that a platform learns of.

    `event_id` tells it apart: a platform counts one id once, so a repeat is harmless. `event_name` is in snake_case
    (`purchase`, `add_to_cart`, `lead`; other names are allowed), `occurred_at` in seconds since 1970, `source` where it
    happened. `click_ids` are what platforms have put into links and cookies, by their own names (`fbc`, `fbp`, `gclid`,
    `gbraid`, `wbraid`, `ttclid`, `ttp`). `value` is in `currency` (ISO 4217).
    """

    event_id: str
    event_name: str
    occurred_at: float
    source: Literal["web", "app", "store", "crm"] = "web"
    url: str | None = None
    value: float | None = None
    currency: str | None = None
    order_id: str | None = None
    items: tuple[Item, ...] = ()
    click_ids: Mapping[str, str] = field(default_factory=dict)
    ip_address: str | None = None
    user_agent: str | None = None


class Batch(Struct, frozen=True, kw_only=True):
    """Members to add to or remove from one audience; the core has normalised and hashed what the profile hashes.

    `identifiers[column][i]` are the values of member `keys[i]` in that column of the profile (hashed ones as 64
    lower-case hex digits); a member may have none or several. `number` counts the batches of this operation in this run
    from 1, `last` marks the final one, `total` is the number of members of the operation in this run.

    With `track`, `keys[i]` stands for the conversion `events[i]` and the identifiers are those of the person behind it;
    there is no audience then: its reference has the name of the object that is written.
    """

    audience: AudienceRef
    operation: Operation
    keys: Sequence[bytes]
    identifiers: Mapping[str, Sequence[Sequence[str]]]
    events: Sequence[Conversion] = ()
    number: int = 1
    last: bool = True
    total: int = 0

    def rows(self, columns: Sequence[str]) -> tuple[list[tuple[str, ...]], list[int]]:
        """The members as rows of `columns`, "" where there is no value, and the place of each row's owner in `keys`.

        First one row a member, then the further rows of members with several values in a column. In those a shorter
        column starts over, so each value is there at least once and only beside others of its owner.
        """
        held = [self.identifiers[column] for column in columns]
        owners = list(range(len(self.keys)))
        rows = list(zip(*([v[0] if v else "" for v in column] for column in held), strict=True)) or [()] * len(owners)
        for owner in sorted({i for column in held for i, count in enumerate(map(len, column)) if count > 1}):
            values = [column[owner] for column in held]
            for turn in range(1, max(map(len, values))):
                rows.append(tuple(v[turn % len(v)] if v else "" for v in values))
                owners.append(owner)
        return rows, owners


class Outcome(Struct, frozen=True, kw_only=True):
    """What the platform said of a batch: each member is rejected with a reason, unknown, or accepted (all others).

    `counts` say how many members the platform refuses for which reason, where it does not say whom: then all who are
    not rejected by name are unknown. `pending` is the platform's reference when the answer comes later through
    `settle`. `pause` is how many seconds the platform wants us to stay away from the account.
    """

    rejected: Mapping[bytes, str] = field(default_factory=dict)
    unknown: frozenset[bytes] = frozenset()
    counts: Mapping[str, int] = field(default_factory=dict)
    pending: str | None = None
    pause: float = 0.0

    def open(self, keys: Iterable[bytes]) -> set[bytes]:
        """Those of `keys`, the members of the batch, of whom it is not known (yet) whether the platform has them."""
        unnamed = set(keys) - self.rejected.keys()
        return unnamed if self.counts or self.pending is not None else unnamed & self.unknown


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


class Writer(Protocol):
    """An open destination, used by one run at a time."""

    def ensure(self, audience: Audience) -> AudienceRef:
        """Find the audience by its ref or marker, create it only if there is none; called again when it fails.

        Never called for conversions.
        """

    def write(self, batch: Batch) -> Outcome:
        """Send one batch in one request, once.

        TransientError: the core waits and calls again with the very same batch. RejectedError: it tries the halves.
        ConfigError: it ends the run.
        """

    def settle(self, audience: AudienceRef, pending: str) -> Outcome:
        """Ask for the final word on an earlier pending batch; while there is none, give `pending` again."""


class Destination(Protocol):
    """What a destination connector fulfils, usually as functions of a module.

    It may also have `preview(settings, batch) -> Mapping`: the request that `write` would send, as JSON values, for
    `sync --dry-run`; and `inventory(settings) -> Inventory`, which asks the platform.
    """

    def check(self, settings: Any) -> list[Probe]:
        """Named findings about credentials, scope, terms and writability."""

    def discover(self, settings: Any) -> Catalog:
        """The objects that can be written, with profile, operations and matching keys; needs no network."""

    def open(self, settings: Any) -> AbstractContextManager[Writer]:
        """A writer for the length of one run."""


class LifecycleEvent(Struct, frozen=True, kw_only=True):
    """A state change that plugins may hear of.

    `name` is `run.started` or `run.finished`, `subject` the audience; `details` hold names and counts only.
    """

    name: str
    subject: str
    details: Mapping[str, str | int | float | None] = field(default_factory=dict)


class Channel(Protocol):
    """The two pipes of a connector's process."""

    def write(self, data: bytes) -> None:
        """Send all of it; OSError when nobody reads any more."""

    def read(self, size: int) -> bytes:
        """Exactly so many bytes, or fewer at the end."""

    def ending(self) -> str:
        """Why the process has ended, as the end of a sentence; waits a moment for its end."""


class Launcher(Protocol):
    """Starts the process of a connector somewhere, and ends it for sure."""

    def start(
        self, connector: Connector, *, run: str = "", token: int = 0, hosts: Sequence[str] = ()
    ) -> AbstractContextManager[Channel]:
        """Run the connector's executable with the argument `bridge`; gone at the end of the `with` block.

        `run` is the id of the run that it is for, `token` that of its lease, `hosts` are the origins
        (`scheme://host:port`) that the settings name.
        """
