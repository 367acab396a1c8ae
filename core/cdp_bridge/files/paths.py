"""Resolves the paths that settings name against the folder of the file that they stand in."""

from __future__ import annotations

import glob
import os
from pathlib import Path
from typing import Literal

Local = Literal["path", "pattern", "program", "image", "database"]
"""What of this machine a setting names: a file or folder, files by a pattern, a program by its path or on PATH (or an
argument of one), an image of its container engine, or a database, which may be a file.
"""


def resolved(kind: Local, value: str, folder: Path) -> str:
    """The value as an absolute path; a program without a slash stays, since PATH finds it.

    So do images and databases, which are no paths, or begin with a scheme.
    """
    if kind in ("image", "database") or os.path.isabs(value) or (kind == "program" and os.sep not in value):
        return value
    # The folder's own name is no pattern, whatever is in it.
    return str(Path(glob.escape(str(folder)) if kind == "pattern" else folder, value))
