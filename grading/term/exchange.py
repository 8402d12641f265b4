"""nbgrader's exchange, as JupyterHub has it: students submit there, and fetch their pages from it.

Everybody can write to its `inbound`, so what lies there is a stranger's: `collect` takes it as it
takes any platform's export. nbgrader's own `collect` follows links there, and takes a submission
for whosever it claims to be.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

from nbgrader.apps import NbGraderAPI
from nbgrader.apps.baseapp import NbGrader
from nbgrader.coursedir import CourseDirectory
from nbgrader.exchange.default import Exchange

from grading.course import COURSE, TIMESTAMP, Assignment, Course, GradingError

__all__ = ["BESIDE", "SECRET", "belongs_to", "hand_back", "inbound", "secret_in"]

SECRET = "submission_secret.txt"  # what a student's own copy knows, to fetch feedback by
BESIDE = (TIMESTAMP, SECRET)  # what nbgrader puts beside a submission in the exchange
LONGEST = 1000  # bytes of a secret
NO_SECRET = "not handed in through the exchange, which cannot take a page back"


def _configured(course: Course) -> NbGrader:
    """nbgrader with all its configuration files, as its own commands in the course folder have."""
    app = NbGrader(log_level=logging.CRITICAL)
    app.load_cwd_config = False  # the course folder's, wherever we are called from
    app.config.CourseDirectory.root = str(course.root)
    app.initialize([], root=str(course.root))
    return app


def inbound(course: Course) -> Path:
    """The folder in which students' submissions lie.

    Raises GradingError if it is not there.
    """
    app = _configured(course)
    exchange = Exchange(coursedir=CourseDirectory(parent=app), config=app.config)
    folder = Path(exchange.root) / COURSE / "inbound"
    if not folder.is_dir():
        raise GradingError(
            f"the exchange has no folder {folder}: hand a homework out with `nbgrader "
            f"release_assignment` in {course.root}; if the exchange lies elsewhere, say where "
            "(c.Exchange.root) in nbgrader's configuration, such as /etc/jupyter/nbgrader_config.py"
        )
    return folder


def belongs_to(folder: Path) -> str:
    """The account that owns a submission's folder, "" where accounts have no names."""
    try:
        return folder.owner()
    except (KeyError, NotImplementedError, OSError):
        return ""


def secret_in(folder: Path) -> str:
    """The secret beside a submission, "" where there is none that is one."""
    path = folder / SECRET
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > LONGEST:
            return ""
        found = path.read_text("ascii").strip()
    except (OSError, ValueError):
        return ""
    return found if re.fullmatch(r"\w+", found) else ""


def hand_back(course: Course, assignment: Assignment, students: list[str]) -> list[tuple[str, str]]:
    """Put these students' pages into the exchange; [(student, "handed back" or why not)].

    Raises GradingError if there is no exchange.
    """
    inbound(course)
    api = NbGraderAPI(config=_configured(course).config)
    rows = []
    for student in students:
        if not secret_in(course.submitted(student, assignment.id)):
            rows.append((student, NO_SECRET))
            continue
        done: Any = api.release_feedback(assignment.id, student_id=student)
        said = [line for line in done.get("log", "").splitlines() if line.strip()]
        why = f"failed: {said[-1] if said else done.get('error', '?')}"
        rows.append((student, "handed back" if done["success"] else why))
    return rows
