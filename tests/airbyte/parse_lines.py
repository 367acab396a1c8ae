"""Runs in PyAirbyte's environment: what airbyte-cdk's serializers and PyAirbyte's own types make of lines on stdin."""

import json
import sys

from airbyte_cdk.models import AirbyteMessageSerializer
from airbyte_protocol.models import AirbyteMessage


def main() -> None:
    """Print what both make of each line, as a pair."""
    for line in sys.stdin:
        by_cdk = AirbyteMessageSerializer.dump(AirbyteMessageSerializer.load(json.loads(line)))
        by_pyairbyte = AirbyteMessage.model_validate_json(line).model_dump(mode="json", by_alias=True)
        print(json.dumps([by_cdk, by_pyairbyte]))
