"""nbgrader's own autograde, with our preprocessor, cannot be fooled either."""

import contextlib
import os
import sys
from pathlib import Path

import pytest
from nbgrader.api import Gradebook
from nbgrader.apps import NbGraderAPI
from traitlets.config import Config

from course_utils.grading.preprocessor import safe_preprocessors
from course_utils.grading.sandbox import why_no_sandbox
from tests.course_utils.grading.attacks import attacks
from tests.course_utils.grading.toy import (
    ALL,
    NAME,
    SEED,
    answered,
    hand_in,
    make_course,
    released,
    right,
)


def test_only_execute_is_replaced():
    names = [each.__name__ for each in safe_preprocessors()]
    assert "TwoKernels" in names and "SaveAutoGrades" in names and "Execute" not in names


@pytest.mark.slow
@pytest.mark.skipif(
    bool(why_no_sandbox()) and not os.environ.get("CI"), reason=str(why_no_sandbox())
)
# nbgrader links its objects before it adds them, of which SQLAlchemy 2.1 warns.
@pytest.mark.filterwarnings("ignore:Object of type <Submitted:sqlalchemy.exc.SAWarning")
def test_nbgraders_own_autograde_is_not_fooled(tmp_path, monkeypatch):
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    monkeypatch.setenv("PATH", path)  # nbgrader starts `alembic` by name
    folders, _, db_url = make_course(tmp_path / "course")
    (folders.course / "grading.toml").write_text(f"seed = {SEED}\n")
    blank = released(folders)
    fooling = attacks(blank)
    students = {
        "honest": (right(blank, written="<script>alert(1)</script>"), ALL),
        "patched": fooling["patched_numpy"],
        "blank": (answered(blank), 0),
    }
    for student, (notebook, _) in students.items():
        hand_in(folders, student, notebook)
    config = Config()
    config.CourseDirectory.root = str(folders.course)
    config.Autograde.autograde_preprocessors = safe_preprocessors()
    config.TwoKernels.course = str(folders.course)
    api = NbGraderAPI(config=config)
    for student in students:
        done = api.autograde(NAME, student)
        assert done["success"], done
    with contextlib.closing(Gradebook(db_url)) as gradebook:
        found = {s.student.id: s.score for s in gradebook.assignment_submissions(NAME)}
    assert found == {student: score for student, (_, score) in students.items()}
    assert "<script>" not in folders.autograded("honest").read_text()
