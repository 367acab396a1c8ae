"""The queue server of this machine: a nats-server that is started again when it dies, and ends with this process."""

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
from cdp_bridge.flow import address
from cdp_bridge.flow import die_with_parent as die_with_parent
from cdp_bridge.flow.address import Address, Find
from cdp_bridge.redact import redact
from cdp_bridge.secrets import Secret

log = logging.getLogger(__name__)

SHORTEST_BACKOFF, LONGEST_BACKOFF = 0.1, 5.0
GRACE = 10.0
"""Seconds that the server has to write everything down and end."""
START_SECONDS = 60.0
"""A large store takes its time to be read."""
MOST_BYTES = 64 * 1024**3
"""More than all streams may have together; each has a limit of its own."""
_LONGEST_LINE = 2_000
_LEVELS = {"WRN": logging.WARNING, "ERR": logging.ERROR, "FTL": logging.ERROR}
_LINE = re.compile(r"^\[\d+\] \[(\w{3})\] ?(.*)$")
_LISTENING = re.compile(r"Listening for client connections on (127\.0\.0\.1:\d+)")
_READY = "Server is ready"
_FAILED_TO_WRITE = "critical write error"


class LocalServer:
    """Runs for as long as the `with` block, with everything that it keeps in `folder`; one for each folder.

    It listens only on this machine, on a free port, and lets in only who knows a random token: both are new at each
    start, and are in a file of the folder that only this user can read. A message is acknowledged once it is on disk.
    Raises ConfigError when there is no nats-server, or when it does not start.
    """

    def __init__(self, folder: Path) -> None:
        self.find: Find = address.local(folder)
        self._folder = folder.absolute()
        self._ended = threading.Event()
        self._starting = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._ready: Future[None] = Future()
        # Linux ends the server with the thread that started it, so this one must live as long as the server should.
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
        """The process number of the server at the moment."""
        assert self._process is not None, "only known inside the with block"
        return self._process.pid

    def close(self) -> None:
        """End the server for sure."""
        with self._starting:
            self._ended.set()
        if self._process is not None:
            self._process.terminate()
            self._supervisor.join(GRACE)
            self._process.kill()
        self._supervisor.join()
        self._lock.close()

    def _supervise(self) -> None:
        backoff = SHORTEST_BACKOFF
        while not self._ended.is_set():
            started = time.monotonic()
            last_words = self._run()
            if not self._ready.done():
                self._ready.set_exception(_not_started(self._folder, last_words))
                return
            if not self._ended.is_set():
                lived = time.monotonic() - started
                backoff = SHORTEST_BACKOFF if lived > LONGEST_BACKOFF else min(backoff * 2, LONGEST_BACKOFF)
                log.warning("the queue server has ended, and is started again in %.1f s: %s", backoff, last_words)
                self._ended.wait(backoff)

    def _run(self) -> str:
        """One life of the server, from start to end; how it ended, and its last complaint."""
        token = secrets.token_urlsafe(32)
        secret = Secret(token)
        configuration = self._folder / "nats.json"
        address.write_private(configuration, _configuration(self._folder, token))
        command = [sys.executable, "-I", "-S", die_with_parent.__file__, str(os.getpid()), self._program, "-c"]
        with self._starting:
            if self._ended.is_set():
                return "it was not wanted any more"
            self._process = subprocess.Popen(  # noqa: S603 - found on the PATH by us
                [*command, str(configuration)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env={},
                process_group=0,
            )
        complaint = self._follow(self._process, secret)
        address.withdraw(self._folder)
        ending = _ending(self._process.wait())
        return f"{ending}; its last complaint: {complaint}" if complaint else ending

    def _follow(self, process: subprocess.Popen[bytes], token: Secret) -> str:
        """Pass its log on to ours, and announce it once it is ready; its last complaint."""
        url, complaint, lines = "", "", process.stderr
        assert lines is not None
        with lines:
            for line in iter(lambda: lines.readline(_LONGEST_LINE), b""):
                level, text = _parse(line)
                log.log(level, "%s", text)
                complaint = text if level >= logging.ERROR else complaint
                if listening := _LISTENING.search(text):
                    url = f"nats://{listening[1]}"
                elif _FAILED_TO_WRITE in text:
                    # It would refuse this stream for good, though the disk may have space again.
                    process.terminate()
                elif text == _READY:
                    address.announce(self._folder, Address(url=url, token=token))
                    with contextlib.suppress(Exception):
                        self._ready.set_result(None)
        return complaint


def _parse(line: bytes) -> tuple[int, str]:
    text = line.decode("utf-8", "replace").strip()
    parts = _LINE.match(text)
    if parts is None:
        # Before it knows how to log, it complains in plain text.
        return logging.ERROR if text else logging.DEBUG, redact(text)
    return _LEVELS.get(parts[1], logging.DEBUG), redact(parts[2]) if not _LISTENING.search(parts[2]) else parts[2]


def _configuration(folder: Path, token: str) -> bytes:
    # `always`: by default it writes to disk only every two minutes, and would acknowledge what a power cut takes.
    # `max_file_store`: by default it is what is free at the start, and stays so when somebody clears up.
    return json.dumps(
        {
            "listen": "127.0.0.1:-1",
            "server_name": "cdp-bridge",
            "authorization": {"token": token},
            "jetstream": {"store_dir": str(folder), "sync_interval": "always", "max_file_store": MOST_BYTES},
            "logtime": False,
        }
    ).encode()


def _program() -> str:
    found = shutil.which("nats-server") or shutil.which("nats-server", path=str(Path(sys.executable).parent))
    if found is None:
        remedy = "Install cdp-bridge[embedded] or nats-server, or name the URL of a server that runs elsewhere"
        raise ConfigError("there is no nats-server on the PATH", remedy=remedy)
    return found


def _lock(folder: Path) -> IO[bytes]:
    """Nobody else may run a server on the same files."""
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
    remedy = "See the log; if its files are damaged, move the folder away: what waited in the queues is lost with it"
    return ConfigError(f"the queue server does not start: {why}", place=str(folder), remedy=remedy)


def _ending(code: int) -> str:
    return f"ended by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
