"""Any image that speaks the Airbyte protocol, in a hardened container, as if it were an executable of this machine.

`python -m cdp_bridge.protocol.container IMAGE [HOST...] -- COMMAND [--OPTION FILE...]`: the container may reach the
hosts, and those of the URLs in the config.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from msgspec import Struct

from cdp_bridge.connectors.launch.hardening import FILES, IMAGE, RUN, TOKEN, USER, Box, Start
from cdp_bridge.connectors.launch.origins import origins_in
from cdp_bridge.errors import BridgeError, ConfigError
from cdp_bridge.model import Connector
from cdp_bridge.protocol import catalog
from cdp_bridge.protocol.executable import SIGNALLED
from cdp_bridge.protocol.messages import Output, error
from cdp_bridge.redact import log_to

_ENDED_WELL = "ended with exit code 0"


def main(argv: Sequence[str]) -> NoReturn:
    """Carry out one command; exit code 0 if the container ended with that."""
    log_to(sys.stderr, logging.INFO)
    signal.signal(signal.SIGTERM, _stop)
    end = list(argv).index("--")
    image, *hosts = argv[:end]
    command, *options = argv[end + 1 :]
    with open(sys.stdout.fileno(), "wb", buffering=0, closefd=False) as stdout:
        try:
            _relay(image, hosts, command, dict(zip(options[::2], options[1::2], strict=True)))
        except Exception as problem:
            Output(stdout).send(error(problem))
            sys.exit(1)
    sys.exit(0)


def _relay(image: str, hosts: Sequence[str], command: str, options: dict[str, str]) -> None:
    try:
        from cdp_bridge.connectors.launch.docker import contained
    except ModuleNotFoundError:
        remedy = "Install it: pip install 'cdp-bridge[docker]'"
        raise ConfigError("the Docker SDK for Python is not installed", remedy=remedy) from None
    config = options.get("--config")
    named = origins_in(catalog.config(config)) if config else ()
    files = {option.removeprefix("--"): path for option, path in options.items()}
    for path in files.values():
        _seal(path)
    words = [word for option in options for word in (option, f"{FILES}/{option.removeprefix('--')}")]
    # What a connector is besides its name is known to whoever reads what it prints.
    connector = Connector(name=f"{IMAGE}{image}", kind="source", settings=Struct, load="-")
    start = Start(arguments=[command, *words], files=files)
    run, token = os.environ.get(RUN, ""), int(os.environ.get(TOKEN, "0"))
    box, hosts = Box.from_environment(), [*hosts, *named]
    with contained(box, connector, run=run, token=token, hosts=hosts, start=start) as container:
        try:
            container.relay(sys.stdin.buffer, sys.stdout.buffer)
        except SystemExit:
            container.kill("was stopped")
            raise
        ending = container.ending()
    if ending != _ENDED_WELL:
        raise BridgeError(f"its container {ending}")


def _seal(path: str) -> None:
    """Let the container's user, who is nobody on this machine, read a file, and nobody else.

    Only root can give a file away. For others it is its folder that keeps everybody on this machine out.
    """
    try:
        os.chown(path, *map(int, USER.split(":")))
        os.chmod(path, 0o400)
    except PermissionError:
        os.chmod(path, 0o444)


def _stop(number: int, _: Any) -> NoReturn:
    with contextlib.suppress(ValueError):
        signal.signal(number, signal.SIG_IGN)
    sys.exit(SIGNALLED + number)


if __name__ == "__main__":
    main(sys.argv[1:])
