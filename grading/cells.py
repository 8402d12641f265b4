"""What nbgrader wrote on a cell: its name, and whether it is an answer, a test or locked.

`nbgrader.utils` asks the same of notebook nodes; here cells are plain dictionaries, too, which may
come from a stranger's file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["grade_id", "is_answer", "is_by_hand", "is_hidden", "is_setup", "is_test", "mark"]


def mark(cell: Mapping[str, Any]) -> Mapping[str, Any]:
    """nbgrader's mark of a cell; empty where there is none."""
    return cell.get("metadata", {}).get("nbgrader", {})


def grade_id(cell: Mapping[str, Any]) -> str:
    """The cell's name in the gradebook, "" where it has none."""
    return mark(cell).get("grade_id", "")


def is_answer(cell: Mapping[str, Any]) -> bool:
    """A cell that the student fills in."""
    return bool(mark(cell).get("solution"))


def is_test(cell: Mapping[str, Any]) -> bool:
    """A cell that is run to give points."""
    return cell["cell_type"] == "code" and bool(mark(cell).get("grade")) and not is_answer(cell)


def is_by_hand(cell: Mapping[str, Any]) -> bool:
    """An answer that has points itself: a person gives them."""
    return is_answer(cell) and bool(mark(cell).get("grade"))


def is_hidden(cell: Mapping[str, Any]) -> bool:
    """A test that students do not see, or see a part of."""
    return is_test(cell) and "### BEGIN HIDDEN TESTS" in cell["source"]


def is_setup(cell: Mapping[str, Any]) -> bool:
    """A locked code cell of the instructor's that is no test."""
    locked = bool(mark(cell).get("locked")) and not mark(cell).get("grade")
    return cell["cell_type"] == "code" and locked and not is_answer(cell)
