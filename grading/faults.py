"""Faults of the surroundings in words: disk, database, cluster. What was the matter, what to do."""

from __future__ import annotations

import errno

__all__ = ["AGAIN", "in_words"]

AGAIN = "Nothing is lost: when that is mended, the same command goes on."
_FULL = (errno.ENOSPC, errno.EDQUOT)


def in_words(error: BaseException) -> str | None:
    """One sentence or two; None where it is no fault of the surroundings."""
    family = [kind.__module__.partition(".")[0] for kind in type(error).__mro__]
    if "sqlalchemy" in family or "sqlite3" in family or "psycopg" in family:
        why = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
        return f"the gradebook's database cannot be used ({why}). {AGAIN}"
    if "distributed" in family:
        return f"the cluster does not answer ({_what(error)}). {AGAIN}"
    if not isinstance(error, OSError):
        return None
    where = f": {error.filename}" if error.filename else ""
    if error.errno in _FULL:
        return f"no room is left on the disk{where}. Make room (`df -h` shows where). {AGAIN}"
    return f"{_what(error)}{where}. {AGAIN}"


def _what(error: BaseException) -> str:
    said = getattr(error, "strerror", None) or str(error).strip().partition("\n")[0]
    return said or type(error).__name__
