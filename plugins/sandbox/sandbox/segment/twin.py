"""The state of one Segment twin."""

from typing import Any, Literal

from aiohttp import web
from msgspec import Struct

from sandbox.churn import Churn
from sandbox.people import Population
from sandbox.segment.clock import Clock, Limiter
from sandbox.segment.profiles import Profiles


class Config(Struct, forbid_unknown_fields=True):
    """What `POST /_twin/config` can switch: the region this host serves and the rules the documentation leaves open."""

    region: Literal["us", "eu"] = "us"
    enforce_oauth: bool = False
    missing_id: Literal["reject", "drop"] = "reject"
    token_seconds: int = 86_400


class OAuthApp(Struct, forbid_unknown_fields=True):
    """An app that may ask for tokens: its id, key id and public RSA key (PEM)."""

    client_id: str
    key_id: str
    public_key: str


class Stored(Struct):
    """One message the Tracking API received: kept when `reason` is None, else dropped in silence for that reason."""

    message: dict[str, Any]
    received_at: str
    timestamp: str | None
    reason: str | None


class Regulation(Struct):
    """One privacy request; `created` in seconds of the twin's clock, `source_id` None for the whole workspace."""

    id: str
    kind: str
    subject_type: str
    subject_ids: list[str]
    created: float
    source_id: str | None


class Twin:
    """Everything a Segment twin remembers between two requests."""

    def __init__(self, population: Population, warehouse_url: str | None):
        self.config = Config()
        self.clock = Clock()
        self.limiter = Limiter(self.clock)
        self.warehouse_url = warehouse_url
        self.population = population
        self.profiles = Profiles(population)
        self.tracked: list[Stored] = []
        self.message_ids: dict[str, float] = {}
        self.oauth_apps: dict[str, OAuthApp] = {}
        self.used_assertions: set[str] = set()
        self.tokens: dict[str, tuple[str, float]] = {}
        self.regulations: dict[str, Regulation] = {}
        self.suppressed_users: set[str] = set()
        self.previews: dict[str, dict[str, Any]] = {}
        self.connections: dict[str, dict[str, Any]] = {}
        self.activations: dict[str, dict[str, Any]] = {}

    def renew(self, happened: Churn) -> None:
        """Take over the population after a churn."""
        self.population = happened.population
        self.profiles.renew(happened.population)


TWIN = web.AppKey("segment_twin", Twin)
