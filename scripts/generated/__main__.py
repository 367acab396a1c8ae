"""Writes what derives from the code, or with `--check` only says what is not current; 1 if anything is not."""

from __future__ import annotations

import sys
from pathlib import Path

from cdp_bridge.errors import BridgeError

from . import connectors, kit, reference, specs

ROOT = Path(__file__).parents[2]


def main(only_check: bool) -> int:
    """Write or name each file that differs, and remove or name each schema of no connector."""
    pages = {reference.FILE: reference.page(), kit.FILE: kit.page()}
    wanted = specs.files() | specs.manifests() | pages | {connectors.FILE: connectors.page(_results(only_check))}
    present = {*wanted, *(path.relative_to(ROOT) for path in (ROOT / specs.FOLDER).glob("*.json"))}
    stale = sorted(path for path in present if wanted.get(path) != _text(path))
    for path in stale:
        if only_check:
            print(f"{path} is not current; run scripts/specs", file=sys.stderr)
        elif path in wanted:
            (ROOT / path).write_text(wanted[path], encoding="utf-8")
        else:
            (ROOT / path).unlink()
    return 1 if only_check and stale else 0


def _results(only_check: bool) -> dict[str, str]:
    """The words on each suite: what the page has, since to run the kit takes minutes, or what the kit says now."""
    return connectors.results_in(_text(connectors.FILE)) if only_check else connectors.results()


def _text(path: Path) -> str:
    return (ROOT / path).read_text(encoding="utf-8") if (ROOT / path).exists() else ""


if __name__ == "__main__":
    try:
        sys.exit(main("--check" in sys.argv[1:]))
    except BridgeError as error:
        sys.exit(str(error))
