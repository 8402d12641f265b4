"""`grade`: run every submission of a homework in the sandbox, and write down what it earned.

Who was graded before and handed in nothing new is left alone. What is graded by hand (the figure,
the written answer) waits in nbgrader's form grader. Instructors only.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import nbformat
from nbgrader.api import Gradebook

from course_utils.grading import grader
from course_utils.grading.batch import Folders, Row, full_tests, grade_all
from course_utils.grading.course import COURSE, Assignment, Course
from course_utils.grading.release import prepare
from course_utils.grading.roster import Roster
from course_utils.grading.sandbox import Limits

__all__ = ["grade"]


def grade(
    course: Course,
    assignment: Assignment,
    roster: Roster,
    *,
    workers: int = 2,
    scheduler: str | None = None,
    protected: bool = True,
    limits: Limits = Limits(),  # noqa: B008
    progress: Callable[[Row], None] = lambda row: None,
) -> list[Row]:
    """Grade what was collected of one homework; a row for each student who handed it in.

    The other arguments are those of `grade_all`. Raises GradingError, NoSandbox, ValueError as
    `prepare` and `grade_all` do.
    """
    prepare(course, assignment)
    folders = Folders(course.root, assignment.id, assignment.notebook)
    made = course.root / "release" / assignment.id
    released = nbformat.read(made / f"{assignment.notebook}.ipynb", as_version=4)
    with closing(Gradebook(course.gradebook, COURSE)) as gradebook:
        for student in course.submissions(assignment.id):
            line = roster.get(student, {})
            gradebook.update_or_create_student(
                student, last_name=line.get("name") or None, email=line.get("email") or None
            )
        master = full_tests(released, gradebook, folders)
    task = grader.Assignment(
        notebook=assignment.notebook,
        master=master,
        files={
            path.name: path.read_bytes()
            for path in sorted(made.iterdir())
            if path.suffix != ".ipynb"
        },
        sources={
            f"{assignment.notebook}/exercises.py": (assignment.folder / "exercises.py").read_bytes()
        },
        seed=course.settings["seed"],
        limits=limits,
        protected=protected,
    )
    return grade_all(
        folders, task, course.gradebook, workers=workers, scheduler=scheduler, progress=progress
    )
