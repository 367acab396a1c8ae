"""The command line: thin commands over the core, each imported when it is used."""

from __future__ import annotations

import io
import signal
import sys
import threading
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

import click

from cdp_bridge.errors import BridgeError
from cdp_bridge.texts.visible import visible

OK, FAILED, USAGE, PARTLY = 0, 1, 2, 3
"""Exit codes; PARTLY: done, but too much was rejected or waits for approval."""

_COMMANDS = {
    "connectors": "connectors",
    "spec": "connectors",
    "check": "check",
    "discover": "connectors",
    "read": "connectors",
    "write": "connectors",
    "sync": "sync",
    "plan": "plan",
    "apply": "plan",
    "identity": "identity",
    "runs": "runs",
    "audiences": "runs",
    "serve": "serve",
    "worker": "serve",
    "keys": "keys",
    "audit": "audit",
    "prune": "prune",
    "doctor": "doctor",
    "new": "author",
    "test": "author",
}


class Commands(click.Group):
    """Imports each command from its module when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names in the order of use, not of the alphabet."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, imported now."""
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = getattr(import_module(f".{_COMMANDS[cmd_name]}", __package__), cmd_name)
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(package_name="cdp-bridge")
@click.option("--debug", is_flag=True, help="Log everything, and show where an unexpected error comes from.")
def bridge(debug: bool) -> None:
    """Keep the audiences of ad platforms in sync with the segments of a customer data platform.

    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 partly done (rejections above a limit, removals that wait).
    """
    import logging

    from cdp_bridge.redact import log_to

    log_to(sys.stderr, logging.DEBUG if debug else logging.WARNING)


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """The console script `cdp-bridge`."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # What a terminal's encoding does not have is shown as "?".
            stream.reconfigure(errors="replace")
    if threading.current_thread() is threading.main_thread():
        # As for Ctrl-C, so that processes and files of connectors are removed.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code = bridge.main(arguments, prog_name="cdp-bridge", standalone_mode=False)
        sys.stdout.flush()
    except click.Abort:
        code = _fail("stopped")
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except BrokenPipeError:
        # Python would report the error again when it flushes stdout at exit.
        sys.stdout = open("/dev/null", "w", encoding="utf-8")  # noqa: SIM115 - stays open until the process ends
        code = FAILED
    except BridgeError as error:
        from cdp_bridge.protocol.failure import sentence

        code = _fail(sentence(error))
    except Exception as error:
        code = _fail_with_bug(error, debug="--debug" in arguments)
    sys.exit(code if isinstance(code, int) else OK)


def _fail(text: str) -> int:
    click.echo(visible(f"error: {text}"), err=True)
    return FAILED


def _fail_with_bug(error: Exception, *, debug: bool) -> int:
    import traceback

    from cdp_bridge.protocol.failure import sentence
    from cdp_bridge.redact import redact

    if debug:
        click.echo(redact("".join(traceback.format_exception(error))), err=True)
    click.echo(visible(sentence(error)), err=True)
    return FAILED
