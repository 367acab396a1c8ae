"""bridge.yaml: read, checked as a whole, and compared with what the store holds."""

from .load import faults, load, schema
from .plan import Change, plan

__all__ = ["Change", "faults", "load", "plan", "schema"]
