"""Settings: the folder of the audiences, and the share of each fault; none by default."""

from typing import Annotated

from cdp_bridge.sdk import option
from msgspec import Meta, Struct

Seconds = Annotated[float, Meta(ge=0)]
Writes = Annotated[int, Meta(ge=0)]


def share(title: str, description: str) -> Meta:
    """A setting between 0 (never) and 1 (always)."""
    return option(title, description, ge=0, le=1)


class Settings(Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """One folder of audiences, and its faults."""

    path: Annotated[
        str, option("Folder", "Made if it is not there", local="path", min_length=1, examples=["out/chaos"])
    ]
    profile: Annotated[str, option("Identity profile", "Whose rules normalise and hash the identifiers")] = "generic"
    seed: Annotated[int, option("Seed", "Another seed, other calls and members that are hit")] = 0

    unavailable: Annotated[float, share("Unavailable", "Share of writes that fail for now; nothing is kept")] = 0.0
    lost_answers: Annotated[float, share("Lost answers", "Share of writes that are kept, but seem to fail")] = 0.0
    retry_after: Annotated[Seconds | None, option("Retry-After", "Seconds to wait, named by the two faults above")] = (
        None
    )

    poison: Annotated[float, share("Poison", "Share of members for whom a whole batch is refused")] = 0.0
    refused: Annotated[float, share("Refused", "Share of members refused by key")] = 0.0
    unknown: Annotated[float, share("Unknown", "Share of members of whom a write says nothing; half are kept")] = 0.0

    pending: Annotated[float, share("Pending", "Share of writes that are answered and done later")] = 0.0
    settled_after: Annotated[int, option("Settled after", "How often to ask for a late answer", ge=1)] = 1

    slow: Annotated[Seconds, option("Slow", "Seconds that each write takes")] = 0.0
    pause: Annotated[Seconds, option("Pause", "Seconds to stay away after each write")] = 0.0

    unauthorised_after: Annotated[
        Writes | None, option("Unauthorised after", "The credential expires after so many writes of a run")
    ] = None
    bug_after: Annotated[Writes | None, option("Bug after", "The connector breaks after so many writes of a run")] = (
        None
    )
