"""The checks of a homework notebook: ``check = homework.checks("hw02_numerical")``.

They say what the lessons' checks say, on the inputs of the table that lies beside the notebook.
A function that is not right yet raises, so that Validate and the grading see it; what the reader
sees is the one sentence. More inputs are tried when the work is graded. All homework uses this.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr
from pathlib import Path

from course_utils.exercises import table
from course_utils.exercises.engine import Diagnosis

__all__ = ["NotRight", "checks", "tell"]


class NotRight(AssertionError):
    """What a check found wrong. A notebook shows its sentence alone, without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


def checks(notebook: str) -> Callable[[str, Callable], None]:
    """``check(name, function)`` for the exercises of this notebook.

    Raises FileNotFoundError if the table does not lie beside the notebook, ValueError if it
    cannot be read.
    """
    path = Path(f"{notebook}.json")
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} must lie in the same folder as the notebook: the checks are in it. "
            "Get both from where the notebook came from."
        )
    trials = table.read(path)

    def check(name: str, function: Callable) -> None:
        """Print that `function` is right, or raise NotRight with what is wrong."""
        if name not in trials:
            raise ValueError(f"check: {path} knows no {name!r}; it has {', '.join(trials)}")
        tell(lambda: trials[name].diagnose(function))

    return check


def tell(diagnose: Callable[[], Diagnosis]) -> None:
    """Print a diagnosis that is right, raise one that is not.

    What the learner's code writes to stderr is shown as ordinary output, and its warnings not at
    all, because nbgrader takes the points of a cell that writes to stderr.
    """
    with warnings.catch_warnings(), redirect_stderr(sys.stdout):
        warnings.simplefilter("ignore")
        found = diagnose()
    if not found.correct:
        raise NotRight(str(found))
    print(found)
