"""connector_specs/: the JSON schema of each connector's settings, and that of bridge.yaml: the public contract."""

from __future__ import annotations

import json
from pathlib import Path

from cdp_bridge import configuration
from cdp_bridge.settings import schema

from .packages import packages

FOLDER = Path("connector_specs")


def files() -> dict[Path, str]:
    """The schemas by path."""
    documents = {f"{one.name}.json": schema(one.settings) for _, connectors in packages() for one in connectors}
    documents["bridge.schema.json"] = configuration.schema()
    return {FOLDER / name: json.dumps(document, indent=2) + "\n" for name, document in documents.items()}
