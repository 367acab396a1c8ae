"""A connector in another process: the frames that go between, and both ends of them."""

from cdp_bridge.connectors.transport.pipes import Pipes, serve_process
from cdp_bridge.connectors.transport.remote import Remote

__all__ = ["Pipes", "Remote", "serve_process"]
