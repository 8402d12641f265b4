"""All submissions of a homework: one writer, nothing lost, nothing graded twice.

Workers run submissions in sandboxes; this thread alone writes. What a submission's run gave is
kept in a file until gradebook and autograded notebook have it, and the gradebook takes each
submission in one transaction. So the batch may be killed at any moment: the next one records what
was run, and runs what was not. What is graded by hand (the figure, the written answer) waits in
nbgrader's form grader.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import nbformat
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.preprocessors import NbGraderPreprocessor, SaveAutoGrades
from nbgrader.utils import parse_utc

from grading.cells import grade_id, is_by_hand, mark
from grading.course import COURSE, REASON, TIMESTAMP, Assignment, Course, Roster
from grading.faults import in_words
from grading.files import replace
from grading.run.intake import Unreadable, take
from grading.run.kit import Kit, kit_of
from grading.run.submission import Graded, not_done, sweep
from grading.run.workers import Runner, run_here
from grading.sandbox.client import PICTURES
from grading.sandbox.walls import Limits, NoSandbox, sees, why_no_sandbox

__all__ = ["Row", "grade", "grade_all", "record", "transaction"]

VERSION = 3  # of how submissions are run: another one makes earlier results out of date


@dataclass(frozen=True)
class Row:
    """A line of the table of grades.

    status : "graded", "not done" (it could not be read), "unchanged" (graded before), "failed"
        (the instructor's side failed: no grade, to be tried again).
    reason : what is to be said of it, one sentence or more; empty if nothing is.
    by_hand : points, of the most, that only a person can give.
    """

    student: str
    status: str
    score: float | None = None
    most: float | None = None
    reason: str = ""
    by_hand: float = 0


def grade(
    course: Course,
    assignment: Assignment,
    roster: Roster,
    *,
    protected: bool = True,
    limits: Limits = Limits(),  # noqa: B008
    **how: Any,
) -> list[Row]:
    """Grade what was collected of a released homework; a row for each student who handed it in.

    `how` are the keywords of `grade_all`. Raises GradingError, NoSandbox, ValueError as `kit_of`
    and `grade_all` do.
    """
    with opened(course) as gradebook:
        for student in course.submissions(assignment.id):
            line = roster.get(student, {})
            gradebook.update_or_create_student(
                student, last_name=line.get("name") or None, email=line.get("email") or None
            )
        kit = kit_of(course, assignment, gradebook, limits, protected)
    return grade_all(course, assignment, kit, **how)


def grade_all(
    course: Course,
    assignment: Assignment,
    kit: Kit,
    *,
    students: Sequence[str] | None = None,
    workers: int = 2,
    scheduler: str | None = None,
    runner: Runner | None = None,
    progress: Callable[[Row], None] = lambda row: None,
) -> list[Row]:
    """Grade what is new or has changed; return a row for each student, in their order.

    Parameters
    ----------
    course, assignment : where the submissions are.
    kit : what they are graded with.
    students : those to grade; all who handed something in where not given.
    workers : how many submissions run at one time here.
    scheduler : address of a Dask scheduler, whose workers run the submissions instead.
    runner : what runs the submissions, in place of both.
    progress : called with each row when it is known.

    Raises
    ------
    NoSandbox : there is none here; nothing was run.
    ValueError : another batch is grading this homework, or submissions could read the course.
    """
    _refuse_without_walls(course, kit, scheduler)
    sweep()
    if runner is None and scheduler is not None:
        from grading.run.cluster import run_on_cluster

        runner = partial(run_on_cluster, scheduler=scheduler)
    runner = runner or partial(run_here, workers=workers)
    everyone = course.submissions(assignment.id) if students is None else students
    rows: dict[str, Row] = {}

    def say(row: Row) -> None:
        rows[row.student] = row
        progress(row)

    with alone(course, assignment), opened(course) as gradebook:
        desk = _Desk(course, assignment, kit, gradebook)
        waiting: dict[str, bytes] = {}
        for student in everyone:
            row = desk.known(student, waiting)
            if row is not None:
                say(row)
        for student, outcome in runner(kit, waiting) if waiting else ():
            if isinstance(outcome, Graded):
                say(desk.write(student, desk.digest(waiting[student]), outcome))
            else:
                say(Row(student, "failed", reason=str(outcome)))
    return [rows[student] for student in everyone]


def _refuse_without_walls(course: Course, kit: Kit, scheduler: str | None) -> None:
    if kit.protected and scheduler is None and (why := why_no_sandbox()):
        raise NoSandbox(why)
    if kit.protected and sees(course.root):
        raise ValueError(
            f"the course folder {course.root} lies where every submission can read: move it "
            "out of the system's and Python's own folders"
        )


class _Desk:
    """Where results are written down: what is known of each student, and what is added."""

    def __init__(self, course: Course, assignment: Assignment, kit: Kit, gradebook: Any) -> None:
        self.course, self.assignment, self.kit = course, assignment, kit
        self.gradebook = gradebook

    def known(self, student: str, waiting: dict[str, bytes]) -> Row | None:
        """The row of a student for whom nothing has to run; others are put into `waiting`."""
        unreadable = None
        try:
            submitted = take(
                self.course.submitted(student, self.assignment.id) / self.assignment.file
            )
        except Unreadable as why:
            submitted, unreadable = str(why).encode(), str(why)
        digest = self.digest(submitted)
        state = self._state(student, digest)
        if state and state["recorded"] and self._is_there(student):
            return Row(**{**state["row"], "status": "unchanged"})
        if state and not state["recorded"]:
            return self.write(student, digest, Graded(**state["graded"]))
        if unreadable:
            return self.write(student, digest, not_done(self.kit, unreadable))
        waiting[student] = submitted
        return None

    def write(self, student: str, digest: str, graded: Graded) -> Row:
        """Record a result; it is kept in a file until that is done."""
        path = self.course.state(student, self.assignment.id)
        try:
            kept = {"digest": digest, "recorded": False, "graded": asdict(graded)}
            replace(path, json.dumps(kept))
            row = record(self.course, self.assignment, self.gradebook, student, graded)
            kept = {"digest": digest, "recorded": True, "row": asdict(row)}
            replace(path, json.dumps(kept))
        except Exception as error:  # one student's row must not end the batch
            return Row(
                student, "failed", reason=f"it could not be recorded: {in_words(error) or error}"
            )
        return row

    def digest(self, submitted: bytes) -> str:
        """Changes with all that a grade depends on."""
        kit = self.kit
        parts = [str(VERSION).encode(), kit.notebook.encode(), str(kit.seed).encode()]
        parts.append(json.dumps(kit.master, sort_keys=True).encode())
        for files in (kit.files, kit.sources):
            for name, content in sorted(files.items()):
                parts += [name.encode(), content]
        digest = hashlib.sha256()
        for part in [*parts, submitted]:
            digest.update(hashlib.sha256(part).digest())
        return digest.hexdigest()

    def _state(self, student: str, digest: str) -> dict[str, Any] | None:
        path = self.course.state(student, self.assignment.id)
        try:
            state = json.loads(path.read_text(encoding="utf-8"))
            return state if state["digest"] == digest else None
        except (OSError, ValueError, RecursionError, LookupError, TypeError):  # damaged: run again
            return None

    def _is_there(self, student: str) -> bool:
        """Whether the gradebook and the folder still have what was recorded."""
        try:
            self.gradebook.find_submission(self.assignment.id, student)
        except MissingEntry:
            return False
        folder = self.course.autograded(student, self.assignment.id)
        return (folder / self.assignment.file).is_file()


# ------------------------------------------------------------------ recording


class SaveInOneTransaction(SaveAutoGrades):
    """nbgrader's own way to save grades, with a gradebook that is open already."""

    def preprocess(self, nb, resources):
        ids = resources["nbgrader"]
        self.gradebook = ids["gradebook"]
        self.student_id, self.assignment_id = ids["student"], ids["assignment"]
        self.notebook_id = ids["notebook"]
        return NbGraderPreprocessor.preprocess(self, nb, resources)


@contextlib.contextmanager
def opened(course: Course) -> Iterator[Any]:
    """The course's gradebook, whose own types say less than its documentation."""
    with contextlib.closing(Gradebook(course.gradebook, COURSE)) as gradebook:
        yield gradebook


@contextlib.contextmanager
def transaction(gradebook: Any) -> Iterator[None]:
    """All that is done to the gradebook inside is done, or nothing of it.

    nbgrader commits after each step; here its commits only pass the changes on.
    """
    session = gradebook.db()
    commit, session.commit = session.commit, session.flush
    try:
        yield
        commit()
    except BaseException:
        session.rollback()
        raise
    finally:
        del session.commit


def record(
    course: Course, assignment: Assignment, gradebook: Any, student: str, graded: Graded
) -> Row:
    """Put a result where nbgrader expects it: the autograded notebook and the gradebook."""
    when = _when(course.submitted(student, assignment.id) / TIMESTAMP)
    notebook = nbformat.from_dict(graded.notebook)
    place = (assignment.notebook, assignment.id, student)
    folder = course.autograded(student, assignment.id)
    with transaction(gradebook):
        gradebook.update_or_create_student(student)
        given = {"timestamp": when} if when else {}
        with gradebook.db.no_autoflush:  # nbgrader links its objects before it adds them
            gradebook.update_or_create_submission(assignment.id, student, **given)
        ids = dict(zip(("notebook", "assignment", "student"), place))
        resources = {"nbgrader": {**ids, "gradebook": gradebook}}
        saver: Any = SaveInOneTransaction()
        notebook, _ = saver.preprocess(notebook, resources)
        _ask_again(gradebook, place, _read(folder / assignment.file), notebook)
        gradebook.db.expire_all()  # sums are read afresh
        found = gradebook.find_submission_notebook(*place)
        score, most = float(found.score), float(found.max_score)
        # Before the gradebook has it: a notebook without a grade is written again, no harm done.
        replace(folder / assignment.file, nbformat.writes(notebook))
        said = "\n".join(graded.notes)
        for name, text in ((REASON, said), (TIMESTAMP, when)):
            if text:
                replace(folder / name, text + "\n")
            else:
                (folder / name).unlink(missing_ok=True)
    status = "not done" if graded.reason else "graded"
    by_hand = sum(mark(cell)["points"] for cell in notebook.cells if is_by_hand(cell))
    return Row(student, status, score, most, " ".join(graded.notes), by_hand)


def _ask_again(gradebook: Any, place: tuple[str, ...], old: Any, new: Any) -> None:
    """After a new attempt: points and comment by hand stay where what they are for is the same."""
    before = {grade_id(cell): _shown(cell) for cell in old["cells"]}
    for cell in filter(is_by_hand, new["cells"]):
        grade = gradebook.find_grade(grade_id(cell), *place)
        if grade.manual_score is None:
            continue
        if before.get(grade_id(cell)) == _shown(cell):
            grade.needs_manual_grade = False
        else:
            grade.manual_score, grade.needs_manual_grade = None, grade.auto_score is None
            gradebook.find_comment(grade_id(cell), *place).manual_comment = None
    gradebook.db.flush()


def _shown(cell: Any) -> tuple[str, list[str]]:
    """What a grader sees of a cell: its text and its figures."""
    data = [output.get("data", {}) for output in cell.get("outputs", [])]
    return cell["source"], ["".join(one[kind]) for one in data for kind in PICTURES if kind in one]


def _read(path: Path) -> Any:
    """An autograded notebook as it was; an empty one where there is none."""
    try:
        return nbformat.read(path, as_version=4)
    except (OSError, ValueError):
        return {"cells": []}


def _when(timestamp: Path) -> str | None:
    """When a submission came, in nbgrader's form; None if nobody told, or the file is damaged."""
    try:
        when = timestamp.read_text(encoding="utf-8").strip()
        parse_utc(when)
        return when
    except (OSError, ValueError, OverflowError, TypeError):
        return None


@contextlib.contextmanager
def alone(course: Course, assignment: Assignment) -> Iterator[None]:
    """One batch at a time; a batch that was killed does not stand in the way.

    Raises ValueError while another one grades this homework.
    """
    import fcntl  # grading needs Linux, or --unprotected on macOS

    path: Path = course.state("x", assignment.id).with_name(".lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(
                f"{assignment.id} is being graded by another batch: wait for it, or stop it first"
            ) from None
        yield
