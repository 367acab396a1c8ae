"""The settings of the source: one space of a Segment workspace."""

from typing import Annotated, Literal

from cdp_bridge.sdk import Secret, option
from msgspec import Meta, Struct

HttpUrl = Annotated[str, Meta(pattern="^https?://")]


class Warehouse(Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """Where Profiles Sync writes its tables: the only place that lists the members of an audience."""

    url: Annotated[
        Secret,
        option(
            "URL",
            "postgresql://user:password@host/database, duckdb:////absolute/file, or that of any SQLAlchemy dialect",
            local="database",
        ),
    ]
    schema: Annotated[str | None, option("Schema", "Schema of the tables; the slug of the space unless given")] = None


class Settings(Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """One space of one workspace; every host follows from the region."""

    public_api_token: Annotated[
        Secret, option("Public API token", "Workspace token: Settings > Access Management > Tokens in Segment")
    ]
    region: Annotated[Literal["us", "eu"], option("Region", "Where the workspace lives")] = "us"
    space: Annotated[str | None, option("Space", "Id or slug of the space; not needed if there is only one")] = None
    warehouse: Annotated[
        Warehouse | None, option("Profiles Sync warehouse", "Needed to read the members of audiences")
    ] = None
    profile_api_token: Annotated[
        Secret | None, option("Profile API token", "Access token of the space; needed to look up single profiles")
    ] = None
    audiences: Annotated[
        tuple[str, ...],
        option("Audiences", "Keys of those to read when no segment is asked for; every enabled one unless given"),
    ] = ()
    base_url: Annotated[
        HttpUrl | None, option("Base URL", "Takes the place of all Segment hosts: for a sandbox or a proxy")
    ] = None
