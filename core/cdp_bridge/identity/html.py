"""Text that was kept as HTML: its character references become what they stand for."""

import re
from html import unescape
from html.entities import html5

# Of a named one the semicolon tells it from other text (AT&T); of a numeric one the sign #.
_REFERENCE = re.compile(r"&(?:#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[a-zA-Z][a-zA-Z0-9]+;)")
_LONG = len("&CounterClockwiseContourIntegral;")
_MAX_DEPTH = 4
"""How often a text may have been encoded."""

_LOST = "\N{REPLACEMENT CHARACTER}"


def html_text(raw: str) -> str:
    """The text without references, also if it was encoded more than once; U+FFFD stands for one that is unknown."""
    text = raw
    for _ in range(_MAX_DEPTH):
        if not _REFERENCE.search(text):
            return text
        text = _REFERENCE.sub(_character, text)
    return _REFERENCE.sub(_LOST, text)


def _character(match: re.Match[str]) -> str:
    reference = match.group()
    if len(reference) > _LONG:
        return _LOST
    if reference.startswith("&#"):
        return unescape(reference)
    name = reference[1:]
    # The second is for text that was written in capitals afterwards.
    return html5.get(name) or html5.get(name.lower(), _LOST)
