"""Prints the licence of each locked package; 1 if one may not be part of what we give to others."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable

from . import licences
from .locks import JUDGED, Locked, locks

ABSENT = "not installed here"


def main(everything: Iterable[tuple[str, list[Locked]]]) -> int:
    """Print the locks by their names, and what is wrong in the judged ones."""
    faults = []
    for name, locked in everything:
        packages = defaultdict(list)
        for package in locked:
            licence, fault = judge(package)
            packages[licence].append(f"{package.name} {package.version}")
            if fault and name in JUDGED:
                faults.append(f"{package.name} {package.version} in {name}: {fault}")
        print(f"{name}: {len(locked)} packages, {'judged' if name in JUDGED else 'listed only'}")
        for licence, members in sorted(packages.items()):
            print(f"  {licence}: {', '.join(members)}")
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


def judge(package: Locked) -> tuple[str, str | None]:
    """Its licence in words, and why it may not be part of what we give, with the remedy."""
    metadata = licences.installed(package)
    if metadata is None:
        return ABSENT, f"that version is {ABSENT}, so its licence cannot be read; run scripts/lock, then this again"
    licence = licences.expression(metadata)
    fault = licences.fault(package.name, licence)
    if fault and licence:
        fault += "; take another package, or give a reason in NAMED of scripts/inventory/licences.py"
    elif fault:
        fault += (
            f" (its metadata says: {licences.said(metadata)}); read its licence and name it, with where you read it, "
        )
        fault += "in NAMED of scripts/inventory/licences.py"
    named = licences.NAMED.get(package.name)
    return licence or (f"{named.licence} (named)" if named else f"unknown ({licences.said(metadata)})"), fault


if __name__ == "__main__":
    sys.exit(main(locks()))
