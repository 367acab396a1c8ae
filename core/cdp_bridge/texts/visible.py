"""Escapes control characters in the texts of others, so that a terminal or a log file shows them."""

from __future__ import annotations

import re

# C0 but tab and line feed, DEL and C1, half surrogates, line and paragraph separator, and Unicode's Bidi_Control.
_HIDDEN = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    r"""The text with `\x1b` for ESC, and so on: control characters, but for tab and line feed, and marks that turn the
    direction of text.
    """
    return _HIDDEN.sub(lambda match: escaped(match[0]), text)


def visible_line(text: str) -> str:
    r"""The same in one line: `\n` for a line feed, `\t` for a tab."""
    return visible(text).replace("\n", r"\n").replace("\t", r"\t")


def visible_json(text: str) -> str:
    """The same for JSON, whose texts stay what they are: each such character as JSON escapes it."""
    return _HIDDEN.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def escaped(character: str) -> str:
    r"""A character of the basic plane as `\xNN` or `\uNNNN`."""
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
