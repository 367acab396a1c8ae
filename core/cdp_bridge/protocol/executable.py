"""The console script of every connector: `spec | check | discover | read | write` in the Airbyte protocol, and
`bridge`, by which our own core works through it.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from functools import cache
from typing import IO, Any, NoReturn

from cdp_bridge import settings
from cdp_bridge.connectors.errors import connector_errors
from cdp_bridge.connectors.loading import checked, implementation, validated
from cdp_bridge.connectors.registry import Registry
from cdp_bridge.errors import BridgeError, Stopped
from cdp_bridge.model import Catalog, Connector
from cdp_bridge.protocol import catalog, description
from cdp_bridge.protocol.failure import sentence
from cdp_bridge.protocol.messages import ByteStream, LogMessages, Output, error
from cdp_bridge.redact import RedactedStdout
from cdp_bridge.secrets import Resolver

_COMMANDS = {
    "source": {"spec": (), "bridge": (), "check": ("config",), "discover": ("config",), "read": ("config", "catalog")},
    "destination": {
        "spec": (),
        "bridge": (),
        "check": ("config",),
        "discover": ("config",),
        "write": ("config", "catalog"),
    },
}


SIGNALLED = 128
"""Exit codes above it name the signal that ended the command, as shells count."""


def run(connector: Connector, argv: Sequence[str] | None = None) -> NoReturn:
    """Be the executable of a connector, from command line to exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    if list(arguments) == ["bridge"]:
        from cdp_bridge.connectors.transport import serve_process

        serve_process(connector)
        sys.exit(0)
    # Unbuffered: what Python would keep for later is lost when nobody reads, and fails again at exit.
    with open(sys.stdout.fileno(), "wb", buffering=0, closefd=False) as stdout:
        code = execute(connector, arguments, sys.stdin.buffer, stdout)
    if code > SIGNALLED:
        # Clients end us once they have their answer; PyAirbyte takes it for a failure if we then say more than that.
        signal.signal(code - SIGNALLED, signal.SIG_DFL)
        signal.raise_signal(code - SIGNALLED)
    sys.exit(code)


def execute(connector: Connector, argv: Sequence[str], stdin: IO[bytes], stdout: ByteStream) -> int:
    """Carry out one command and return its exit code; only messages go to `stdout`."""
    arguments = _parser(connector).parse_args(argv)
    output = Output(stdout)
    # What a connector prints by itself must not end up among the messages.
    with redirect_stdout(RedactedStdout()), _logging(output), _signals(output):
        try:
            _execute(connector, arguments, stdin, output)
        except Stopped as problem:
            output.send(error(problem))
            return SIGNALLED + problem.signal
        # Also SystemExit of a connector, with which a failure could pass for success.
        except BaseException as problem:
            output.send(error(problem))
            return 1
    return 0


def _execute(connector: Connector, arguments: argparse.Namespace, stdin: IO[bytes], output: Output) -> None:
    match arguments.command:
        case "spec":
            output.send({"type": "SPEC", "spec": description.specification(connector)})
        case "check":
            output.send(description.connection_status(_check(connector, arguments.config)))
        case "discover":
            loaded = _settings(connector, arguments.config)
            with connector_errors(connector):
                offered = validated(Catalog, implementation(connector).discover(loaded))
            output.send(description.catalog(connector, offered))
        case "read":
            from cdp_bridge.protocol.reading import read

            chosen = catalog.configured_catalog(arguments.catalog)
            loaded, states = _settings(connector, arguments.config), catalog.states(arguments.state)
            read(connector, loaded, chosen, states, output)
        case "write":
            from cdp_bridge.protocol.writing import write

            chosen = catalog.configured_catalog(arguments.catalog)
            write(connector, _settings(connector, arguments.config), chosen, stdin, output)


def _check(connector: Connector, path: str) -> list[str]:
    """What failed; settings that are wrong are a finding, not a failure of the command."""
    try:
        loaded = _settings(connector, path)
        with connector_errors(connector):
            return description.failures(checked(implementation(connector), loaded))
    except BridgeError as problem:
        return [sentence(problem)]


def _settings(connector: Connector, path: str) -> Any:
    plugins = cache(Registry)
    resolver = Resolver(plugins=lambda reference: plugins().secret(reference))
    return settings.load(connector.settings, catalog.config(path), resolver)


def _parser(connector: Connector) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=connector.name)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, files in _COMMANDS[connector.kind].items():
        command = commands.add_parser(name)
        for file in files:
            command.add_argument(f"--{file}", required=True, metavar="FILE")
        if name == "read":
            command.add_argument("--state", metavar="FILE")
    return parser


@contextmanager
def _logging(output: Output) -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    root.handlers[:], root.level = [LogMessages(output)], logging.INFO
    try:
        yield
    finally:
        root.handlers[:], root.level = before


@contextmanager
def _signals(output: Output) -> Iterator[None]:
    """Let SIGTERM and SIGINT end the command between two lines; a second one ends the process at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        output.stop(number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
