"""Files are written whole or not at all, whatever happens meanwhile.

`tools.files` does the same for those who build the course; an instructor's installation has no
tools, and a learner's no grading.
"""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["replace"]


def replace(path: Path, content: bytes | str) -> None:
    """Write `content` (text as UTF-8) beside `path`, then put it in its place.

    Raises OSError, of a full disk for instance; then nothing of it is left.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    try:
        with open(beside, "wb") as file:
            file.write(content.encode("utf-8") if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
