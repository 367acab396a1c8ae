"""Starts each connector in a hardened container of its own."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING

from cdp_bridge.connectors.launch.checks import checks
from cdp_bridge.connectors.launch.hardening import OURS, Box, Start
from cdp_bridge.connectors.launch.local import LocalLauncher
from cdp_bridge.errors import BridgeError, ConfigError
from cdp_bridge.model import Channel, Connector, Probe

if TYPE_CHECKING:
    from cdp_bridge.connectors.launch.docker import Container

_INSIDE = ("/usr/bin/python3", "-m", "cdp_bridge.connectors.launch.inside")
_SOME_HOST = ("https://localhost",)
_MAX_REPORT_BYTES = 1_000_000


class DockerLauncher:
    """Starts the images of connectors on the Docker engine of this machine, within the limits of the environment."""

    @contextmanager
    def start(
        self, connector: Connector, *, run: str = "", token: int = 0, hosts: Sequence[str] = ()
    ) -> Iterator[Channel]:
        """The channel to a new container; container and network are removed at the end of the `with` block."""
        if connector.program:
            with LocalLauncher().start(connector, run=run, token=token, hosts=hosts) as channel:
                yield channel
            return
        if connector.local:
            remedy = "Run it without --launcher docker, or with --launcher local"
            problem = "works with files of this machine, which no container has"
            raise ConfigError(problem, place=connector.name, remedy=remedy)
        with self._contained(connector, run, token, hosts) as container:
            yield container.channel

    def examine(self, connector: Connector) -> list[Probe]:
        """The results of the checks of a container that is started for them."""
        with ExitStack() as stack:
            service = stack.enter_context(socket.create_server(("", 0)))
            report_start = Start(program=_INSIDE, arguments=[str(service.getsockname()[1])])
            container = stack.enter_context(self._contained(connector, "examination", 0, _SOME_HOST, report_start))
            report = container.channel.read(_MAX_REPORT_BYTES)
            try:
                inside = json.loads(report)
            except ValueError:
                raise BridgeError(
                    f"the container of {connector.name} {container.ending()}, and did not report"
                ) from None
            return checks(container.inspect(), *container.surroundings(), inside)

    def _contained(
        self, connector: Connector, run: str, token: int, hosts: Sequence[str], start: Start = OURS
    ) -> AbstractContextManager[Container]:
        try:
            from cdp_bridge.connectors.launch.docker import contained
        except ModuleNotFoundError:
            remedy = "Install it: pip install 'cdp-bridge[docker]'"
            raise ConfigError("the Docker SDK for Python is not installed", remedy=remedy) from None
        return contained(Box.from_environment(), connector, run=run, token=token, hosts=hosts, start=start)
