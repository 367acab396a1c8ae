"""The Meta twin: custom audiences, Conversions API and Insights of the Graph API, as strict as the contract says."""

from sandbox.meta.app import create_app, learn

__all__ = ["create_app", "learn"]
