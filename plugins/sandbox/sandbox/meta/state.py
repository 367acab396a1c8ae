"""The state of one Meta twin: its clock, what was created in it, and counters."""

import itertools
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from sandbox.clock import Clock
from sandbox.meta import config
from sandbox.meta.directory import Directory
from sandbox.meta.limits import AccountBudget, AppBudget
from sandbox.meta.membership import Membership


@dataclass
class Session:
    """One upload session; `ended` once its last batch came or its 90 minutes are over (contract 4.2)."""

    session_id: int
    audience_id: str
    edge: str
    started: float
    sequence: int = 0
    fingerprint: int = 0
    received: int = 0
    invalid: int = 0
    matched: int = 0
    finished_at: float | None = None

    LIFE = 90 * 60

    def expired(self, now: float) -> bool:
        """Whether it closed itself, unfinished."""
        return self.finished_at is None and now >= self.started + self.LIFE

    def ended(self, now: float) -> bool:
        """Whether it takes no more batches."""
        return self.finished_at is not None or self.expired(now)


@dataclass
class Audience:
    """One custom audience and what it holds; `source` is the kind of its first upload (contract 4.1)."""

    audience_id: str
    account_id: str
    fields: dict[str, Any]
    created: float
    members: Membership
    updated: float = 0.0
    content_updated: float = 0.0
    source: str | None = None
    replacing: Session | None = None
    forced_status: int | None = None
    forced_after: int = 0
    lookalikes: int = 0
    deleted: bool = False
    counters: Counter[str] = field(default_factory=Counter)

    @property
    def value_based(self) -> bool:
        """Whether every add must carry LOOKALIKE_VALUE."""
        return bool(self.fields.get("is_value_based"))


@dataclass
class AccountState:
    """What one ad account has used and learned: sessions, budgets and whose EXTERN_ID is whose."""

    sessions: dict[int, Session] = field(default_factory=dict)
    budget: AccountBudget = field(default_factory=AccountBudget)
    extern: dict[str, tuple[int | None, float]] = field(default_factory=dict)


class Twin:
    """Everything one Meta twin knows."""

    def __init__(self, directory: Directory) -> None:
        self.clock = Clock()
        self.config = config.load()
        self.directory = directory
        self.audiences: dict[str, Audience] = {}
        self.accounts: dict[str, AccountState] = {}
        self.app_budget = AppBudget()
        self.codes: dict[tuple[str | None, str | None], list[str]] = {}
        self.events: list[dict[str, Any]] = []
        self.event_keys: dict[tuple[str, str, str], float] = {}
        self.runs: dict[str, Any] = {}
        self.counters: Counter[str] = Counter()
        self._numbers = itertools.count(1)

    def account(self, account_id: str) -> AccountState:
        """The state of an ad account, made when first asked for."""
        return self.accounts.setdefault(account_id, AccountState())

    def new_id(self, kind: int) -> str:
        """A node id: decimal digits, `kind` in front."""
        return f"{kind}{next(self._numbers):012d}"

    def live_audiences(self, account_id: str) -> list[Audience]:
        """The audiences of an account that were not deleted, newest first."""
        found = [a for a in self.audiences.values() if a.account_id == account_id and not a.deleted]
        return found[::-1]
