"""Files: how the text of people's is encoded, where paths lead, and what lies in installed packages."""

from cdp_bridge.files.paths import Local, resolved
from cdp_bridge.files.text import MARK, decode_text, without_mark

__all__ = ["MARK", "Local", "decode_text", "resolved", "without_mark"]
