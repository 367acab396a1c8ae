"""Runs containers on the Docker engine of this machine; the only module that uses its SDK."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import signal
import socket
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import IO, Any

import docker.errors
import requests
from msgspec.structs import replace

import docker
from cdp_bridge import processes
from cdp_bridge.connectors.launch import firewall
from cdp_bridge.connectors.launch.egress import PROXY_PORT, Proxy, Rules, Tunnel, tunnelled, usable_proxies
from cdp_bridge.connectors.launch.hardening import (
    AUTHORITIES,
    GRACE,
    IMAGE,
    INTERFACE,
    LABEL,
    OURS,
    Box,
    Network,
    Start,
    configuration,
)
from cdp_bridge.connectors.launch.local import log_lines
from cdp_bridge.connectors.launch.stdio import Demultiplexed
from cdp_bridge.connectors.transport import Pipes
from cdp_bridge.errors import BridgeError, ConfigError
from cdp_bridge.http.network import authorities
from cdp_bridge.model import Channel, Connector

log = logging.getLogger(__name__)

_MB = 1024 * 1024
_PIECE = 1 << 18
_INTERFACE = "com.docker.network.bridge.name"
Engine = Any
"""The SDK's APIClient, half of which has no types."""


@contextmanager
def contained(
    box: Box, connector: Connector, *, run: str = "", token: int = 0, hosts: Sequence[str] = (), start: Start = OURS
) -> Iterator[Container]:
    """A started container of a connector, or of any image that a connector's name `docker:IMAGE` names."""
    with ExitStack() as stack:
        with _plain_errors():
            api = stack.enter_context(contextlib.closing(_engine()))
            sweep(api)
            image = find_image(api, box, connector)
            labels = {
                "connector": connector.name,
                "run": run,
                "token": str(token),
                "owner": processes.this_process(),
                "deadline": str(int(time.time()) + box.seconds),
            }
            network = stack.enter_context(_way_out(api, Rules(connector, hosts), labels))
            start = stack.enter_context(_trusting(start))
            settings = configuration(box, image, labels, network, start)
            container = Container(api, box, connector.name, settings)
            stack.callback(container.close)
            container.start()
        yield container


