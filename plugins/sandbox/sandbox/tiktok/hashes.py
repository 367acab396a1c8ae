"""Validates hashed identifiers: lower-case hex digests, never that of nothing (contract 6)."""

import hashlib
import re

SHA256 = re.compile("[0-9a-f]{64}")
MD5 = re.compile("[0-9a-f]{32}")
DEVICE = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}")
OF_NOTHING = {hashlib.sha256().hexdigest(), hashlib.md5(usedforsecurity=False).hexdigest()}


def well_formed(key: str, text: str) -> bool:
    """Whether the text may stand under the key; a mobile ad id of a file may be plain or hashed either way."""
    if text in OF_NOTHING:
        return False
    if key == "MAID":
        return bool(SHA256.fullmatch(text) or MD5.fullmatch(text) or DEVICE.fullmatch(text))
    return (MD5 if key.endswith("MD5") else SHA256).fullmatch(text) is not None
