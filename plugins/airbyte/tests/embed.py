"""Is the model of a vector table that does not care for vectors: texts in, a vector each out."""

import json
import sys

print(json.dumps([[1.0, 0.0] for _ in json.load(sys.stdin)]))
