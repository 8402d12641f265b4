"""nbgrader's own `autograde`, made safe: the student's cells run in the sandbox.

`nbgrader autograde` and the form grader's Autograde button know nothing of `batch`. With this
preprocessor in the place of nbgrader's Execute, they run submissions as `batch` does, one after
the other. In nbgrader_config.py::

    from grading.run.nbgrader import safe_preprocessors

    c.Autograde.autograde_preprocessors = safe_preprocessors()
    c.TwoKernels.course = c.CourseDirectory.root

"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
from nbgrader.converters import Autograde
from nbgrader.preprocessors import Execute, NbGraderPreprocessor
from traitlets import Instance, Unicode

from grading.cells import grade_id, is_answer
from grading.course import Course
from grading.run.kit import Kit, public_files
from grading.run.submission import Grader
from grading.sandbox.walls import Limits

__all__ = ["TwoKernels", "safe_preprocessors"]


class TwoKernels(NbGraderPreprocessor):
    """Runs a notebook that nbgrader has sanitized: its locked cells are the instructor's again.

    course : the course folder.
    limits : what a submission may use.
    """

    course = Unicode().tag(config=True)
    limits = Instance(Limits, ()).tag(config=True)

    def preprocess(self, nb: Any, resources: Any) -> tuple[Any, Any]:
        name = resources["nbgrader"]["notebook"]
        course = Course(Path(self.course))
        exercises = course.sources / name / "exercises.py"
        # Not what lies beside the notebook: there nbgrader puts the student's own files, and links.
        public = course.release(resources["nbgrader"]["assignment"])
        kit = Kit(
            name,
            _without_answers(nb),
            files=public_files(public),
            sources={f"{name}/exercises.py": exercises.read_bytes()} if exercises.exists() else {},
            seed=course.settings["seed"],
            limits=self.limits,
        )
        with Grader(kit) as grader:
            graded = grader.grade(nbformat.writes(nb).encode())
        return nbformat.from_dict(graded.notebook), resources


def _without_answers(nb: Any) -> dict[str, Any]:
    """The instructor's cells, so that `grade` takes all others for what they are: a stranger's."""
    master = json.loads(nbformat.writes(nb, split_lines=False))
    master["cells"] = [
        {**cell, "source": "" if is_answer(cell) else cell["source"]}
        for cell in master["cells"]
        if grade_id(cell)
    ]
    return master


def safe_preprocessors() -> list[Any]:
    """nbgrader's list for `Autograde.autograde_preprocessors`, with Execute replaced."""
    usual: Any = Autograde.autograde_preprocessors.default()
    return [TwoKernels if each is Execute else each for each in usual]
