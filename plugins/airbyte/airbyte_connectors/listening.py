"""Handles log and error messages of an Airbyte connector."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator

from cdp_bridge.sdk import ConfigError, TransientError

from airbyte_connectors.messages import Failure, Log, Message, decode

log = logging.getLogger(__name__)

MAX_TEXT_LENGTH = 1_000
# Connectors log at INFO the records that they work on, which often hold personal data.
_LEVELS = {"FATAL": logging.ERROR, "ERROR": logging.ERROR, "WARN": logging.WARNING}


def messages(name: str, lines: Iterable[bytes | bytearray]) -> Iterator[Message]:
    """The messages in a connector's lines; raises what a TRACE of type ERROR says, by its failure type.

    Lines that are no messages are counted and never quoted, for they may hold anything.
    """
    others = 0
    for number, line in enumerate(lines, 1):
        message = decode(number, line)
        if message is None:
            others += bool(line.strip())
            continue
        if message.log is not None:
            _pass_on(name, message.log)
        elif message.trace is not None and message.trace.error is not None:
            raise _error(name, message.trace.error)
        elif message.type == "CONTROL":
            log.warning(
                "%s has changed its own config, such as a token that it renewed; this is not kept. Give it credentials "
                "that last",
                name,
            )
        yield message
    if others:
        log.info("%s has printed %s lines that are no messages", name, others)


def _pass_on(name: str, entry: Log) -> None:
    log.log(_LEVELS.get(entry.level, logging.DEBUG), "%s: %s", name, _line(entry.message))


def _error(name: str, failure: Failure) -> ConfigError | TransientError:
    """By Airbyte's failure types: config_error, transient_error, and system_error, which is the default."""
    text = _line(failure.message).rstrip(". ") or "it did not say why it failed"
    match failure.failure_type:
        case "transient_error":
            return TransientError(f"{name}: {text}")
        case "config_error":
            return ConfigError(text, place=name, remedy="Check config and secrets by the connector's documentation")
        case _:
            return ConfigError(text, place=name, remedy="Look at its log with cdp-bridge --debug; it may be its fault")


def _line(text: str) -> str:
    """One printable line of a text; what follows its first one is often a stack trace."""
    first = text.strip().partition("\n")[0][:MAX_TEXT_LENGTH]
    return "".join(character if character.isprintable() else " " for character in first)
