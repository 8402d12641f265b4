"""What safe grading costs: real homework through `grade`, against plain `nbgrader autograde`.

``python -m tests.grading.benchmark [hw01 hw06]``: apart from the others, for it takes half an hour
and the sandbox. Both sides run the same solved notebooks with the same hidden tests, in turn.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from time import perf_counter
from unittest import mock

import nbformat
from nbgrader.apps import NbGraderAPI

from benchmarks.timing import table
from grading.course import Assignment, Course, assignments
from grading.inside.hidden import VARIABLE
from grading.run.batch import grade
from grading.term.release import bring_up_to_date

__all__ = ["report"]


def solved(course: Course, assignment: Assignment) -> str:
    """What a student hands in who did everything: the released notebook with the solutions."""
    answers = {c.id: c.source for c in nbformat.read(assignment.source, as_version=4).cells}
    released = course.release(assignment.id) / assignment.file
    notebook = nbformat.read(released, as_version=4)
    for cell in notebook.cells:
        if cell.metadata.get("nbgrader", {}).get("solution"):
            cell.source = answers[cell.id]
    return nbformat.writes(notebook)


def _course(root: Path, assignment: Assignment, submissions: int) -> tuple[Course, list[str]]:
    course = Course(root)
    bring_up_to_date(course, assignment)
    text = solved(course, assignment)
    students = [f"s{number:03}" for number in range(submissions)]
    for student in students:
        folder = course.submitted(student, assignment.id)
        folder.mkdir(parents=True)
        (folder / assignment.file).write_text(text, encoding="utf-8")
    return course, students


def _plain(course: Course, assignment: Assignment, students: list[str]) -> float:
    """Seconds for nbgrader's own autograde of all students, in one process."""
    secret = course.root / "grading.json"
    sources = assignment.folder.parent
    secret.write_text(json.dumps({"sources": str(sources), "seed": course.settings["seed"]}))
    shutil.rmtree(course.root / "autograded", ignore_errors=True)
    api = NbGraderAPI(config=course.config())
    start = perf_counter()
    with mock.patch.dict(os.environ, {VARIABLE: str(secret)}):
        for student in students:
            assert api.autograde(assignment.id, student)["success"]
    return perf_counter() - start


def _ours(course: Course, assignment: Assignment, workers: int) -> float:
    for kept in ("grading", "autograded"):
        shutil.rmtree(course.root / kept, ignore_errors=True)
    start = perf_counter()
    rows = grade(course, assignment, {}, workers=workers)
    seconds = perf_counter() - start
    assert {row.score for row in rows} == {70.0}, rows[0]  # the rest is graded by hand
    return seconds


def report(names: Sequence[str] = ("hw01", "hw06"), submissions: int = 20, rounds: int = 2) -> str:
    """A Markdown table for each homework: time, as a multiple of plain autograde's beside it."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    texts = []
    with warnings.catch_warnings(), mock.patch.dict(os.environ, PATH=path, OMP_NUM_THREADS="1"):
        warnings.simplefilter("ignore")  # nbgrader's own, about SQLAlchemy
        for assignment in assignments(names):
            with tempfile.TemporaryDirectory() as root:
                course, students = _course(Path(root), assignment, submissions)
                texts.append(_compared(course, assignment, students, rounds))
    return "\n\n".join(texts)


def _compared(course, assignment, students, rounds) -> str:
    times: dict[str, list[float]] = {"plain": [], "1": [], "2": []}
    for _ in range(rounds):
        times["plain"].append(_plain(course, assignment, students))
        for workers in (1, 2):
            times[str(workers)].append(_ours(course, assignment, workers))
    each = {name: median(seconds) / len(students) for name, seconds in times.items()}
    rows = [["plain `nbgrader autograde`", *_cost(each["plain"]), "1"]]
    for workers, name in (("1", "sandboxed, 1 worker"), ("2", "sandboxed, 2 workers")):
        ratios = [ours / plain for ours, plain in zip(times[workers], times["plain"])]
        rows.append([name, *_cost(each[workers]), " and ".join(f"{ratio:.2f}" for ratio in ratios)])
    head = [assignment.id, "submissions a minute", "10,000 submissions", "time, plain = 1"]
    return table(head, rows)


def _cost(seconds: float) -> list[str]:
    return [f"{60 / seconds:.0f}", f"{10_000 * seconds / 3600:.1f} h"]


if __name__ == "__main__":
    print(report(sys.argv[1:] or ("hw01", "hw06")))
