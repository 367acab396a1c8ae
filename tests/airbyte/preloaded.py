"""Airbyte's programs without their start: one process imports them, and each command is a fork of it.

PyAirbyte's import takes six seconds of CPU, and one smoke test starts eight programs. In PyAirbyte's environment
`preloaded.py serve SOCKET` imports them (and our own `parse_lines.py`) and waits; `preloaded.py run SOCKET PROGRAM
ARGUMENTS` is one command.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from importlib.metadata import entry_points
from typing import NoReturn

PROGRAMS = ("pyab", "source-smoke-test", "airbyte-cdk")
ON_FIRST_USE = ("airbyte_cdk.test.standard_tests.util",)
"""What `airbyte-cdk connector test` imports late."""


def serve(address: str) -> NoReturn:
    """Print the names of the programs, then fork for each command, for as long as the process lives."""
    scripts = entry_points(group="console_scripts")
    programs = {name: scripts[name].load() for name in PROGRAMS} | {"parse-lines": import_module("parse_lines").main}
    for module in ON_FIRST_USE:
        import_module(module)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(address)
        server.listen()
        print(*programs, flush=True)
        command = _next_command(server)
    sys.argv = list(command)
    _finish(programs[command[0]])


def run(address: str, command: Sequence[str]) -> int:
    """Have a command carried out with this process's folder, stdin, stdout and stderr; its exit code."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.connect(address)
        socket.send_fds(server, [json.dumps([os.getcwd(), *command]).encode()], [0, 1, 2])
        return int(server.recv(8) or 1)


def _finish(program: Callable[[], int | None]) -> NoReturn:
    """Call a program and leave without the destructors of C++: DuckDB's abort, since a fork has not all its threads."""
    code = 1
    try:
        sys.exit(program())
    except SystemExit as ended:
        code = int(ended.code or 0)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _next_command(server: socket.socket) -> Sequence[str]:
    """Returns in a child of a child for each command: the child waits and tells how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        client, _ = server.accept()
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            message, descriptors, _, _ = socket.recv_fds(client, 65536, 3)
            child = os.fork()
            if child == 0:
                client.close()
                request: list[str] = json.loads(message)
                os.chdir(request[0])
                for number, descriptor in enumerate(descriptors):
                    os.dup2(descriptor, number)
                    os.close(descriptor)
                return request[1:]
            _, status = os.waitpid(child, 0)
            with suppress(BrokenPipeError):
                client.send(str(os.waitstatus_to_exitcode(status)).encode())
            os._exit(0)
        client.close()


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2])
    else:
        sys.exit(run(sys.argv[2], sys.argv[3:]))
