"""`export`: the roster goes in, a table of grades comes out: a row for everybody, nobody missing.

For each homework: points, days late, and how it stands.
"""

from __future__ import annotations

import csv
import io
import json
import math
from contextlib import closing
from datetime import UTC, datetime, timedelta

import nbformat
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.utils import parse_utc

from grading.course import (
    COURSE,
    HANDED,
    TIMESTAMP,
    Assignment,
    Course,
    Roster,
    was_not_run,
)
from grading.term.collect import left_aside

__all__ = ["COLUMNS", "days_late", "export", "to_csv"]

COLUMNS = ("points", "of", "days_late", "status")  # for each homework


def export(course: Course, assignments: list[Assignment], roster: Roster) -> list[dict[str, str]]:
    """A row for each student: id, name, for each homework its `COLUMNS`, and the total.

    Status is one of: missing (nothing was handed in), left aside (only what is no notebook, or
    could not be told apart: see `collected/left_aside`), not due (nothing yet, and there is time),
    not graded (collected only), by hand (the part that is graded by hand is waiting), unreadable
    (what was handed in cannot be run: 0), graded. Who handed in but is not in the roster comes
    last, and the name says so.
    """
    strangers = sorted({s for a in assignments for s in course.submissions(a.id)} - set(roster))
    names = {student: line["name"] for student, line in roster.items()}
    names |= dict.fromkeys(strangers, "(not in the roster)")
    rows, aside = [], left_aside(course)
    with closing(Gradebook(course.gradebook, COURSE)) as gradebook:
        for student, name in names.items():
            row, total = {"id": student, "name": name}, 0.0
            for assignment in assignments:
                cells = _cells(course, gradebook, assignment, student, aside)
                row |= {f"{assignment.id}_{column}": cells.get(column, "") for column in COLUMNS}
                total += float(cells.get("points") or 0)
            rows.append({**row, "total": f"{total:g}"})
    return rows


def to_csv(rows: list[dict[str, str]]) -> str:
    """The rows as CSV. A name that a spreadsheet would run as a formula is made harmless."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else ["id"], lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow(
            {k: f"'{v}" if v[:1] in ("=", "+", "@", "-", "\t") else v for k, v in row.items()}
        )
    return text.getvalue()


def days_late(handed_in: datetime, due: datetime | None, extra: float = 0) -> int:
    """Days begun after `due` and the days granted in addition; 0 where there is no date."""
    if due is None:
        return 0
    late = handed_in - due - timedelta(days=extra)
    return max(0, math.ceil(late / timedelta(days=1)))


def _cells(course, gradebook, assignment, student, aside) -> dict[str, str]:
    if not course.submitted(student, assignment.id).is_dir():
        if {(student, assignment.id), (student, "")} & aside:
            return {"status": "left aside"}
        due, extra = _due(course, assignment, student)
        early = due is not None and datetime.now(UTC) < due + timedelta(days=extra)
        return {"status": "not due" if early else "missing"}
    late = {"days_late": _days(course, assignment, student)}
    try:
        found = gradebook.find_submission_notebook(assignment.notebook, assignment.id, student)
    except MissingEntry:
        return {"status": "not graded", **late}
    waiting = any(grade.needs_manual_grade for grade in found.grades)
    unreadable = _is_unreadable(course, assignment, student)
    status = "unreadable" if unreadable else "by hand" if waiting else "graded"
    return {"points": f"{found.score:g}", "of": f"{found.max_score:g}", "status": status, **late}


def _is_unreadable(course: Course, assignment: Assignment, student: str) -> bool:
    path = course.autograded(student, assignment.id) / assignment.file
    # Not by the names of errors: those may be the student's.
    try:
        return path.is_file() and was_not_run(nbformat.read(path, as_version=4))
    except Exception:  # a file that is damaged; the gradebook has the points
        return False


def _due(course: Course, assignment: Assignment, student: str) -> tuple[datetime | None, float]:
    """When a homework is due, and the days granted to one student in addition."""
    due = course.settings.get("due", {}).get(assignment.id)
    return due, course.settings.get("extra_days", {}).get(f"{student} {assignment.id}", 0)


def _days(course: Course, assignment: Assignment, student: str) -> str:
    """Days late as a number; "late" where the platform tells no more, "unknown" where nothing."""
    folder = course.submitted(student, assignment.id)
    due, extra = _due(course, assignment, student)
    try:
        text = (folder / TIMESTAMP).read_text(encoding="utf-8").strip()
        return str(days_late(parse_utc(text).replace(tzinfo=UTC), due, extra))
    except (OSError, ValueError, OverflowError, TypeError):  # there is none, or it is damaged
        pass
    try:
        told = json.loads((folder / HANDED).read_text(encoding="utf-8")).get("late")
    except (OSError, ValueError, AttributeError):
        told = None
    if told is True:
        return "late"
    return "0" if told is False or due is None else "unknown"
