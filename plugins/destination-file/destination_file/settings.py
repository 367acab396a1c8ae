"""Settings: the folder of the files, and the profile of their values."""

from typing import Annotated, Literal

from cdp_bridge.sdk import option
from msgspec import Struct


class Settings(Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """One folder of audiences."""

    path: Annotated[
        str, option("Folder", "Made if it is not there", local="path", min_length=1, examples=["out/audiences"])
    ]
    format: Annotated[Literal["jsonl", "csv"], option("Format", "A line for each member, or identifier")] = "jsonl"
    profile: Annotated[
        str, option("Identity profile", "Whose rules normalise and hash the identifiers; `clear`: they stay in clear")
    ] = "generic"
