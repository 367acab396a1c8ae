"""The state of one TikTok twin: its clock, what was created in it, and counters."""

import itertools
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

from sandbox.clock import Clock
from sandbox.tiktok import config
from sandbox.tiktok.directory import Directory
from sandbox.tiktok.limits import Budget
from sandbox.tiktok.membership import Membership, Row

Action = Literal["CREATE", "APPEND", "REMOVE", "REPLACE"]
YEAR = 365 * 86_400.0


@dataclass(frozen=True)
class File:
    """An uploaded customer file: its rows, and columns by key as far as the directory matches by them."""

    advertiser_id: str
    calculate_type: str
    uploaded: float
    rows: list[Row]


@dataclass(frozen=True)
class Job:
    """A change of a customer-file audience that is under way until `due`."""

    action: Action
    rows: list[Row]
    due: float


@dataclass
class Audience:
    """One audience and what it holds; `job` is what a customer file is doing to it, `shown` the size last computed."""

    audience_id: str
    advertiser_id: str
    name: str
    streaming: bool
    created: float
    calculate_type: str = ""
    sub_type: str = "NORMAL"
    retention_days: int | None = None
    members: Membership = field(default_factory=Membership)
    changed: float | None = None
    updated: float = 0.0
    shown: int = 0
    computed: bool = False
    job: Job | None = None
    error_msg: str = ""
    history: list[dict[str, Any]] = field(default_factory=list)
    deleted: bool = False
    counters: Counter[str] = field(default_factory=Counter)

    @property
    def expires(self) -> float:
        """When it dies: so long after its creation as was set, else a year after its last edit."""
        if self.retention_days is not None:
            return self.created + self.retention_days * 86_400
        return self.updated + YEAR


class Twin:
    """Everything one TikTok twin knows."""

    def __init__(self, directory: Directory) -> None:
        self.clock = Clock()
        self.config = config.load()
        self.directory = directory
        self.audiences: dict[str, Audience] = {}
        self.files: dict[str, File] = {}
        self.budget = Budget()
        self.codes: dict[str, tuple[float, list[int]]] = {}
        self.events: list[dict[str, Any]] = []
        self.event_keys: set[tuple[str, str, str]] = set()
        self.counters: Counter[str] = Counter()
        self._numbers = itertools.count(1)

    def new_id(self) -> str:
        """An id of 19 digits: more than a JSON number can carry."""
        return f"73{next(self._numbers):017d}"

    def live_audiences(self, advertiser_id: str) -> list[Audience]:
        """The audiences of an advertiser that were not deleted, newest first."""
        found = [a for a in self.audiences.values() if a.advertiser_id == advertiser_id and not a.deleted]
        return found[::-1]
