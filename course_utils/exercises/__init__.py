"""Exercises that say what is wrong, not only that something is.

One module a lesson holds its exercises; `engine` checks a learner's function
against the reference on fresh inputs, and names the mistake where it knows it.
Homework uses the same engine: its checks (`homework`) read the results they
compare with from a file (`table`), because the code behind them stays with the
instructor.
"""

from course_utils.exercises.edits import Edit
from course_utils.exercises.engine import Diagnosis, Exercise

__all__ = ["Diagnosis", "Edit", "Exercise"]
