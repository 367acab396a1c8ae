"""bridge.yaml: read, checked as a whole, and compared with what the store holds."""

from .load import faults, is_reference, load, schema
from .plan import Change, plan

__all__ = ["Change", "faults", "is_reference", "load", "plan", "schema"]
