"""Text that was kept as HTML: its character references become what they stand for."""

import re
from html import unescape
from html.entities import html5

# Of a named one the semicolon tells it from other text (AT&T); of a numeric one the sign #.
_REFERENCE = re.compile(r"&(?:#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[a-zA-Z][a-zA-Z0-9]+;)")
_LONG = len("&CounterClockwiseContourIntegral;")
_LOST = "\N{REPLACEMENT CHARACTER}"


def html_text(raw: str) -> str:
    """The text without references, also if it was encoded more than once; U+FFFD stands for one that is unknown."""
    text, decoded = raw, _REFERENCE.sub(_character, raw)
    while decoded != text:
        text, decoded = decoded, _REFERENCE.sub(_character, decoded)
    return text


def _character(match: re.Match[str]) -> str:
    reference = match.group()
    if len(reference) > _LONG:
        return _LOST
    return unescape(reference) if reference.startswith("&#") else html5.get(reference[1:], _LOST)
