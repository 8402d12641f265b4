"""nbgrader's own autograde, with our preprocessor, cannot be fooled either."""

import contextlib
import os
import sys
from pathlib import Path

import pytest
from nbgrader.api import Gradebook
from nbgrader.apps import NbGraderAPI
from traitlets.config import Config

from grading.course import Course, assignments
from grading.run.nbgrader import safe_preprocessors
from grading.sandbox.walls import why_no_sandbox
from grading.term.release import bring_up_to_date
from tests.grading.attacks import attacks
from tests.grading.toy import (
    ALL,
    NAME,
    SEED,
    answered,
    graded,
    hand_in,
    make_course,
    released,
    right,
)


def test_only_execute_is_replaced():
    names = [each.__name__ for each in safe_preprocessors()]
    assert "TwoKernels" in names and "SaveAutoGrades" in names and "Execute" not in names


needs_sandbox = pytest.mark.skipif(
    bool(why_no_sandbox()) and not os.environ.get("CI"), reason=str(why_no_sandbox())
)


@pytest.mark.slow
@needs_sandbox
# nbgrader links its objects before it adds them, of which SQLAlchemy 2.1 warns.
@pytest.mark.filterwarnings("ignore:Object of type <Submitted:sqlalchemy.exc.SAWarning")
def test_nbgraders_own_autograde_is_not_fooled(tmp_path, monkeypatch):
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    monkeypatch.setenv("PATH", path)  # nbgrader starts `alembic` by name
    course, *_ = make_course(tmp_path / "course")
    (course.root / "grading.toml").write_text(f"seed = {SEED}\n")
    blank = released(course)
    fooling = attacks(blank)
    students = {
        "honest": (right(blank, written="<script>alert(1)</script>"), ALL),
        "patched": fooling["patched_numpy"],
        "blank": (answered(blank), 0),
        "linked": (right(blank, last=["print(open('notes.json').read())"]), ALL),
    }
    for student, (notebook, _) in students.items():
        hand_in(course, student, notebook)
    # A link among a student's files: nbgrader puts what it leads to beside the notebook.
    beside = course.submitted("linked", NAME)
    (beside / "notes.json").symlink_to(course.root / "grading.toml")
    config = Config()
    config.CourseDirectory.root = str(course.root)
    config.Autograde.autograde_preprocessors = safe_preprocessors()
    config.TwoKernels.course = str(course.root)
    api = NbGraderAPI(config=config)
    for student in students:
        done = api.autograde(NAME, student)
        assert done["success"], done
    with contextlib.closing(Gradebook(course.gradebook)) as gradebook:
        found = {s.student.id: s.score for s in gradebook.assignment_submissions(NAME)}
    assert found == {student: score for student, (_, score) in students.items()}
    assert "<script>" not in graded(course, "honest").read_text()
    assert str(SEED) not in graded(course, "linked").read_text()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Object of type <Submitted:sqlalchemy.exc.SAWarning")
def test_without_the_preprocessor_the_run_ends_and_nobody_is_graded(tmp_path, monkeypatch, capfd):
    # A configuration of one's own, as nbgrader makes it: a fault of the surroundings, which must
    # not look like a student's.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    monkeypatch.setenv("PATH", path)
    course = Course(tmp_path / "course")
    (assignment,) = assignments(["hw01"])
    bring_up_to_date(course, assignment)
    handed = course.submitted("s01", "hw01") / assignment.file
    handed.parent.mkdir(parents=True)
    handed.write_bytes((course.release("hw01") / assignment.file).read_bytes())
    done = NbGraderAPI(config=course.config()).autograde("hw01", "s01")
    assert not done["success"]
    assert not (course.autograded("s01", "hw01") / assignment.file).exists()
    assert "Nobody is graded" in capfd.readouterr().err
