"""connector_specs/, the public contract: the JSON schema of each connector's settings, and that of bridge.yaml.

And connectors.json in each package that brings connectors, by which they are known without its code.
"""

from __future__ import annotations

import json
from pathlib import Path

from cdp_bridge import configuration
from cdp_bridge.connectors import manifest
from cdp_bridge.settings import schema

from .packages import PLUGINS, packages

FOLDER = Path("connector_specs")


def files() -> dict[Path, str]:
    """The schemas by path."""
    documents = {f"{one.name}.json": schema(one.settings) for _, connectors in packages() for one in connectors}
    documents["bridge.schema.json"] = configuration.schema()
    return {FOLDER / name: json.dumps(document, indent=2) + "\n" for name, document in documents.items()}


def manifests() -> dict[Path, str]:
    """What each package says of its connectors, by path."""
    return {
        folder.relative_to(PLUGINS.parent) / manifest.package_of(found[0]) / manifest.FILE: manifest.written(found)
        for folder, found in packages()
    }
