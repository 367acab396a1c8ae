"""The ways in which what suppression lists name people by is hashed: a CDP may have hashed by any."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from itertools import zip_longest

import msgspec
from msgspec.structs import replace

from cdp_bridge.identity.installed import installed
from cdp_bridge.identity.profile import Profile, Rule, read_data

HASHED = ("email", "phone", "mobile_ad_id")
"""The identifiers that suppression lists name people by, besides the user id."""


def variants() -> list[Profile]:
    """As few profiles as can be that hash these identifiers in each way that is usual or installed."""
    ways = {field: _ways(field) for field in HASHED}
    return [
        Profile("", "", "", {field: rule for field, rule in zip(ways, rules, strict=True) if rule})
        for rules in zip_longest(*ways.values())
    ]


def with_digests(profile: Profile, fields: Collection[str]) -> tuple[Profile, dict[str, str]]:
    """A profile that also hashes, in a usual way, what the given one does not; identifier -> column for each.

    A list that was hashed before a plugin came knows nothing of its own way, so the usual one is compared too.
    """
    columns = {field: f"{field}_digest" for field in HASHED if field in fields and not _is_usual(profile, field)}
    digests = {column: _usual()[field][0] for field, column in columns.items()}
    return replace(profile, fields=profile.fields | digests), columns


def _ways(field: str) -> list[Rule]:
    """The rules that hash a field, each of those that come to the same once, the usual ones first."""
    rules = [profile.fields[field] for profile in installed().profiles.values() if field in profile.fields]
    distinct: dict[tuple[str, ...], Rule] = {}
    for rule in (*_usual()[field], *rules):
        if rule.send == "hash" and (field in rule.outputs or not rule.outputs):
            distinct.setdefault(rule.steps, replace(rule, outputs={}))
    return list(distinct.values())


def _is_usual(profile: Profile, field: str) -> bool:
    rule = profile.fields.get(field)
    usual = {known.steps for known in _usual()[field]}
    return rule is not None and rule.send == "hash" and not rule.outputs and rule.steps in usual


@cache
def _usual() -> dict[str, tuple[Rule, ...]]:
    return msgspec.json.decode(read_data("data/usual_hashes.json"), type=dict[str, tuple[Rule, ...]])
