"""bridge.yaml and the API's edits: read, checked as a whole, compared with the store, saved with audit entries."""

from cdp_bridge.configuration.changes import EntryKey, Plan, apply, plan
from cdp_bridge.configuration.differences import Change
from cdp_bridge.configuration.load import faults, is_reference, load, schema

__all__ = ["Change", "EntryKey", "Plan", "apply", "faults", "is_reference", "load", "plan", "schema"]
