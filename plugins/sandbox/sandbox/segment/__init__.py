"""The Segment twin: Public API, Profile API, Tracking API, OAuth server and webhook sender on one port."""

from sandbox.segment.app import create_app

__all__ = ["create_app"]
