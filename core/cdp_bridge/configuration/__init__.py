"""bridge.yaml: read, checked as a whole, and compared with what the store holds."""

from cdp_bridge.configuration.load import faults, is_reference, load, schema
from cdp_bridge.configuration.plan import Change, plan

__all__ = ["Change", "faults", "is_reference", "load", "plan", "schema"]
