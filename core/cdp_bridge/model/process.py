"""The contracts of whatever starts a connector's process and speaks with it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from cdp_bridge.model.connector import Connector


class Channel(Protocol):
    """The two pipes of a connector's process."""

    def write(self, data: bytes) -> None:
        """Send all of it; OSError when nobody reads any more."""

    def read(self, size: int) -> bytes:
        """Exactly so many bytes, or fewer at the end."""

    def ending(self) -> str:
        """Why the process has ended, as the end of a sentence; waits a moment for its end."""


class Launcher(Protocol):
    """Starts the process of a connector somewhere, and ends it for sure."""

    def start(
        self, connector: Connector, *, run: str = "", token: int = 0, hosts: Sequence[str] = ()
    ) -> AbstractContextManager[Channel]:
        """Run the connector's executable with the argument `bridge`; gone at the end of the `with` block.

        `run` is the id of the run that it is for, `token` that of its lease, `hosts` are the origins
        (`scheme://host:port`) that the settings name.
        """
