"""Checks a connector's container against CIS section 5, OWASP's Docker rules and Pod Security `restricted`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from cdp_bridge.connectors.launch import firewall
from cdp_bridge.connectors.launch.hardening import AUTHORITIES, FILES, LABEL, USER
from cdp_bridge.model import Probe

_HOST = "services of this host cannot be reached"
_REMEDY = "Update cdp-bridge and its images; do not use this one before"
_REMEDIES = {_HOST: firewall.REMEDY}
_LABELS = ("connector", "run", "token", "owner", "deadline")
_TRUSTED = f"{FILES}/{AUTHORITIES}"
_HARMLESS = re.compile(
    rf"\w+_PROXY=http://[0-9.]+:[0-9]+|(SSL_CERT_FILE|REQUESTS_CA_BUNDLE)={re.escape(_TRUSTED)}", re.IGNORECASE
)
Facts = Mapping[str, Any]


def checks(outside: Facts, image: Facts, network: Facts, inside: Facts) -> list[Probe]:
    """A probe for each check, from `docker inspect` of container, image and network, and a report from inside."""
    results = [*_results(outside, image, network, inside), (_HOST, not inside["reaches_host"])]
    return [
        Probe(name, passed, "" if passed else "does not hold", "" if passed else _REMEDIES.get(name, _REMEDY))
        for name, passed in results
    ]


def _results(outside: Facts, image: Facts, network: Facts, inside: Facts) -> Iterator[tuple[str, bool]]:
    """Name and result of each check of RELIABILITY section 7."""
    config, host = outside["Config"], outside["HostConfig"]
    labels, limits = config["Labels"], {limit["Name"]: limit["Hard"] for limit in host["Ulimits"]}
    mounts: Mapping[str, list[str]] = inside["mounts"]
    added = set(config["Env"]) - set(image["Config"]["Env"])
    yield "user and group are not root", config["User"] == USER and inside["user"] > 0 < inside["group"]
    yield "no capabilities", host["CapDrop"] == ["ALL"] and not host["CapAdd"] and inside["capabilities"] == 0
    yield "no new privileges", "no-new-privileges:true" in host["SecurityOpt"] and inside["no_new_privileges"]
    yield "seccomp filter", not _has(host["SecurityOpt"], "unconfined") and inside["seccomp"] == 2
    yield "root file system is read-only", host["ReadonlyRootfs"] and "ro" in mounts["/"]
    yield "what can be written is limited, and runs nothing", _is_limited(host["Tmpfs"], mounts)
    yield "memory limit, swap included", 0 < host["Memory"] == host["MemorySwap"]
    yield "processor limit", host["NanoCpus"] > 0
    yield "process limit", (host["PidsLimit"] or 0) > 0
    yield "file limit, no core files", limits["nofile"] == inside["files"] and limits["core"] == inside["cores"] == 0
    yield "not privileged, no namespace of the host", not host["Privileged"] and "host" not in _namespaces(host)
    yield "no engine socket", not inside["sockets"] and "docker.sock" not in str(outside["Mounts"])
    yield "nothing of the host is mounted", not host["Binds"] and all(map(_is_authorities, outside["Mounts"]))
    is_alone = network["Internal"] and len(network["Containers"]) <= 1
    yield "a network of its own without a way out", is_alone and not inside["reaches_metadata"]
    yield "nothing it writes is kept", host["LogConfig"]["Type"] == "none"
    yield "image by digest, no shell in it", config["Image"] == image["Id"] and not inside["tools"]
    yield "health check", bool(image["Config"].get("Healthcheck"))
    yield "init, stopped in time", host["Init"] and 0 < config["StopTimeout"] <= 30
    yield "labels say whose it is", all(labels.get(LABEL + name) for name in _LABELS)
    yield "no secret in the environment", all(_HARMLESS.fullmatch(entry) for entry in added)


def _namespaces(host: Facts) -> list[str]:
    return [host[f"{name}Mode"] for name in ("Network", "Pid", "Ipc", "UTS", "Userns")]


def _has(texts: list[str], word: str) -> bool:
    return any(word in text for text in texts)


def _is_authorities(mount: Facts) -> bool:
    """Whether a mount is the file of certificates, which the container cannot change."""
    return mount["Destination"] == _TRUSTED and not mount["RW"]


def _is_limited(tmpfs: Mapping[str, str], mounts: Mapping[str, list[str]]) -> bool:
    """Whether the only tmpfs has a size limit and the safe mount options."""
    (path,) = tmpfs
    return "size=" in tmpfs[path] and {"noexec", "nosuid", "nodev"} <= set(mounts[path])
