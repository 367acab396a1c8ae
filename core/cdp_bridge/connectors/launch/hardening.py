"""Configures the container of a connector: limits that a person may set, and hardening that never changes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from cdp_bridge.errors import ConfigError

USER = "65532:65532"
GRACE = 5
"""Seconds between SIGTERM and SIGKILL."""
IMAGE = "docker:"
"""The prefix of a connector name that is a foreign image."""
LABEL = "cdp-bridge."
"""The prefix of the labels of the bridge."""
INTERFACE = "cdpb"
"""The prefix of the host's network interfaces to containers, so that one firewall rule can name them all."""
PREFIX = "CDP_BRIDGE_DOCKER_"
RUN, TOKEN = f"{PREFIX}RUN", f"{PREFIX}TOKEN"
"""The variables that tell a process for which run and lease token it starts containers."""
FILES = "/run/cdp-bridge"
"""The folder for mounted files in a container."""
AUTHORITIES = "authorities.pem"
"""The name of the file there with the certificates of authorities, if the environment names any."""
_MB = 1024 * 1024

Positive = Annotated[int, Meta(gt=0)]


class Box(Struct, frozen=True, kw_only=True):
    """The limits of one container; each can be set by `CDP_BRIDGE_DOCKER_<NAME>`.

    `image` is the image of a connector, with `{connector}` for its name. `memory` (swap included), `tmp` (of `/tmp`,
    part of the memory), `log` (what it may write to stderr) and `output` (what it may send) are megabytes, `seconds` is
    how long it may run.
    """

    image: str = "cdp-bridge-{connector}"
    memory: Positive = 1_024
    cpus: Annotated[float, Meta(gt=0)] = 1.0
    processes: Positive = 128
    files: Positive = 1_024
    tmp: Positive = 256
    log: Positive = 4
    output: Positive = 20_000
    seconds: Positive = 6 * 3_600

    @classmethod
    def from_environment(cls) -> Box:
        """The limits as set; ConfigError naming the variable that cannot be used."""
        given = {field: os.environ[PREFIX + field.upper()] for field in cls.__struct_fields__ if _is_set(field)}
        try:
            return msgspec.convert(given, cls, strict=False)
        except msgspec.ValidationError as error:
            problem, _, field = str(error).partition(" - at `$.")
            place = PREFIX + field.rstrip("`").upper()
            raise ConfigError(problem, place=place, remedy="Set a positive number, or unset it") from None


def configuration(box: Box, image: str, labels: Mapping[str, str], network: Network, start: Start) -> dict[str, Any]:
    """The engine's configuration of a container that may only compute, and connect to the bridge and its hosts.

    The engine keeps no log, since stdout carries personal data.
    """
    entry = {"Entrypoint": list(start.program)} if start.program else {}
    return {
        "Image": image,
        **entry,
        "Cmd": list(start.arguments),
        "User": USER,
        "Env": [f"{name}={value}" for name, value in (*network.environment.items(), *_trust(start))],
        "Labels": {LABEL + name: value for name, value in labels.items()},
        "OpenStdin": True,
        "StdinOnce": True,
        "AttachStdin": True,
        "AttachStdout": True,
        "AttachStderr": True,
        "StopSignal": "SIGTERM",
        "StopTimeout": GRACE,
        "HostConfig": {
            "NetworkMode": network.name,
            "ExtraHosts": list(network.names),
            "Mounts": [
                {"Type": "bind", "Source": source, "Target": f"{FILES}/{name}", "ReadOnly": True}
                for name, source in start.files.items()
            ],
            # The engine's resolver would pass any name, and data in it, to the outside.
            "Dns": ["127.0.0.1"],
            "DnsOptions": ["timeout:1", "attempts:1"],
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges:true"],
            "ReadonlyRootfs": True,
            "Tmpfs": {"/tmp": f"rw,noexec,nosuid,nodev,size={box.tmp}m,uid=65532,gid=65532"},  # noqa: S108
            "Memory": box.memory * _MB,
            "MemorySwap": box.memory * _MB,
            "NanoCpus": int(box.cpus * 1e9),
            "PidsLimit": box.processes,
            "Ulimits": [
                {"Name": "nofile", "Soft": box.files, "Hard": box.files},
                {"Name": "core", "Soft": 0, "Hard": 0},
            ],
            "IpcMode": "private",
            "LogConfig": {"Type": "none"},
            "Init": True,
            "RestartPolicy": {"Name": "no"},
        },
    }


class Network(Struct, frozen=True):
    """A container's network: its name, host names that lead to the bridge, and the environment variables for it."""

    name: str = "none"
    names: Sequence[str] = ()
    environment: Mapping[str, str] = {}


class Start(Struct, frozen=True, kw_only=True):
    """What a container runs: `program` in place of the image's own, if given; `files` of this host, by name in
    `FILES`.
    """

    program: Sequence[str] = ()
    arguments: Sequence[str] = ("bridge",)
    files: Mapping[str, str] = {}


def _trust(start: Start) -> Iterator[tuple[str, str]]:
    """The variables that name the authorities of a container."""
    if AUTHORITIES in start.files:
        for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
            yield name, f"{FILES}/{AUTHORITIES}"


OURS = Start()
"""The start of an image of the bridge."""


def _is_set(field: str) -> bool:
    return bool(os.environ.get(PREFIX + field.upper()))
