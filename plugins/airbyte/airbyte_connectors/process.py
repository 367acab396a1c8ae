"""Runs a command as a process, yields the lines that it prints, and always ends it."""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import signal
import subprocess
import threading
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import IO

from cdp_bridge.sdk import ConfigError, TransientError

from airbyte_connectors.folders import private_folder

log = logging.getLogger(__name__)

MAX_LINE_BYTES = 64 * 1024 * 1024
LOGGED_LINES, LOGGED_CHARACTERS = 200, 1_000
GRACE = 5.0
"""Seconds that a process has to end by itself."""

_CHUNK = 1 << 18
_INHERITED = {"PATH", "HOME", "LANG", "LC_ALL", "TZ", "JAVA_HOME", "LD_LIBRARY_PATH"}
_INHERITED |= {"SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"}
_INHERITED |= {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"}
_INHERITED |= {"http_proxy", "https_proxy", "all_proxy", "no_proxy"}
_ENGINE = ("DOCKER_", "CDP_BRIDGE_DOCKER_")
"""The prefixes of the variables that locate the container engine and limit containers."""


def lines(command: Sequence[str], stdin: Path | None, patience: float) -> Generator[bytearray, None, None]:
    """Run a command to its end and yield the lines of its stdout; closed early, it ends the process and its children.

    `stdin` is the file that it reads (None: an empty one), `patience` the seconds that it may be silent. Raises
    ConfigError if it cannot be started or fails, TransientError if it is stuck or was killed.
    """
    with _started(command, stdin) as process:
        yield from _lines(_piped(process.stdout), patience)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
        if process.returncode is None:
            raise TransientError(f"{_name(command)} has printed everything and does not end")
    if process.returncode < 0:
        ended_by = signal.Signals(-process.returncode).name
        raise TransientError(f"{_name(command)} was ended by {ended_by}, perhaps for want of memory")
    if process.returncode:
        remedy = "Look at its log with cdp-bridge --debug, or run it by hand"
        raise ConfigError(f"ended with exit code {process.returncode}", place=_name(command), remedy=remedy)


@contextlib.contextmanager
def _started(command: Sequence[str], stdin: Path | None) -> Iterator[subprocess.Popen[bytes]]:
    # Its temporary files go to our folder: airbyte-cdk writes the config into one, and leaves it when killed.
    with (
        private_folder() as scratch,
        open(stdin or os.devnull, "rb") as fed,
    ):
        try:
            process = subprocess.Popen(  # noqa: S603 - which program to run is what the settings are for
                command,
                stdin=fed,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=_environment(scratch),
                process_group=0,
            )
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "its name is not possible"
            remedy = "Install it, make it executable, or name its path"
            raise ConfigError(f"cannot be started: {reason}", place=command[0], remedy=remedy) from None
        drain = threading.Thread(target=_drain, args=(_name(command), _piped(process.stderr)), daemon=True)
        drain.start()
        try:
            yield process
        finally:
            _end(process)
            drain.join(GRACE)
            _piped(process.stdout).close()


def _environment(scratch: Path) -> dict[str, str]:
    """Only variables that locate things; others may be secrets of other connectors."""
    given = {name: value for name, value in os.environ.items() if name in _INHERITED or name.startswith(_ENGINE)}
    return given | {"TMPDIR": str(scratch)}


def _lines(stdout: IO[bytes], patience: float) -> Iterator[bytearray]:
    rest = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(stdout, selectors.EVENT_READ)
        while True:
            if not selector.select(patience):
                raise TransientError(f"the connector has printed nothing for {patience:g} seconds")
            chunk = os.read(stdout.fileno(), _CHUNK)
            rest += chunk
            if b"\n" in chunk:
                *whole, rest = rest.split(b"\n")
                yield from whole
            if len(rest) > MAX_LINE_BYTES:
                raise ConfigError(f"the connector prints a line of more than {MAX_LINE_BYTES} bytes")
            if not chunk:
                break
    if rest:
        yield rest


def _drain(name: str, stderr: IO[bytes]) -> None:
    """Log the first lines of stderr and read the rest, so that the process never blocks on it."""
    with stderr:
        for number, line in enumerate(iter(lambda: stderr.readline(_CHUNK), b"")):
            if number < LOGGED_LINES:
                log.debug("%s: %s", name, line.decode("utf-8", "replace").rstrip()[:LOGGED_CHARACTERS])


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process and its children: SIGTERM first, then SIGKILL."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)


def _name(command: Sequence[str]) -> str:
    return Path(command[0]).name


def _piped(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise AssertionError("it was started with a pipe")
    return stream
