"""The files of people: how their text is encoded, and where their paths lead."""

from cdp_bridge.files.paths import Local, resolved
from cdp_bridge.files.text import MARK, decode_text, without_mark

__all__ = ["MARK", "Local", "decode_text", "resolved", "without_mark"]
