"""What safe grading costs: submissions through `batch`, against plain `nbgrader autograde`.

``python -m tests.grading.benchmark``: apart from the others, for it takes minutes and the sandbox.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import warnings
from pathlib import Path
from statistics import median
from time import perf_counter
from unittest import mock

from nbgrader.apps import NbGraderAPI
from traitlets.config import Config

from benchmarks.timing import table
from grading.course import Assignment, Course
from grading.run.batch import grade_all
from grading.run.kit import Kit
from tests.grading import toy

__all__ = ["report"]


def _plain(course: Course, students: list[str]) -> float:
    """Seconds for nbgrader's own autograde of all students, in one process."""
    config = Config()
    config.CourseDirectory.root = str(course.root)
    api = NbGraderAPI(config=config)
    start = perf_counter()
    for student in students:
        assert api.autograde(toy.NAME, student)["success"]
    return perf_counter() - start


def _ours(course: Course, assignment: Assignment, kit: Kit, workers: int) -> float:
    start = perf_counter()
    rows = grade_all(course, assignment, kit, workers=workers)
    assert {row.score for row in rows} == {toy.ALL}
    return perf_counter() - start


def report(submissions: int = 20, rounds: int = 3) -> str:
    """A Markdown table: time of a submission, as a multiple of plain autograde's, side by side."""
    students = [f"s{number:03}" for number in range(submissions)]
    times: dict[str, list[float]] = {}
    ratios: dict[str, list[float]] = {}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    with warnings.catch_warnings(), mock.patch.dict(os.environ, PATH=path):
        warnings.simplefilter("ignore")  # nbgrader's own, about SQLAlchemy
        for _ in range(rounds):
            root = Path(tempfile.mkdtemp())
            course, assignment, kit = toy.make_course(root / "course")
            for student in students:
                toy.hand_in(course, student, toy.right(toy.released(course)))
            # Plain nbgrader has no hidden seed to offer: it is given in the environment.
            grading = root / "grading.json"
            grading.write_text(f'{{"seed": {toy.SEED}}}')
            with mock.patch.dict(os.environ, DESCENT_GRADING=str(grading)):
                plain = _plain(course, students)
            times.setdefault("plain", []).append(plain / submissions)
            for workers in (1, 2):
                shutil.rmtree(root / "course" / "grading", ignore_errors=True)
                ours = _ours(course, assignment, kit, workers)
                times.setdefault(str(workers), []).append(ours / submissions)
                ratios.setdefault(str(workers), []).append(ours / plain)
            shutil.rmtree(root)
    rows = [["plain `nbgrader autograde`", *_cost(median(times["plain"])), "1"]]
    for workers in ("1", "2"):
        name = f"sandboxed, {workers} worker" + "s" * (workers == "2")
        rows.append([name, *_cost(median(times[workers])), f"{median(ratios[workers]):.2f}"])
    head = ["", "submissions a minute", "10,000 submissions", "time, plain = 1"]
    return table(head, rows)


def _cost(seconds: float) -> list[str]:
    return [f"{60 / seconds:.0f}", f"{10_000 * seconds / 3600:.1f} h"]


if __name__ == "__main__":
    print(report())
