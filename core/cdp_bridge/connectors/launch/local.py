"""Starts a connector's executable as a process of this machine and user."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from cdp_bridge.connectors.launch.hardening import PREFIX, RUN, TOKEN
from cdp_bridge.connectors.transport import Pipes
from cdp_bridge.errors import ConfigError
from cdp_bridge.http import allowed_hosts, network
from cdp_bridge.model import Channel, Connector
from cdp_bridge.redact import redact

GRACE = 5.0
"""Seconds that a process has to end by itself."""
MAX_LINE_BYTES = 2_000
_INHERITED = {"PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", *network.PROXIES, *network.AUTHORITIES}
# A process that dials by itself judges addresses by it.
_INHERITED |= {allowed_hosts.VARIABLE}
# By this an image of the bridge finds packages outside the interpreter.
_INHERITED |= {"PYTHONPATH"}
_WARNING = re.compile(r"\S+ \S+ (WARNING|ERROR|CRITICAL) \S+ (.*)")
"""A line of a connector's log that a person should see, as `redact.log_to` writes it."""


class LocalLauncher:
    """Starts executables that are installed beside this interpreter, or on PATH in an image of the bridge."""

    @contextlib.contextmanager
    def start(
        self, connector: Connector, *, run: str = "", token: int = 0, hosts: Sequence[str] = ()
    ) -> Iterator[Channel]:
        """The channel to a new process; it and its children are gone at the end of the `with` block."""
        name = connector.program or connector.name
        program = Path(sys.executable).with_name(name)
        if not program.exists():
            program = Path(shutil.which(name) or program)
        environment = {name: value for name, value in os.environ.items() if name in _INHERITED}
        if connector.program:
            environment |= containing(run, token)
        try:
            process = subprocess.Popen(  # noqa: S603 - a console script of our own environment
                [str(program), "bridge"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
                process_group=0,
            )
        except OSError as error:
            remedy = f"Reinstall the package that brings {connector.name}"
            raise ConfigError(f"cannot be started: {error.strerror}", place=str(program), remedy=remedy) from None
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        drain = threading.Thread(target=log_lines, args=(connector.name, process.stderr), daemon=True)
        drain.start()
        try:
            yield Pipes(process.stdout, process.stdin, lambda: _ending(process))
        finally:
            with contextlib.suppress(OSError):
                process.stdin.close()
            _end(process)
            drain.join(GRACE)
            process.stdout.close()


def containing(run: str, token: int) -> dict[str, str]:
    """The variables for a process that starts containers for a run and its lease."""
    given = {name: value for name, value in os.environ.items() if name.startswith(("DOCKER_", PREFIX))}
    return given | {RUN: run, TOKEN: str(token)}


def log_lines(name: str, stream: IO[bytes]) -> None:
    """Log what a connector writes to stderr, redacted, until it ends."""
    log = logging.getLogger(f"cdp_bridge.connector.{name}")
    with stream:
        for line in iter(lambda: stream.readline(MAX_LINE_BYTES), b""):
            text = redact(line.decode("utf-8", "replace").rstrip())
            if warning := _WARNING.fullmatch(text):
                log.log(logging.getLevelNamesMapping()[warning[1]], "%s", warning[2])
            else:
                log.info("%s", text)


def _ending(process: subprocess.Popen[bytes]) -> str:
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(GRACE)
    code = process.returncode
    if code is None:
        return "does not answer any more"
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def _end(process: subprocess.Popen[bytes]) -> None:
    """Wait for its end after its input was closed; then SIGTERM, then SIGKILL."""
    for number in (None, signal.SIGTERM, signal.SIGKILL):
        if number is not None:
            # Also once it has ended: its children may live on.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
