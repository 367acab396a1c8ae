"""The TikTok twin: streaming and customer-file audiences and Events API 2.0, as strict as the contract says."""

from sandbox.tiktok.app import create_app, learn

__all__ = ["create_app", "learn"]
