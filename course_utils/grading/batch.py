"""All submissions of an assignment, in parallel: one writer, nothing lost, nothing graded twice.

Threads (or a Dask cluster) run submissions in sandboxes; this thread alone writes. What a
submission's run gave is kept in a file until gradebook and autograded notebook have it, and the
gradebook takes each submission in one transaction. So the batch may be killed at any moment: the
next one records what was run, and runs what was not. Instructors only.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import nbformat
from jupyter_core.utils import ensure_event_loop
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.preprocessors import NbGraderPreprocessor, SaveAutoGrades

from course_utils.grading.grader import Assignment, Graded, Grader, NotGraded, not_done, sweep
from course_utils.grading.intake import Unreadable, take
from course_utils.grading.sandbox import NoSandbox, sees, why_no_sandbox

__all__ = ["Folders", "Row", "full_tests", "grade_all", "record", "transaction"]

BEYOND_LIMITS = 900  # seconds on top of twice a submission's limit, for starts and tests
VERSION = 1  # of how submissions are run: another one makes earlier results out of date


@dataclass(frozen=True)
class Folders:
    """Where the submissions of one assignment lie, in nbgrader's layout of a course.

    course : the course folder, with submitted/STUDENT/NAME/NOTEBOOK.ipynb.
    name : the assignment, such as hw02.
    notebook : its notebook, such as hw02_numerical.
    """

    course: Path
    name: str
    notebook: str

    def students(self) -> list[str]:
        return sorted(path.parent.name for path in self.course.glob(f"submitted/*/{self.name}"))

    def submitted(self, student: str) -> Path:
        return self.course / "submitted" / student / self.name / f"{self.notebook}.ipynb"

    def autograded(self, student: str) -> Path:
        return self.course / "autograded" / student / self.name / f"{self.notebook}.ipynb"

    def state(self, student: str) -> Path:
        """What is known of a submission: how far it is, and its result until it is recorded."""
        return self.course / "grading" / self.name / f"{student}.json"


@dataclass(frozen=True)
class Row:
    """A line of the table of grades.

    status : "graded", "not done" (it could not be read), "unchanged" (graded before), "failed"
        (the instructor's side failed: no grade, to be tried again).
    reason : what is to be said of it, one sentence or more; empty if nothing is.
    """

    student: str
    status: str
    score: float | None = None
    most: float | None = None
    reason: str = ""


def grade_all(
    folders: Folders,
    assignment: Assignment,
    db_url: str,
    students: list[str] | None = None,
    workers: int = 2,
    scheduler: str | None = None,
    progress: Callable[[Row], None] = lambda row: None,
) -> list[Row]:
    """Grade what is new or has changed; return a row for each student, in their order.

    Parameters
    ----------
    folders, assignment : where the submissions are, and what they are graded with.
    db_url : the gradebook, as SQLAlchemy names databases.
    students : those to grade; all who handed something in where not given.
    workers : how many submissions run at one time here.
    scheduler : address of a Dask scheduler, whose workers run the submissions instead.
    progress : called with each row when it is known.

    Raises
    ------
    NoSandbox : there is none here; nothing was run.
    ValueError : another batch is grading this assignment, or submissions could read the course.
    """
    if assignment.protected and scheduler is None and (why := why_no_sandbox()):
        raise NoSandbox(why)
    if assignment.protected and sees(folders.course):
        raise ValueError(
            f"the course folder {folders.course} lies where every submission can read: move it "
            "out of the system's and Python's own folders"
        )
    sweep()
    rows: dict[str, Row] = {}

    def say(row: Row) -> None:
        rows[row.student] = row
        progress(row)

    def write(student: str, digest: str, graded: Graded) -> None:
        try:
            say(_record_and_mark(folders, gradebook, student, digest, graded))
        except Exception as error:  # one student's row must not end the batch
            say(Row(student, "failed", reason=f"it could not be recorded: {error}"))

    everyone = folders.students() if students is None else students
    with _alone(folders), contextlib.closing(Gradebook(db_url)) as gradebook:
        waiting: dict[str, tuple[str, bytes]] = {}
        for student in everyone:
            try:
                submitted = take(folders.submitted(student))
            except Unreadable as why:
                submitted, unreadable = str(why).encode(), str(why)
            else:
                unreadable = None
            digest = _digest(assignment, submitted)
            state = _read_state(folders, student, digest)
            if state and state["recorded"] and _is_there(folders, gradebook, student):
                say(Row(**{**state["row"], "status": "unchanged"}))
            elif state and not state["recorded"]:
                write(student, digest, Graded(**state["graded"]))
            elif unreadable:
                write(student, digest, not_done(assignment, unreadable))
            else:
                waiting[student] = digest, submitted
        for student, outcome in _run(assignment, waiting, workers, scheduler):
            if isinstance(outcome, Graded):
                write(student, waiting[student][0], outcome)
            else:
                say(Row(student, "failed", reason=str(outcome)))
    return [rows[student] for student in everyone]


# ------------------------------------------------------------------ running


def _run(
    assignment: Assignment,
    waiting: Mapping[str, tuple[str, bytes]],
    workers: int,
    scheduler: str | None,
) -> Iterator[tuple[str, Graded | Exception]]:
    """Run each submission; yield what came of it, as it comes."""
    tasks = {student: submitted for student, (_, submitted) in waiting.items()}
    if not tasks:
        return
    if scheduler is not None:
        yield from _run_on_cluster(assignment, tasks, scheduler)
        return
    todo: queue.SimpleQueue = queue.SimpleQueue()
    done: queue.SimpleQueue = queue.SimpleQueue()
    for task in tasks.items():
        todo.put(task)
    team = [_Worker(assignment, todo, done) for _ in range(min(workers, len(tasks)))]
    try:
        while tasks:
            try:
                student, outcome = done.get(timeout=1)
            except queue.Empty:
                for worker in [worker for worker in team if worker.hangs()]:
                    team[team.index(worker)] = _Worker(assignment, todo, done)
                    worker.give_up()
                    if tasks.pop(worker.student, None) is not None:
                        yield (
                            worker.student,
                            NotGraded(
                                "grading it came to no end, and no limit stopped it: "
                                "please report it"
                            ),
                        )
                continue
            if student is None:
                raise outcome
            if tasks.pop(student, None) is not None:
                yield student, outcome
    finally:  # also when the batch is interrupted: every sandbox ends before we do
        with contextlib.suppress(queue.Empty):
            while True:
                todo.get_nowait()
        for worker in team:
            worker.give_up()
        for worker in team:
            worker.join(60)


class _Worker(threading.Thread):
    """Takes submissions until none is left. It starts the next kernels ahead."""

    def __init__(self, assignment, todo: queue.SimpleQueue, done: queue.SimpleQueue) -> None:
        super().__init__(daemon=True)
        self.assignment, self.todo, self.done = assignment, todo, done
        self.grader: Grader | None = None
        self.student, self.since = "", math.inf  # whom it grades, and since when
        self.start()

    def run(self) -> None:
        try:
            with contextlib.closing(ensure_event_loop()), Grader(self.assignment) as self.grader:
                self._work(self.grader)
        except Exception as error:  # it could not even begin
            self.done.put((None, error))

    def _work(self, grader: Grader) -> None:
        with contextlib.suppress(queue.Empty):
            while not grader.stopped:
                self.student, submitted = self.todo.get_nowait()
                self.since = time.monotonic()
                outcome = _try(grader, submitted, ahead=not self.todo.empty())
                self.since = math.inf
                self.done.put((self.student, outcome))

    def hangs(self) -> bool:
        """Whether a submission has taken more time than all limits together give it."""
        longest = 2 * self.assignment.limits.total_seconds + BEYOND_LIMITS
        return time.monotonic() - self.since > longest

    def give_up(self) -> None:
        """End what it runs; it starts nothing more."""
        if self.grader is not None:
            self.grader.stop()


def _try(grader: Grader, submitted: bytes, ahead: bool = False) -> Graded | Exception:
    """Grade; once more where our own side failed, which may have been the machine's trouble."""
    for attempt in (1, 2):
        try:
            return grader.grade(submitted, ahead)
        except Exception as error:
            if attempt == 2 or grader.stopped:
                return error if isinstance(error, NotGraded) else NotGraded(repr(error))
    raise AssertionError


def _grade_remotely(assignment: Assignment, submitted: bytes) -> Graded | Exception:
    """One submission on a worker of a cluster."""
    with Grader(assignment) as grader:
        return _try(grader, submitted)


def _run_on_cluster(assignment, tasks, scheduler) -> Iterator[tuple[str, Graded | Exception]]:
    from distributed import Client, as_completed

    with Client(scheduler) as client:
        if assignment.protected:
            reasons = client.run(why_no_sandbox)
            if any(reasons.values()):
                raise NoSandbox("; ".join(f"{at}: {why}" for at, why in reasons.items() if why))
        shared = client.scatter(assignment, broadcast=True)
        left = iter(tasks.items())
        running: dict[Any, str] = {}

        def submit() -> Any:
            student, submitted = next(left, (None, None))
            if student is None:
                return None
            future = client.submit(_grade_remotely, shared, submitted, pure=False, retries=2)
            running[future] = student
            return future

        # Not all at once: ten thousand notebooks need not wait in the scheduler's memory.
        window = 4 * max(1, sum(client.nthreads().values()))
        futures = as_completed([f for f in (submit() for _ in range(window)) if f])
        for future in futures:
            student = running.pop(future)
            error = future.exception()
            yield student, future.result() if error is None else NotGraded(repr(error))
            if (following := submit()) is not None:
                futures.add(following)


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
def transaction(gradebook: Gradebook) -> Iterator[None]:
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


def record(folders: Folders, gradebook: Gradebook, student: str, graded: Graded) -> Row:
    """Put a result where nbgrader expects it: the autograded notebook and the gradebook."""
    timestamp = folders.submitted(student).parent / "timestamp.txt"
    when = timestamp.read_text().strip() if timestamp.is_file() else None
    notebook = nbformat.from_dict(graded.notebook)
    with transaction(gradebook):
        gradebook.update_or_create_student(student)
        given = {"timestamp": when} if when else {}
        with gradebook.db.no_autoflush:  # nbgrader links its objects before it adds them
            gradebook.update_or_create_submission(folders.name, student, **given)
        ids = {"student": student, "assignment": folders.name, "notebook": folders.notebook}
        resources = {"nbgrader": {**ids, "gradebook": gradebook}}
        notebook, _ = SaveInOneTransaction().preprocess(notebook, resources)
        gradebook.db.expire_all()  # sums are read afresh
        found = gradebook.find_submission_notebook(folders.notebook, folders.name, student)
        score, most = float(found.score), float(found.max_score)
        # Before the gradebook has it: a notebook without a grade is written again, no harm done.
        path = folders.autograded(student)
        _write(path, nbformat.writes(notebook))
        said = "\n".join(graded.notes)
        for name, text in (("reason.txt", said), ("timestamp.txt", when)):
            if text:
                _write(path.with_name(name), text + "\n")
            else:
                path.with_name(name).unlink(missing_ok=True)
    status = "not done" if graded.reason else "graded"
    return Row(student, status, score, most, " ".join(graded.notes))


def _record_and_mark(folders, gradebook, student, digest, graded: Graded) -> Row:
    kept = {"digest": digest, "recorded": False, "graded": asdict(graded)}
    _write(folders.state(student), json.dumps(kept))
    row = record(folders, gradebook, student, graded)
    kept = {"digest": digest, "recorded": True, "row": asdict(row)}
    _write(folders.state(student), json.dumps(kept))
    return row


def _write(path: Path, text: str) -> None:
    """Whole or not at all, whatever happens meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    with open(new, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)


def _digest(assignment: Assignment, submitted: bytes) -> str:
    """Changes with all that a grade depends on."""
    parts = [str(VERSION).encode(), assignment.notebook.encode(), str(assignment.seed).encode()]
    parts.append(json.dumps(assignment.master, sort_keys=True).encode())
    for files in (assignment.files, assignment.sources):
        for name, content in sorted(files.items()):
            parts += [name.encode(), content]
    digest = hashlib.sha256()
    for part in [*parts, submitted]:
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()


def _read_state(folders: Folders, student: str, digest: str) -> dict[str, Any] | None:
    try:
        state = json.loads(folders.state(student).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return state if state.get("digest") == digest else None


def _is_there(folders: Folders, gradebook: Gradebook, student: str) -> bool:
    """Whether the gradebook and the folder still have what was recorded."""
    try:
        gradebook.find_submission(folders.name, student)
    except MissingEntry:
        return False
    return folders.autograded(student).is_file()


@contextlib.contextmanager
def _alone(folders: Folders) -> Iterator[None]:
    """One batch at a time; a batch that was killed does not stand in the way."""
    import fcntl  # grading needs Linux, or --unprotected on macOS

    path = folders.state("x").with_name(".lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(
                f"{folders.name} is being graded by another batch: wait for it, or stop it first"
            ) from None
        yield


# ------------------------------------------------------------------ from nbgrader


def full_tests(released: dict[str, Any], gradebook: Gradebook, folders: Folders) -> dict[str, Any]:
    """The released notebook with its full tests, which the gradebook keeps.

    released : the notebook as handed out (nbformat 4, as a dictionary).
    """
    cells = []
    for cell in released["cells"]:
        mark = cell.get("metadata", {}).get("nbgrader", {})
        if mark.get("grade_id") and not mark.get("solution"):
            kept = gradebook.find_source_cell(mark["grade_id"], folders.notebook, folders.name)
            metadata = {**cell["metadata"], "nbgrader": {**mark, "checksum": kept.checksum}}
            cell = {**cell, "source": kept.source, "metadata": metadata}
        cells.append(cell)
    return {**released, "cells": cells}
