"""A batch loses nothing and grades nothing twice, whatever happens to it, and wherever it runs."""

import contextlib
import os
import pickle
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from distributed import LocalCluster
from nbgrader.api import Gradebook
from sqlalchemy.orm import Session

from grading.course import ROOT, Course
from grading.run.batch import Row, alone, grade_all, record, transaction
from grading.run.submission import PREFIX, Grader
from grading.run.workers import run_here
from grading.sandbox.client import NotGraded
from grading.sandbox.walls import Limits, why_no_sandbox
from tests.grading.toy import (
    ALL,
    NAME,
    NOTEBOOK,
    graded,
    hand_in,
    handed_in,
    make_course,
    released,
    right,
)

pytestmark = pytest.mark.skipif(
    bool(why_no_sandbox()) and not os.environ.get("CI"), reason=str(why_no_sandbox())
)
STUDENTS = ["ada", "bo", "cy", "di"]


class Killed(BaseException):
    """Stands for kill -9: nothing but the operating system cleans up behind it."""


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A course with four submissions, one of them wrong, and what running them gives."""
    course, assignment, kit = make_course(tmp_path_factory.mktemp("course"))
    blank = released(course)
    for student in STUDENTS:
        wrong = {"double": "def double(x):\n    return x"} if student == "cy" else {}
        hand_in(course, student, right(blank, **wrong))
    with Grader(kit) as grader:
        results = {s: grader.grade(handed_in(course, s).read_bytes()) for s in STUDENTS}
    return course, assignment, kit, results


class Again:
    """A fresh copy of that course; submissions are not run again, and `runs` counts them."""

    def __init__(self, template, root):
        course, self.assignment, self.kit, self.results = template
        shutil.copytree(course.root, root)
        self.course, self.runs = Course(root), []

    def runner(self, kit, submissions):
        for student in submissions:
            self.runs.append(student)
            yield student, self.results[student]

    def grade(self, **how):
        how = {"runner": self.runner, **how}
        return grade_all(self.course, self.assignment, self.kit, **how)

    def scores(self):
        with contextlib.closing(Gradebook(self.course.gradebook)) as gradebook:
            found = gradebook.assignment_submissions(NAME)
            return sorted((s.student.id, s.score) for s in found)


@pytest.fixture
def again(template, tmp_path):
    return Again(template, tmp_path / "course")


EXPECTED = [("ada", ALL), ("bo", ALL), ("cy", ALL - 3), ("di", ALL)]


def test_what_was_graded_is_not_graded_again(again):
    first = again.grade()
    second = again.grade()
    assert again.runs == STUDENTS and again.scores() == EXPECTED
    assert [row.status for row in second] == ["unchanged"] * 4
    assert [(r.student, r.score, r.most) for r in second] == [
        (r.student, r.score, r.most) for r in first
    ]


def test_a_new_submission_is_graded_and_the_others_are_not(again):
    again.grade()
    again.runs.clear()
    with open(handed_in(again.course, "bo"), "ab") as file:
        file.write(b"\n")
    rows = again.grade()
    assert again.runs == ["bo"]
    assert [row.status for row in rows] == ["unchanged", "graded", "unchanged", "unchanged"]


def test_a_lost_gradebook_or_notebook_is_made_again(again):
    again.grade()
    graded(again.course, "ada").unlink()
    with contextlib.closing(Gradebook(again.course.gradebook)) as gradebook:
        gradebook.remove_submission(NAME, "di")
    again.runs.clear()
    again.grade()
    assert again.runs == ["ada", "di"] and again.scores() == EXPECTED


STEPS = ["replace", "fsync", "commit", "after commit"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("time", [1, 2, 5])
def test_killed_at_any_step_the_next_batch_finishes(again, monkeypatch, step, time):
    count = 0

    def deadly(function, *arguments, late=False):
        nonlocal count
        count += 1
        if late:
            function(*arguments)
        if count == time:
            raise Killed
        return None if late else function(*arguments)

    with monkeypatch.context() as patch:
        if step in ("replace", "fsync"):
            original = getattr(os, step)
            patch.setattr(os, step, lambda *a: deadly(original, *a))
        else:
            original = Session.commit
            patch.setattr(
                Session, "commit", lambda self: deadly(original, self, late=step == "after commit")
            )
        with contextlib.suppress(Killed):
            again.grade()
    assert count >= 1
    again.grade()
    assert again.scores() == EXPECTED
    # Once run, its result is kept: at most the one in hand is run again.
    assert len(again.runs) <= len(STUDENTS) + 1
    assert all(graded(again.course, s).is_file() for s in STUDENTS)
    assert [row.status for row in again.grade()] == ["unchanged"] * 4


def test_a_submission_enters_the_gradebook_whole_or_not_at_all(again):
    with contextlib.closing(Gradebook(again.course.gradebook)) as gradebook:
        with pytest.raises(Killed), transaction(gradebook):
            gradebook.update_or_create_student("ada")
            with gradebook.db.no_autoflush:
                gradebook.update_or_create_submission("hw00", "ada")
            raise Killed
        assert gradebook.assignment_submissions("hw00") == []
        row = record(again.course, again.assignment, gradebook, "ada", again.results["ada"])
        assert row.score == ALL


def test_a_failure_of_ours_is_no_grade_and_is_tried_again(again):
    rows = again.grade(runner=lambda kit, tasks: ((s, NotGraded("no disk")) for s in tasks))
    assert [row.status for row in rows] == ["failed"] * 4 and again.scores() == []
    assert [row.score for row in again.grade()] == [ALL, ALL, ALL - 3, ALL]


def test_two_batches_of_one_assignment_do_not_run_at_once(again):
    with alone(again.course, again.assignment):
        with pytest.raises(ValueError, match="hw00 is being graded by another batch"):
            again.grade()


def test_a_grade_given_by_hand_is_kept(again):
    again.grade()
    with contextlib.closing(Gradebook(again.course.gradebook)) as gradebook:
        gradebook.find_grade("written", NOTEBOOK, "hw00", "ada").manual_score = 2
        gradebook.db.commit()
    again.course.state("ada", NAME).unlink()
    again.grade()
    assert dict(again.scores())["ada"] == ALL + 2


# ------------------------------------------------------------------ workers that fail


class FakeGrader:
    """Takes what the submission says for a grade; "hang" never comes back, "boom" fails."""

    def __init__(self, assignment):
        self.stopped = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def stop(self):
        self.stopped = True

    def grade(self, submitted, ahead):
        if submitted == b"boom":
            raise OSError("no disk")
        if submitted == b"hang":
            threading.Event().wait()
        return submitted


def test_a_worker_that_hangs_is_given_up_and_the_others_are_graded():
    kit = SimpleNamespace(limits=Limits(total_seconds=0.25))
    said = {"a": b"1", "b": b"hang", "c": b"3", "d": b"hang", "e": b"boom", "f": b"6"}
    outcomes = dict(run_here(kit, said, workers=1, grader=FakeGrader, patience=0.5))
    assert list(outcomes) == sorted(said)  # one worker: in their order, none twice
    assert [outcomes[student] for student in "acf"] == [b"1", b"3", b"6"]
    assert all("came to no end" in str(outcomes[student]) for student in "bd")
    assert "no disk" in str(outcomes["e"]) and isinstance(outcomes["e"], NotGraded)


def test_workers_that_cannot_begin_end_the_batch_with_the_reason():
    def no_grader(kit):
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space left"):
        list(run_here(None, {"ada": b""}, workers=2, grader=no_grader))


# ------------------------------------------------------------------ really killed


SCRIPT = """
import pickle, sys
from grading.run.batch import grade_all
course, assignment, kit = pickle.load(open(sys.argv[1], "rb"))
grade_all(course, assignment, kit, progress=lambda row: print(row.student, flush=True))
"""


@pytest.mark.slow
def test_kill_9_leaves_no_process_and_the_next_batch_finishes(template, tmp_path):
    again = Again(template, tmp_path / "course")
    parcel = pickle.dumps((again.course, again.assignment, again.kit))
    (tmp_path / "task").write_bytes(parcel)
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "task")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as first:
        done = [first.stdout.readline().strip()]
        family = psutil.Process(first.pid).children(recursive=True)
        first.send_signal(signal.SIGKILL)
        done += first.stdout.read().split()
    assert family and len(done) < len(STUDENTS)
    assert psutil.wait_procs(family, timeout=10)[1] == []  # the sandboxes went with it
    rows = again.grade(runner=None)
    assert again.scores() == EXPECTED
    assert {row.student for row in rows if row.status == "unchanged"} >= set(done)
    assert list(Path(tempfile.gettempdir()).glob(f"{PREFIX}{first.pid}-*")) == []


# ------------------------------------------------------------------ PostgreSQL


def server_programs():
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return folders[-1] if folders else None


@pytest.fixture(scope="module")
def postgres(tmp_path_factory):
    """The URL of an empty database on a server of its own, which listens on a socket alone."""
    programs = server_programs()
    if programs is None:
        assert not os.environ.get("CI"), "in CI, .ci/run installs PostgreSQL"
        pytest.skip("PostgreSQL is not installed (Debian: apt install postgresql)")
    root = Path(tempfile.mkdtemp(prefix="pg-"))  # a socket's path must be short
    as_user = {}
    if os.geteuid() == 0:  # which the server refuses to run as
        nobody = pwd.getpwnam("nobody")
        os.chown(root, nobody.pw_uid, nobody.pw_gid)
        as_user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    data, quiet = str(root / "data"), {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run(
        [programs / "initdb", "-D", data, "-U", "grader", "-A", "trust", "--no-sync", "-E", "UTF8"],
        check=True,
        cwd=root,
        **quiet,
        **as_user,
    )
    server = subprocess.Popen(
        [programs / "postgres", "-D", data, "-k", str(root), "-h", "", "-F"],
        cwd=root,
        **quiet,
        **as_user,
    )
    ready = [programs / "pg_isready", "-h", str(root), "-U", "grader", "-d", "postgres"]
    while subprocess.run(ready, **quiet).returncode:
        assert server.poll() is None
        time.sleep(0.05)
    yield f"postgresql+psycopg://grader@/postgres?host={root}"
    server.send_signal(signal.SIGINT)
    server.wait()
    shutil.rmtree(root)


def test_a_gradebook_in_postgresql_holds_the_same(again, postgres, monkeypatch):
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    monkeypatch.setenv("PATH", path)  # nbgrader starts `alembic` by name
    copy_assignment(again.course.gradebook, postgres)
    ours, sqlite = again.grade(), again.scores()
    shutil.rmtree(again.course.state("x", NAME).parent)
    settings = again.course.root / "grading.toml"
    settings.write_text(settings.read_text() + f'gradebook = "{postgres}"\n')
    again.course = Course(again.course.root)  # which reads its settings once
    assert again.course.gradebook == postgres
    theirs = again.grade()
    assert ours == theirs and again.scores() == EXPECTED == sqlite
    assert [row.status for row in again.grade()] == ["unchanged"] * 4


def copy_assignment(source, target):
    """What `release` writes into a gradebook, read from another."""
    with contextlib.closing(Gradebook(source)) as old, contextlib.closing(Gradebook(target)) as new:
        new.add_assignment("hw00")
        for notebook in old.find_assignment("hw00").notebooks:
            place = notebook.name, "hw00"
            new.add_notebook(*place)
            for cell in notebook.grade_cells:
                new.add_grade_cell(
                    cell.name, *place, max_score=cell.max_score, cell_type=cell.cell_type
                )
            for cell in notebook.solution_cells:
                new.add_solution_cell(cell.name, *place)


# ------------------------------------------------------------------ a cluster


@pytest.mark.slow
def test_a_cluster_gives_the_same_rows(template, tmp_path):
    again = Again(template, tmp_path / "course")
    hand_in(again.course, "eve", b"no notebook")
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster:
        rows = again.grade(runner=None, scheduler=cluster.scheduler_address)
    assert [(row.student, row.score) for row in rows] == [*EXPECTED, ("eve", 0)]
    assert rows[-1] == Row("eve", "not done", 0, ALL + 2, rows[-1].reason, by_hand=2)
