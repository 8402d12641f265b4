"""Exercises that say what is wrong, not only that something is.

One module a lesson holds its exercises; `engine` checks a learner's function
against the reference on fresh inputs, and names the mistake where it knows it.
Lessons and homework use the same exercises.
"""

from course_utils.exercises.engine import Diagnosis, Exercise

__all__ = ["Diagnosis", "Exercise"]
