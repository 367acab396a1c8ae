"""A connector in another process: the frames that go between, and both ends of them."""

from .pipes import Pipes, serve_process
from .remote import Remote

__all__ = ["Pipes", "Remote", "serve_process"]
