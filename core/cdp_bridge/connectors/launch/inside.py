"""Runs inside a container and prints what it can see and reach, as JSON; `argv` is a port of the host."""

from __future__ import annotations

import json
import os
import resource
import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit

_TOOLS = ("sh", "bash", "dash", "busybox", "apt", "apt-get", "dpkg", "apk", "pip", "pip3")
_METADATA = ("169.254.169.254", 80)


def main() -> None:
    """Print the facts."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    facts = {
        "user": os.getuid(),
        "group": os.getgid(),
        "capabilities": int(status["CapEff"], 16) | int(status["CapBnd"], 16),
        "no_new_privileges": status["NoNewPrivs"].strip() == "1",
        "seccomp": int(status["Seccomp"]),
        "mounts": {fields[1]: fields[3].split(",") for fields in map(str.split, _lines("/proc/self/mounts"))},
        "files": resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        "cores": resource.getrlimit(resource.RLIMIT_CORE)[1],
        "sockets": [str(path) for path in Path("/").glob("*run/*.sock")],
        "tools": [tool for folder in os.get_exec_path() for tool in _TOOLS if (Path(folder) / tool).exists()],
        "reaches_metadata": _reaches(_METADATA),
        "reaches_host": _reaches((str(urlsplit(os.environ["HTTP_PROXY"]).hostname), int(sys.argv[1]))),
    }
    print(json.dumps(facts))


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()


def _reaches(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=1).close()
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main()
