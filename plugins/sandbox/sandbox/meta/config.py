"""The configuration that tests may set on the Meta twin: app, tokens, accounts and switches."""

from importlib import resources
from typing import Literal

import msgspec

Tier = Literal["development_access", "standard_access"]


class App(msgspec.Struct, forbid_unknown_fields=True):
    """The app whose tokens are served; `demand_proof` asks for `appsecret_proof` on every call (contract 1.1)."""

    id: str
    secret: str
    demand_proof: bool = False
    calls_per_hour: int = 1_000_000


class Token(msgspec.Struct, forbid_unknown_fields=True):
    """One access token; `accounts` null sees all, `expires_at` 0 never ends, `calls_left` 0 is a revoked token."""

    scopes: list[str] = msgspec.field(default_factory=lambda: ["ads_management", "ads_read", "business_management"])
    accounts: list[str] | None = None
    expires_at: int = 0
    calls_left: int | None = None
    user_id: str = "7001"


class Account(msgspec.Struct, forbid_unknown_fields=True):
    """One ad account; null budgets are those of its access tier (contract 2.1)."""

    name: str
    pixels: list[str] = []
    currency: str = "EUR"
    timezone_name: str = "Europe/Berlin"
    tier: Tier = "standard_access"
    calls_per_hour: int | None = None
    max_score: int | None = None
    terms_accepted: bool = True
    user_terms_accepted: bool = True


class Config(msgspec.Struct, forbid_unknown_fields=True):
    """The whole configuration; times are seconds of the twin's clock.

    `create_lag`: a new audience answers 803 for so long. `populating`: operation_status 441 after an upload.
    `stuck_sessions`: sessions stay `uploading` with num_matched "-1". `empty_first_page`: a list begins with an empty
    page that has a `next`. `list_samples`: invalid_entry_samples as list instead of map. `max_page`: a page above it
    is answered with code 1, "reduce the amount of data". `removal_minimum`: nobody is removed from an audience of fewer
    people (200/1870047); where Meta draws the line is not published. `insights_job`: how long an asynchronous report
    runs, and `insights_outcome` how it ends.
    """

    app: App
    tokens: dict[str, Token]
    accounts: dict[str, Account]
    create_lag: float = 0
    populating: float = 0
    stuck_sessions: bool = False
    empty_first_page: bool = False
    list_samples: bool = False
    max_page: int = 500
    insights_job: float = 0
    removal_minimum: int = 0
    insights_outcome: Literal["Job Completed", "Job Failed", "Job Skipped"] = "Job Completed"


def load() -> Config:
    """The defaults of `defaults.json`."""
    text = resources.files(__package__).joinpath("defaults.json").read_bytes()
    return msgspec.json.decode(text, type=Config)
