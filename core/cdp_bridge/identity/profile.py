"""What a profile is: for every identifier that a platform takes, how to normalise, check and send it."""

from importlib import resources
from typing import Literal

import msgspec

FIELDS = (
    "email",
    "phone",
    "first_name",
    "last_name",
    "date_of_birth",
    "gender",
    "city",
    "region",
    "postal_code",
    "country",
    "mobile_ad_id",
    "external_id",
)
NAMES = ("first_name", "last_name", "city")
"""What people and places are called: Null, None and Nan are among it."""

IDENTIFYING = ("email", "phone", "mobile_ad_id")
"""A person without any of these is not sent, unless the profile says otherwise: names and places alone match nobody
for sure.
"""


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How one identifier is treated: `steps` and the keys of `checks` name entries of `steps.py`.

    `checks` maps each check to the reason given when it fails; the first failing check wins. `accepts_hash`: a value
    that is 64 hex digits already is sent as that digest. `outputs` maps an output column to the part of the normalised
    value it holds; left out, there is one output, named as the field, holding the whole.
    """

    send: Literal["hash", "clear"]
    steps: tuple[str, ...]
    checks: dict[str, str]
    source: str
    accepts_hash: bool = False
    outputs: dict[str, str] = {}


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A platform's rules. An identifier without a rule is never sent.

    Those in `all_or_none` are sent only if all of them have a value. A person with none of those in `identifying` is
    not sent.
    """

    name: str
    version: str
    source: str
    fields: dict[str, Rule]
    all_or_none: tuple[str, ...] = ()
    identifying: tuple[str, ...] = IDENTIFYING

    def outputs(self, field: str) -> dict[str, str]:
        """Output column -> part of the normalised value, for one field that the profile takes."""
        return self.fields[field].outputs or {field: "whole"}


def read_data(path: str) -> bytes:
    """The bytes of a data file of this package."""
    return resources.files(__package__).joinpath(path).read_bytes()
