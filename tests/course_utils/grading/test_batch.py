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

from course_utils.grading import batch
from course_utils.grading.batch import Row, grade_all, record, transaction
from course_utils.grading.grader import PREFIX, Grader, NotGraded
from course_utils.grading.sandbox import Limits, why_no_sandbox
from tests.course_utils.grading.toy import ALL, hand_in, make_course, released, right

ROOT = Path(batch.__file__).parents[2]
pytestmark = pytest.mark.skipif(
    bool(why_no_sandbox()) and not os.environ.get("CI"), reason=str(why_no_sandbox())
)
STUDENTS = ["ada", "bo", "cy", "di"]


class Killed(BaseException):
    """Stands for kill -9: nothing but the operating system cleans up behind it."""


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A course with four submissions, one of them wrong, and what running them gives."""
    folders, assignment, _ = make_course(tmp_path_factory.mktemp("course"))
    blank = released(folders)
    for student in STUDENTS:
        wrong = {"double": "def double(x):\n    return x"} if student == "cy" else {}
        hand_in(folders, student, right(blank, **wrong))
    with Grader(assignment) as grader:
        results = {s: grader.grade(folders.submitted(s).read_bytes()) for s in STUDENTS}
    return folders, assignment, results


@pytest.fixture
def course(template, tmp_path, monkeypatch):
    """A fresh copy of that course; submissions are not run again, and `runs` counts them."""
    folders, assignment, results = template
    shutil.copytree(folders.course, tmp_path / "course")
    runs = []

    def run(assignment, waiting, workers, scheduler):
        for student in waiting:
            runs.append(student)
            yield student, results[student]

    monkeypatch.setattr(batch, "_run", run)
    course = batch.Folders(tmp_path / "course", folders.name, folders.notebook)
    return course, assignment, f"sqlite:///{course.course}/gradebook.db", runs


def scores(db_url, name="hw00"):
    with contextlib.closing(Gradebook(db_url)) as gradebook:
        found = gradebook.assignment_submissions(name)
        return sorted((s.student.id, s.score) for s in found)


EXPECTED = [("ada", ALL), ("bo", ALL), ("cy", ALL - 3), ("di", ALL)]


def test_what_was_graded_is_not_graded_again(course):
    folders, assignment, db_url, runs = course
    first = grade_all(folders, assignment, db_url)
    again = grade_all(folders, assignment, db_url)
    assert runs == STUDENTS and scores(db_url) == EXPECTED
    assert [row.status for row in again] == ["unchanged"] * 4
    assert [(r.student, r.score, r.most) for r in again] == [
        (r.student, r.score, r.most) for r in first
    ]


def test_a_new_submission_is_graded_and_the_others_are_not(course):
    folders, assignment, db_url, runs = course
    grade_all(folders, assignment, db_url)
    runs.clear()
    with open(folders.submitted("bo"), "ab") as file:
        file.write(b"\n")
    rows = grade_all(folders, assignment, db_url)
    assert runs == ["bo"]
    assert [row.status for row in rows] == ["unchanged", "graded", "unchanged", "unchanged"]


def test_a_lost_gradebook_or_notebook_is_made_again(course):
    folders, assignment, db_url, runs = course
    grade_all(folders, assignment, db_url)
    folders.autograded("ada").unlink()
    with contextlib.closing(Gradebook(db_url)) as gradebook:
        gradebook.remove_submission(folders.name, "di")
    runs.clear()
    grade_all(folders, assignment, db_url)
    assert runs == ["ada", "di"] and scores(db_url) == EXPECTED


STEPS = ["replace", "fsync", "commit", "after commit"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("time", [1, 2, 5])
def test_killed_at_any_step_the_next_batch_finishes(course, monkeypatch, step, time):
    folders, assignment, db_url, runs = course
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
            grade_all(folders, assignment, db_url)
    assert count >= 1
    grade_all(folders, assignment, db_url)
    assert scores(db_url) == EXPECTED
    # Once run, its result is kept: at most the one in hand is run again.
    assert len(runs) <= len(STUDENTS) + 1
    assert all(folders.autograded(s).is_file() for s in STUDENTS)
    assert [row.status for row in grade_all(folders, assignment, db_url)] == ["unchanged"] * 4


def test_a_submission_enters_the_gradebook_whole_or_not_at_all(course, template):
    folders, _, db_url, _ = course
    with contextlib.closing(Gradebook(db_url)) as gradebook:
        with pytest.raises(Killed), transaction(gradebook):
            gradebook.update_or_create_student("ada")
            with gradebook.db.no_autoflush:
                gradebook.update_or_create_submission("hw00", "ada")
            raise Killed
        assert gradebook.assignment_submissions("hw00") == []
        assert record(folders, gradebook, "ada", template[2]["ada"]).score == ALL


def test_a_failure_of_ours_is_no_grade_and_is_tried_again(course, monkeypatch):
    folders, assignment, db_url, runs = course
    working = batch._run
    monkeypatch.setattr(batch, "_run", lambda a, w, *_: ((s, NotGraded("no disk")) for s in w))
    rows = grade_all(folders, assignment, db_url)
    assert [row.status for row in rows] == ["failed"] * 4 and scores(db_url) == []
    monkeypatch.setattr(batch, "_run", working)
    assert [row.score for row in grade_all(folders, assignment, db_url)] == [ALL, ALL, ALL - 3, ALL]


def test_two_batches_of_one_assignment_do_not_run_at_once(course):
    folders, assignment, db_url, _ = course
    with batch._alone(folders):
        with pytest.raises(ValueError, match="hw00 is being graded by another batch"):
            grade_all(folders, assignment, db_url)


def test_a_grade_given_by_hand_is_kept(course):
    folders, assignment, db_url, _ = course
    grade_all(folders, assignment, db_url)
    with contextlib.closing(Gradebook(db_url)) as gradebook:
        gradebook.find_grade("written", folders.notebook, "hw00", "ada").manual_score = 2
        gradebook.db.commit()
    folders.state("ada").unlink()
    grade_all(folders, assignment, db_url)
    assert dict(scores(db_url))["ada"] == ALL + 2


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


def test_a_worker_that_hangs_is_given_up_and_the_others_are_graded(monkeypatch):
    monkeypatch.setattr(batch, "Grader", FakeGrader)
    monkeypatch.setattr(batch, "BEYOND_LIMITS", 0.5)
    assignment = SimpleNamespace(limits=Limits(total_seconds=0.25))
    said = {"a": b"1", "b": b"hang", "c": b"3", "d": b"hang", "e": b"boom", "f": b"6"}
    waiting = {student: ("digest", submitted) for student, submitted in said.items()}
    outcomes = dict(batch._run(assignment, waiting, 1, None))
    assert list(outcomes) == sorted(said)  # one worker: in their order, none twice
    assert [outcomes[student] for student in "acf"] == [b"1", b"3", b"6"]
    assert all("came to no end" in str(outcomes[student]) for student in "bd")
    assert "no disk" in str(outcomes["e"]) and isinstance(outcomes["e"], NotGraded)


def test_workers_that_cannot_begin_end_the_batch_with_the_reason(monkeypatch):
    def no_grader(assignment):
        raise OSError("no space left on device")

    monkeypatch.setattr(batch, "Grader", no_grader)
    with pytest.raises(OSError, match="no space left"):
        list(batch._run(None, {"ada": ("digest", b"")}, 2, None))


# ------------------------------------------------------------------ really killed


SCRIPT = """
import pickle, sys
from course_utils.grading.batch import grade_all
folders, assignment, db_url = pickle.load(open(sys.argv[1], "rb"))
grade_all(folders, assignment, db_url, progress=lambda row: print(row.student, flush=True))
"""


@pytest.mark.slow
def test_kill_9_leaves_no_process_and_the_next_batch_finishes(template, tmp_path):
    folders, assignment, _ = template
    shutil.copytree(folders.course, tmp_path / "course")
    folders = batch.Folders(tmp_path / "course", folders.name, folders.notebook)
    db_url = f"sqlite:///{folders.course}/gradebook.db"
    (tmp_path / "task").write_bytes(pickle.dumps((folders, assignment, db_url)))
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "task")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as first:
        done = [first.stdout.readline().strip()]
        family = psutil.Process(first.pid).children(recursive=True)
        first.send_signal(signal.SIGKILL)
        done += first.stdout.read().split()
    assert family and len(done) < len(STUDENTS)
    assert psutil.wait_procs(family, timeout=10)[1] == []  # the sandboxes went with it
    rows = grade_all(folders, assignment, db_url)
    assert scores(db_url) == EXPECTED
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


def test_a_gradebook_in_postgresql_holds_the_same(course, postgres, monkeypatch):
    folders, assignment, sqlite, runs = course
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    monkeypatch.setenv("PATH", path)  # nbgrader starts `alembic` by name
    copy_assignment(sqlite, postgres)
    ours = grade_all(folders, assignment, sqlite)
    shutil.rmtree(folders.state("x").parent)
    theirs = grade_all(folders, assignment, postgres)
    assert ours == theirs and scores(postgres) == EXPECTED == scores(sqlite)
    assert [row.status for row in grade_all(folders, assignment, postgres)] == ["unchanged"] * 4


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
    folders, assignment, _ = template
    shutil.copytree(folders.course, tmp_path / "course")
    folders = batch.Folders(tmp_path / "course", folders.name, folders.notebook)
    hand_in(folders, "eve", b"no notebook")
    db_url = f"sqlite:///{folders.course}/gradebook.db"
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        rows = grade_all(folders, assignment, db_url, scheduler=cluster.scheduler_address)
    assert [(row.student, row.score) for row in rows] == [*EXPECTED, ("eve", 0)]
    assert rows[-1] == Row("eve", "not done", 0, ALL + 2, rows[-1].reason)
