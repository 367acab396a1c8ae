"""Decodes what people write with editors: UTF-8, with or without a byte order mark."""

from __future__ import annotations

import codecs

from cdp_bridge.errors import ConfigError

MARK = "\ufeff"
"""The byte order mark, decoded; Windows editors put it first."""

_OTHERS = {
    "UTF-32": (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE),
    "UTF-16": (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE),
}
"""The marks of other encodings; that of UTF-16 begins one of UTF-32."""


def decode_text(data: bytes, place: str = "") -> str:
    """The text without a byte order mark; ConfigError, which names the encoding where it shows, if it is not UTF-8."""
    other = next((name for name, marks in _OTHERS.items() if data.startswith(marks)), None)
    # Without a mark, UTF-16 of plain text has a zero in every other byte.
    other = other or ("UTF-16" if b"\0" in data[:2] else None)
    try:
        text = data.decode("utf-8") if other is None else None
    except UnicodeDecodeError:
        text = None
    if text is None:
        raise ConfigError(
            f"is {other}, not UTF-8" if other else "is not UTF-8 text", place=place, remedy="Save it as UTF-8"
        )
    return text.removeprefix(MARK)


def without_mark(data: bytes) -> bytes:
    """The first bytes of a stream without a byte order mark."""
    return data.removeprefix(codecs.BOM_UTF8)
