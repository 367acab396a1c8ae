"""The Google twin: Data Manager API, Google Ads API and their OAuth server, as strict as the contract says."""

from sandbox.google.app import create_app, learn

__all__ = ["create_app", "learn"]
