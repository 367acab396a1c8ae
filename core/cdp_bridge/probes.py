"""Runs the named checks of a connector, and leaves out those that a failed one makes pointless."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from cdp_bridge.model import Probe


def run_probes(
    checks: Mapping[str, Callable[[], str]], *, needs: Mapping[str, str | None] | None = None
) -> list[Probe]:
    """The findings of checks, in their order; a check returns what it found, or raises an error with a remedy.

    A check is left out when the one that it needs has failed or was left out; the failed one's detail then names it.
    Each needs the one before it, unless `needs` says which one it needs, or None.
    """
    wanted = needs or {}
    probes: dict[str, Probe] = {}
    # Name of a check that failed or was left out -> name of the one that failed.
    failed: dict[str, str] = {}
    skipped: dict[str, list[str]] = {}
    before: str | None = None
    for name, check in checks.items():
        cause = failed.get(wanted.get(name, before) or "")
        before = name
        if cause is not None:
            failed[name] = cause
            skipped.setdefault(cause, []).append(name)
            continue
        probes[name] = Probe.of(name, check)
        if not probes[name].passed:
            failed[name] = name
    return [_with_skipped(probe, skipped.get(name, [])) for name, probe in probes.items()]


def _with_skipped(probe: Probe, names: list[str]) -> Probe:
    if not names:
        return probe
    return msgspec.structs.replace(probe, detail=f"{probe.detail} (so not checked: {', '.join(names)})")
