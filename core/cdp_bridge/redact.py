"""Masks secrets and personal data in every log line and error text."""

from __future__ import annotations

import io
import logging
import re
import sys
from typing import Any

from cdp_bridge.texts.visible import visible

_secrets: set[str] = set()
# Short secrets would blank out ordinary words; platforms do not issue credentials this short.
_MIN_SECRET_LENGTH = 6
_MAX_LINE_LENGTH = 10_000

_CREDENTIAL = r"(?i)\b(authorization|access_token|appsecret_proof|writekey|password|token|secret)"
# Bounded, as numbers are: without that, long text costs the square of its length.
_ADDRESS = r"[^\s\"'<>(){}\[\],;:=|/\\*]{1,320}(@|%40)[^\s\"'<>(){}\[\],;:=|/\\&]+"
_NO_NUMBER = r"\d{4}-\d\d-\d\d[ T]\d\d:|(\d{1,3}\.){3}\d{1,3}(?![\d.])"
_NUMBER = rf"(?<![\w.:-])(?!{_NO_NUMBER})\+?\(?\d(?:[\d\s().-]{{7,60}}|\d{{61,}})\d(?![\w-]|:\d)"
_MASKS = tuple(
    (re.compile(pattern), mask)
    for pattern, mask in (
        (r"\b(\w+://)[^\s/@]+@", r"\1***@"),
        (r"(https?://(?:(?!https?://)[^\s?\"'])+)\?[^\s\"']*", r"\1?***"),
        (_CREDENTIAL + r"([\"']?\s*[=:]\s*)(\"[^\"]*\"|'[^']*'|(bearer|basic)\s+\S+)", r"\1\2***"),
        (_CREDENTIAL + r"([=:])[^\s\"'&,;]+", r"\1\2***"),
        # Shorter words after a colon and a blank are messages about a setting, such as "token: is missing".
        (_CREDENTIAL + r"(\s*[=:]\s+)[^\s\"'&,;]{8,}", r"\1\2***"),
        (_ADDRESS, "<email>"),
        (r"\b[0-9a-fA-F]{64}\b", "<hash>"),
        # Telephone numbers, dates of birth and ids alike, but not the time of a log line or the address of a host.
        (_NUMBER, "<number>"),
    )
)


def learn(secret: str) -> None:
    """Mask this value from now on, wherever this process writes text."""
    if len(secret) >= _MIN_SECRET_LENGTH:
        _secrets.add(secret)


def redact(text: str) -> str:
    """The text with known secrets, e-mail addresses, phone-like numbers, hashes, URL queries and credentials masked."""
    for secret in _secrets:
        text = text.replace(secret, "***")
    for pattern, mask in _MASKS:
        if mask != "<email>" or "@" in text or "%40" in text:
            text = pattern.sub(mask, text)
    return text


class RedactingFormatter(logging.Formatter):
    """Formats a record as usual, redacts it, and escapes control characters; tracebacks included."""

    def format(self, record: logging.LogRecord) -> str:
        """One redacted line; further lines, as of a traceback, are indented, so that none looks like a record."""
        return visible(redact(super().format(record))).replace("\n", "\n  ")


class RedactedStdout(io.TextIOBase):
    """A stdout that prints whole lines, redacted, to stderr; for connectors that print."""

    def __init__(self) -> None:
        self._rest = ""

    def writable(self) -> bool:
        """True."""
        return True

    def write(self, text: str) -> int:
        """Print all complete lines, and an incomplete one that is too long."""
        *whole, self._rest = (self._rest + text).split("\n")
        if len(self._rest) > _MAX_LINE_LENGTH:
            whole, self._rest = [*whole, self._rest], ""
        for line in whole:
            print(visible(redact(line)), file=sys.stderr)
        return len(text)

    def close(self) -> None:
        """Print the rest."""
        if self._rest:
            self.write("\n")


def log_to(stream: Any, level: int = logging.WARNING) -> None:
    """Send every log record of this process, redacted, to `stream`."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(RedactingFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(handlers=[handler], level=level, force=True)
