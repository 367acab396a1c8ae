"""singer-sdk's own tests of a target, one class for each destination; collected by pytest in singer-sdk's environment.

`TARGETS` holds the configuration of each by its name, as JSON.
"""

# The SDK is in an environment of its own, which mypy does not see.
# mypy: disable-error-code="import-not-found"

import json
import os

from singer_sdk.testing import get_target_test_class
from target import TargetBridge

for name, config in json.loads(os.environ["TARGETS"]).items():
    globals()[f"Test {name}"] = get_target_test_class(TargetBridge, config=config)
