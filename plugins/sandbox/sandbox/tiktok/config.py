"""The configuration that tests may set on the TikTok twin: app, tokens, advertisers and switches."""

from importlib import resources
from typing import Literal

import msgspec

Tier = Literal["basic", "advanced", "premium", "ultimate"]
EventSource = Literal["web", "app", "offline", "crm"]

TIERS: dict[Tier, tuple[int, int, int]] = {
    "basic": (10, 600, 864_000),
    "advanced": (20, 1_200, 1_728_000),
    "premium": (30, 1_800, 2_592_000),
    "ultimate": (50, 3_000, 4_320_000),
}
"""Calls per second, minute and day of one app at one endpoint (contract 2)."""


class App(msgspec.Struct, forbid_unknown_fields=True):
    """The developer app; null limits are those of its tier, `allow_list` opens the streaming API."""

    id: str
    secret: str
    tier: Tier = "basic"
    per_second: int | None = None
    per_minute: int | None = None
    per_day: int | None = None
    allow_list: bool = True

    @property
    def limits(self) -> tuple[int, int, int]:
        """Calls per second, minute and day at one endpoint."""
        second, minute, day = TIERS[self.tier]
        set_ones = (self.per_second, self.per_minute, self.per_day)
        own = [default if one is None else one for one, default in zip(set_ones, (second, minute, day), strict=True)]
        return own[0], own[1], own[2]


class Token(msgspec.Struct, forbid_unknown_fields=True):
    """One access token; `advertisers` null sees all, `calls_left` 0 is revoked, `expires_at` 0 never ends."""

    scopes: list[int] = msgspec.field(default_factory=lambda: [3, 4, 5, 8])
    advertisers: list[str] | None = None
    calls_left: int | None = None
    expires_at: int = 0


class Advertiser(msgspec.Struct, forbid_unknown_fields=True):
    """One advertiser account, its business, and its event sources: pixel codes, apps, offline and CRM sets."""

    name: str
    business: str = "b-1"
    web: list[str] = []
    app: list[str] = []
    offline: list[str] = []
    crm: list[str] = []


class Config(msgspec.Struct, forbid_unknown_fields=True):
    """The whole configuration; times are seconds of the twin's clock.

    `processing`: how long a change takes to show. `floor`: matched people that an audience needs. `file_life`: after
    which an upload that was not used is gone. `max_rows`, `max_bytes`: of one mapping call (a guess of the contract).
    `cover_num_frozen`: sizes shown do not move any more. `max_audiences`: of one advertiser.
    """

    app: App
    tokens: dict[str, Token]
    advertisers: dict[str, Advertiser]
    processing: float = 3_600
    floor: int = 1_000
    file_life: float = 86_400
    max_rows: int = 10_000
    max_bytes: int = 10_000_000
    max_audiences: int = 400
    cover_num_frozen: bool = False


def load() -> Config:
    """The defaults of `defaults.json`."""
    text = resources.files(__package__).joinpath("defaults.json").read_bytes()
    return msgspec.json.decode(text, type=Config)
