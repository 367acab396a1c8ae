"""The state of one Google twin: its clock, its user lists, the requests under way, and counters."""

import itertools
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

from sandbox.clock import Clock
from sandbox.google import config
from sandbox.google.directory import Directory
from sandbox.google.limits import Budget
from sandbox.google.membership import Links, Membership

MAX_DURATION = 540 * 86_400

Kind = Literal["ingest", "remove", "remove_all", "events"]


@dataclass
class UserList:
    """One user list and what it holds; `fields` are those a caller may set, in the names of the Data Manager API."""

    list_id: str
    account_id: str
    fields: dict[str, Any]
    created: float
    duration: float = MAX_DURATION
    members: Membership = field(default_factory=Membership)
    deleted: bool = False
    counters: Counter[str] = field(default_factory=Counter)

    @property
    def key_type(self) -> str:
        """The one kind of identifiers it takes, such as `CONTACT_ID`."""
        return str(self.fields["ingestedUserListInfo"]["uploadKeyTypes"][0])


@dataclass
class Row:
    """One member of a request: its links, and its two consents as GRANTED, DENIED or empty (None: it has none)."""

    links: Links
    consent: tuple[str, str] | None = None


@dataclass
class Target:
    """One destination of a request: what was sent of it, its list (None for events) and which rows are meant for it.

    `errors` are those of events, by reason.
    """

    destination: dict[str, Any]
    user_list: UserList | None
    rows: list[Row]
    errors: Counter[str] = field(default_factory=Counter)


@dataclass
class Submission:
    """An accepted request, under way until `due`; `outcome` holds one status per target from then on."""

    request_id: str
    kind: Kind
    data: str
    sent: float
    due: float
    targets: list[Target]
    as_of: float | None = None
    rows_taken: int | None = None
    outcome: list[dict[str, Any]] | None = None


@dataclass
class Job:
    """One offline user data job of the Google Ads API: the rows to add or remove once it runs."""

    job_id: str
    user_list: UserList
    consent: tuple[str, str] | None
    adds: list[Row] = field(default_factory=list)
    removes: list[Row] = field(default_factory=list)
    remove_all: bool = False
    started: Submission | None = None


class Twin:
    """Everything one Google twin knows."""

    def __init__(self, directory: Directory) -> None:
        self.clock = Clock()
        self.config = config.load()
        self.directory = directory
        self.lists: dict[str, UserList] = {}
        self.submissions: dict[str, Submission] = {}
        self.pending: list[Submission] = []
        self.jobs: dict[str, Job] = {}
        self.budget = Budget()
        self.codes: dict[str, Any] = {}
        self.events: list[dict[str, Any]] = []
        self.event_keys: set[tuple[str, str]] = set()
        self.counters: Counter[str] = Counter()
        self._numbers = itertools.count(1)

    def new_id(self, kind: int) -> str:
        """An id: decimal digits, `kind` in front."""
        return f"{kind}{next(self._numbers):06d}"

    def live_lists(self, account_id: str) -> list[UserList]:
        """The lists of an account that were not deleted, oldest first."""
        return [each for each in self.lists.values() if each.account_id == account_id and not each.deleted]
