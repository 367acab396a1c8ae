"""Decides which mapped identifiers may be sent, by each mapping's policy and what the profile does with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from cdp_bridge.entities import DataMapping
from cdp_bridge.mapping.fields import IDENTIFIERS

Form = Literal["hashed", "clear"]


def allowed(mappings: Sequence[DataMapping], profile_columns: Mapping[str, Form]) -> tuple[str, ...]:
    """The identifiers that may go into a profile; `profile_columns` says in which form it sends each one it takes.

    Where several mappings fill one identifier, the strictest policy holds for it.
    """
    withheld_fields = withheld(mappings, profile_columns)
    return tuple(field for field in _mapped(mappings) if field not in withheld_fields)


def withheld(mappings: Sequence[DataMapping], profile_columns: Mapping[str, Form]) -> dict[str, str]:
    """The mapped identifiers that must not go into a profile, each with a sentence why."""
    reasons = {field: _objection(field, mappings, profile_columns.get(field)) for field in _mapped(mappings)}
    return {field: reason for field, reason in reasons.items() if reason}


def _mapped(mappings: Sequence[DataMapping]) -> tuple[str, ...]:
    present = {mapping.omniads_field for mapping in mappings}
    return tuple(field for field in IDENTIFIERS if field in present)


def _objection(field: str, mappings: Sequence[DataMapping], form: Form | None) -> str:
    policies = {mapping.policy for mapping in mappings if mapping.omniads_field == field}
    if form is None:
        return "the profile does not take it"
    if "never" in policies:
        return "its policy is never"
    if form == "clear" and policies != {"clear"}:
        return "the profile sends it in clear and its policy is hash"
    return ""
