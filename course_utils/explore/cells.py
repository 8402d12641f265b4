"""An explorer lives as long as its cell's output: running the cell again closes the old one."""

from __future__ import annotations

import sys
from typing import Any

from ipywidgets import Widget

__all__ = ["belongs_to_its_cell"]

_made_in_cell: dict[str, list[Widget]] = {}


def belongs_to_its_cell(widget: Widget) -> None:
    """Remember in which cell a widget was made: it is closed when that cell runs again."""
    cell = _running_cell()
    if cell is None:
        return
    events = sys.modules["IPython"].get_ipython().events
    if _close_those_of_this_cell not in events.callbacks["pre_run_cell"]:
        events.register("pre_run_cell", _close_those_of_this_cell)
    _made_in_cell.setdefault(cell, []).append(widget)


def _running_cell() -> str | None:
    """The id of the notebook cell that runs now; None outside Jupyter."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is None or not hasattr(shell, "get_parent"):
        return None
    return shell.get_parent().get("metadata", {}).get("cellId")


def _close_those_of_this_cell(info: Any = None) -> None:
    for widget in _made_in_cell.pop(_running_cell() or "", []):
        widget.close()