class Container:
    """One container, attached to before it starts."""

    def __init__(self, api: Engine, box: Box, name: str, settings: Mapping[str, Any]) -> None:
        self._api, self._box, self._name = api, box, name
        self._ending = ""
        self.id: str = api.create_container_from_config(settings)["Id"]
        self._sockets: list[socket.socket] = []
        self._ends = ExitStack()
        self._alarm = threading.Timer(box.seconds, self._kill, [f"was stopped at its time limit of {box.seconds} s"])
        self._alarm.daemon = True

    def start(self) -> None:
        """Start it; its log is copied to ours."""
        both, errors = self._attach(stdin=1, stdout=1), self._attach(stderr=1)
        self._output = Demultiplexed(io.BufferedReader(both, _MB), self._box.output * _MB)
        self.channel: Channel = Pipes(io.BufferedReader(self._output, _MB), io.BufferedWriter(both, _MB), self.ending)
        stderr = io.BufferedReader(Demultiplexed(io.BufferedReader(errors), self._box.log * _MB))
        drain = threading.Thread(target=self._drain, args=[stderr], daemon=True)
        drain.start()
        self._ends.callback(drain.join, GRACE)
        self._api.start(self.id)
        self._alarm.start()

    def relay(self, source: IO[bytes], target: IO[bytes]) -> None:
        """Copy `source` to its input, and its output to `target`, until it ends."""
        threading.Thread(target=self._feed, args=[source], daemon=True).start()
        with contextlib.suppress(OSError):
            while piece := self._output.read(_PIECE):
                target.write(piece)
                target.flush()

    def kill(self, how: str) -> None:
        """End it at once."""
        self._kill(how)

    def ending(self) -> str:
        """See `Channel.ending`."""
        if self._output.is_over:
            self._kill(f"sent more than {self._box.output} MB")
        try:
            self._api.wait(self.id, timeout=GRACE)
            state = self.inspect()["State"]
        except (docker.errors.DockerException, requests.RequestException):
            return self._ending or "does not answer any more"
        code = state["ExitCode"]
        if self._ending or state["OOMKilled"]:
            return self._ending or f"needed more than its {self._box.memory} MB of memory"
        # The convention of shells for a process that a signal ended.
        return f"was ended by {signal.Signals(code - 128).name}" if code > 128 else f"ended with exit code {code}"

    def inspect(self) -> dict[str, Any]:
        """The engine's description of the container."""
        description: dict[str, Any] = self._api.inspect_container(self.id)
        return description

    def surroundings(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The engine's descriptions of its image and network."""
        own = self.inspect()
        return self._api.inspect_image(own["Image"]), self._api.inspect_network(own["HostConfig"]["NetworkMode"])

    def close(self) -> None:
        """Close its input and wait for its end; then SIGTERM, SIGKILL, removal."""
        self._alarm.cancel()
        self._hang_up()
        with contextlib.suppress(requests.RequestException, docker.errors.DockerException):
            self._api.wait(self.id, timeout=GRACE)
        with contextlib.suppress(docker.errors.APIError):
            self._api.stop(self.id, timeout=GRACE)
        _remove(self._api.remove_container, self.id, v=True, force=True)
        self._ends.close()

    def _attach(self, **streams: int) -> socket.SocketIO:
        """Both directions of a stream to the container, without the SDK's time-out."""
        attached = self._api.attach_socket(self.id, {"stream": 1, **streams})
        end: socket.socket = attached._sock.dup()
        attached._sock.close()
        attached.close()
        end.settimeout(None)
        file = end.makefile("rwb", 0)
        self._sockets.append(end)
        self._ends.callback(end.close)
        self._ends.callback(file.close)
        return file

    def _feed(self, source: IO[bytes]) -> None:
        both = self._sockets[0]
        with contextlib.suppress(OSError):
            while piece := source.read(_PIECE):
                both.sendall(piece)
            both.shutdown(socket.SHUT_WR)

    def _hang_up(self) -> None:
        for end in self._sockets:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _drain(self, errors: io.BufferedReader) -> None:
        try:
            log_lines(self._name, errors)
        except OSError:
            self._kill(f"wrote more than {self._box.log} MB to its log")

    def _kill(self, how: str) -> None:
        self._ending = self._ending or how
        # The engine does not report a container as ended while output of it waits for a reader.
        self._hang_up()
        with contextlib.suppress(docker.errors.APIError):
            self._api.kill(self.id)


def find_image(api: Engine, box: Box, connector: Connector) -> str:
    """The digest of a connector's image; ConfigError if the engine has none."""
    is_theirs = connector.name.startswith(IMAGE)
    ours = connector.image or box.image.format(connector=connector.name)
    name = connector.name.removeprefix(IMAGE) if is_theirs else ours
    try:
        digest: str = api.inspect_image(name)["Id"]
    except docker.errors.ImageNotFound:
        remedy = f"Run: docker pull {name}"
        if not (is_theirs or connector.image):
            remedy = f"Make it with scripts/images {connector.name}, or pull it"
        raise ConfigError(f"the Docker engine has no image {name}", remedy=remedy) from None
    return digest


def sweep(api: Engine) -> None:
    """Remove containers and networks whose owner is dead or whose deadline has passed."""
    ours = {"label": f"{LABEL}owner"}
    for container in api.containers(all=True, filters=ours):
        if _is_orphan(container["Labels"]):
            _remove(api.remove_container, container["Id"], v=True, force=True)
    for network in api.networks(filters=ours):
        if _is_orphan(network["Labels"]):
            _remove(api.remove_network, network["Id"])
            firewall.open_again(network["Options"][_INTERFACE])


def _is_orphan(labels: Mapping[str, str]) -> bool:
    is_late = time.time() > int(labels[f"{LABEL}deadline"]) + 10 * GRACE
    return is_late or processes.is_dead(labels[f"{LABEL}owner"])


@contextmanager
def _way_out(api: Engine, rules: Rules, labels: Mapping[str, str]) -> Iterator[Network]:
    """A network from which only the proxy and the tunnels can be reached; without any network if there are no rules."""
    if not rules:
        yield Network()
        return
    usable_proxies()
    with ExitStack() as stack:
        unique = uuid.uuid4().hex[:11]
        name, interface = f"cdp-bridge-{unique}", f"{INTERFACE}{unique}"
        named = {LABEL + label: text for label, text in labels.items()}
        api.create_network(name, internal=True, options={_INTERFACE: interface}, labels=named)
        stack.callback(firewall.open_again, interface)
        stack.callback(_remove, api.remove_network, name)
        gateway: str = api.inspect_network(name)["IPAM"]["Config"][0]["Gateway"]
        places = tunnelled(rules)
        firewall.close(interface, gateway, [PROXY_PORT, *(place.port for place in places)])
        try:
            proxy = stack.enter_context(Proxy(gateway, rules))
            for place in places:
                stack.enter_context(Tunnel(gateway, rules, place))
        except OSError as error:
            remedy = "Use an engine of this machine, and no two warehouses with the same port in one connection"
            raise ConfigError(f"no way out for a container can be made: {error.strerror}", remedy=remedy) from None
        url = f"http://{gateway}:{proxy.port}"
        variables = ("CDP_BRIDGE_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
        yield Network(name, [f"{place.host}:{gateway}" for place in places], dict.fromkeys(variables, url))


@contextmanager
def _trusting(start: Start) -> Iterator[Start]:
    """The start with the authorities that the environment of this process names in a file, if there are any."""
    trusted = authorities()
    if not trusted.are_named:
        yield start
        return
    with tempfile.NamedTemporaryFile(prefix="cdp-bridge-", suffix=".pem") as file:
        file.write(trusted.certificates())
        file.flush()
        # The user of the container is another one, and certificates are no secret.
        os.chmod(file.name, 0o644)
        yield replace(start, files={**start.files, AUTHORITIES: file.name})


def _engine() -> Engine:
    api = docker.from_env().api
    # The engine is this machine's: no proxy leads there.
    api.trust_env = False
    return api


def _remove(remove: Callable[..., None], name: str, **options: bool) -> None:
    try:
        remove(name, **options)
    except docker.errors.NotFound:
        pass
    except (docker.errors.DockerException, requests.RequestException) as error:
        log.warning("%s is left until the next sweep: %s", name, type(error).__name__)


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Translate errors of the engine into errors of the bridge."""
    try:
        yield
    except docker.errors.APIError as error:
        raise BridgeError(f"the Docker engine refused: {error.explanation}") from None
    except (docker.errors.DockerException, requests.RequestException):
        remedy = f"Install and start Docker, and let this user reach {os.environ.get('DOCKER_HOST') or 'its socket'}"
        raise ConfigError("no Docker engine answers", remedy=remedy) from None
