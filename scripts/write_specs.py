"""The public contract as files: one JSON schema for each connector's settings, and the one of bridge.yaml."""

import json
import sys
from pathlib import Path
from typing import Any

from cdp_bridge import configuration
from cdp_bridge.registry import Registry
from cdp_bridge.settings import schema

FOLDER = Path(__file__).parent.parent / "connector_specs"


def documents() -> dict[str, dict[str, Any]]:
    """File name -> JSON schema, of everything that is installed."""
    found = {f"{name}.json": schema(connector.settings) for name, connector in sorted(Registry().connectors.items())}
    return found | {"bridge.schema.json": configuration.schema()}


def main(only_check: bool) -> int:
    """Write what differs, or name it; 1 if a check finds any difference."""
    texts = {name: json.dumps(document, indent=2) + "\n" for name, document in documents().items()}
    present = {path.name: path.read_text() for path in FOLDER.glob("*.json")}
    stale = sorted(name for name in texts.keys() | present.keys() if texts.get(name) != present.get(name))
    for name in stale:
        if only_check:
            print(f"connector_specs/{name} is not current; run scripts/specs", file=sys.stderr)
        elif name in texts:
            (FOLDER / name).write_text(texts[name])
        else:
            (FOLDER / name).unlink()
    return 1 if only_check and stale else 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
