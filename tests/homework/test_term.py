"""A whole term's way: twelve invented submissions from a platform's export to a table of grades."""

import csv
import os
import re
import shutil
import sys
import time
import zipfile
from contextlib import closing

import nbformat
import pytest
from nbgrader.api import Gradebook

from course_utils.exercises.homework import NotRight
from grading import cli
from grading.course import COURSE, RELEASED, Course, assignments
from grading.sandbox.walls import why_no_sandbox
from grading.term.release import leaks

MUST = os.environ.get("CI") and sys.platform == "linux"
WHY_NOT = None if MUST else why_no_sandbox()
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "")]

(HW,) = assignments(["hw02"])
NAME = f"{HW.notebook}.ipynb"
SEED = 90_210_765_432  # the table below must not depend on luck
DUE = "2026-03-08T23:59:00+00:00"
SOLVED = [*HW.exercises, "plot", "answer"]
ROSTER = """id,name,email
s01,Ada Perfect,ada@uni.example
s02,Ben Empty,ben@uni.example
s03,Cho Partly,cho@uni.example
s04,Dee Forward,dee@uni.example
s05,Eva Raises,eva@uni.example
s06,Fay Changes,fay@uni.example
s07,Gil Forgets,gil@uni.example
s08,Hal Byheart,hal@uni.example
s09,Ida Corrupt,ida@uni.example
s10,Jan Late,jan@uni.example
s11,김 민수,kim@uni.example
s12,Leo <b>Bold</b>,leo@uni.example
s13,Mia Document,mia@uni.example
s14,Ned Nothing,ned@uni.example
"""

FORWARD = """def hessian_vector(gradient, x, v, h):
    return (gradient(x + h * v) - gradient(x)) / h"""
RAISES = """def richardson(f, x, h):
    raise ValueError(f"I was given {x} and {h}")"""
CHANGES = """def mixed_derivative(f, x, i, j, h):
    x += 0.0001
    return 0.0"""
FORGETS = """def complex_jacobian(field, x, h):
    print("<script>alert(1)</script>", x)"""
# It takes down what it is asked for and plays the table back: no luck with other inputs.
BY_HEART = """import json
from course_utils.exercises import table
TRIAL = table.read("hw02_numerical.json")["find_wrong_slopes"]
KNOWN = {repr(case): TRIAL.expected(i) for i, case in enumerate(TRIAL.cases)}
def find_wrong_slopes(f, claimed, x, h):
    return KNOWN.get(repr((f, claimed, x, h)), claimed < 0)"""


def submission(solved=SOLVED, **own):
    """The released notebook with these cells solved, and others written by the student."""
    source = {c.id: c.source for c in nbformat.read(HW.source, as_version=4).cells}
    notebook = nbformat.read(RELEASED / NAME, as_version=4)
    for cell in notebook.cells:
        if cell.id in solved:
            cell.source = source[cell.id]
        cell.source = own.get(cell.id, cell.source)
    return nbformat.writes(notebook)


HANDED_IN = {  # as platforms name their files
    "Ada Perfect_81_assignsubmission_file_/homework two.ipynb": submission(),
    "Ben Empty_82_assignsubmission_file_/hw02_numerical.ipynb": submission([]),
    "Cho Partly_83_assignsubmission_file_/Untitled.ipynb": submission(
        ["hessian_vector", "richardson", "complex_jacobian"]
    ),
    "forwarddee_4711_8150_hw02_numerical-2.ipynb": submission(hessian_vector=FORWARD),
    "hw02_eva@uni.example_attempt_2026-03-08-12-00-00_hw02_numerical.ipynb": submission(
        richardson=RAISES
    ),
    "s06/hw02_numerical.ipynb": submission(mixed_derivative=CHANGES),
    "s07/hw02_numerical.ipynb": submission(complex_jacobian=FORGETS),
    "s08/hw02_numerical.ipynb": submission(find_wrong_slopes=BY_HEART),
    "s09/hw02_numerical.ipynb": '{"cells": [',
    "hw02_s10_attempt_2026-03-11-10-00-00_hw02_numerical.ipynb": submission(),
    "hw02_s11_attempt_2026-03-01-10-00-00_hw02_numerical.ipynb": submission([]),
    "hw02_s11_attempt_2026-03-02-10-00-00_hw02_numerical.ipynb": submission(["richardson"]),
    "s12/hw02_numerical.ipynb": submission(answer="</pre><script>alert(2)</script>"),
    "Nobody We Know/hw02_numerical.ipynb": submission(),
    "s13/notes.docx": "my dog ate it",
}
POINTS = {
    "s01": 70,
    "s02": 0,
    "s03": 42,
    "s04": 56,
    "s05": 56,
    "s06": 56,
    "s07": 56,
    "s08": 62,
    "s09": 0,
    "s10": 70,
    "s11": 14,
    "s12": 70,
}


@pytest.fixture(scope="module")
def utc():
    """Times in names of files are this machine's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


@pytest.fixture(scope="module")
def term(tmp_path_factory, utc):
    """A course folder after collect, grade, feedback and export."""
    root = tmp_path_factory.mktemp("term")
    course = Course(root / "gradebook")
    course.prepare()
    settings = course.root / "grading.toml"
    text = re.sub(r"seed = \d+", f"seed = {SEED}", settings.read_text())
    text = text.replace("[due]", f"[due]\nhw02 = {DUE}")
    settings.write_text(text.replace("[extra_days]", '[extra_days]\n"s10 hw02" = 1'))
    course.roster_file.write_text(ROSTER, encoding="utf-8")
    with zipfile.ZipFile(root / "export.zip", "w") as packed:
        for name, content in HANDED_IN.items():
            packed.writestr(zipfile.ZipInfo(name, (2026, 3, 1, 9, 0, 0)), content)
    assert run(course, "collect", str(root / "export.zip")) == 0
    assert run(course, "grade", "hw02", "--workers", "2") == 0
    assert run(course, "feedback", "hw02") == 0
    assert run(course, "export", "hw02") == 0
    return course


def run(course, *arguments):
    return cli.main(["--course", str(course.root), *arguments])


def grades(course):
    with (course.root / "grades.csv").open(encoding="utf-8-sig", newline="") as file:
        return {row["id"]: row for row in csv.DictReader(file)}


def page(course, student):
    return (course.feedback(student, "hw02") / f"{HW.notebook}.html").read_text(encoding="utf-8")


def test_the_table_of_grades_is_exactly_what_was_earned(term):
    table = {
        student: (row["hw02_points"], row["hw02_days_late"], row["hw02_status"])
        for student, row in grades(term).items()
    }
    # Moodle's names and folders made by hand do not say when.
    expected = {student: (str(points), "unknown", "by hand") for student, points in POINTS.items()}
    expected |= {s: (str(POINTS[s]), "0", "by hand") for s in ("s04", "s05")}
    # Nothing of the figure and the answer was done, so there is nothing to grade by hand.
    expected |= {
        "s02": ("0", "unknown", "graded"),
        "s03": ("42", "unknown", "graded"),
        "s09": ("0", "unknown", "unreadable"),
        "s10": ("70", "2", "by hand"),
        "s11": ("14", "0", "graded"),
        "s13": ("", "", "left aside"),  # a .docx is no notebook, and not nothing
        "s14": ("", "", "missing"),
    }
    assert table == expected


def test_what_is_not_due_yet_is_not_missing(term, tmp_path):
    course = Course(tmp_path / "gradebook")
    shutil.copytree(term.root, course.root, symlinks=True)
    settings = course.root / "grading.toml"
    early = settings.read_text().replace(DUE, "2999-01-01T00:00:00+00:00")
    settings.write_text(early)
    assert run(course, "export", "hw02") == 0
    status = {student: row["hw02_status"] for student, row in grades(course).items()}
    assert status["s14"] == "not due" and status["s13"] == "left aside"
    assert status["s01"] == "by hand"


@pytest.mark.parametrize(
    ("student", "words"),
    [
        ("s01", "✓ hessian_vector: right on 24 hidden inputs."),
        ("s02", "○ richardson: not done yet."),
        ("s04", "this is the forward difference. Move to both sides"),
        ("s05", "✗ richardson raises an error."),
        ("s06", "mixed_derivative changes an argument it was given"),
        ("s07", "complex_jacobian gives nothing back: its last line must be `return`"),
        ("s08", "✓ find_wrong_slopes: right on 12 visible inputs."),
        ("s08", "find_wrong_slopes is wrong on all hidden inputs."),
        ("s08", "Right on the inputs you can see, wrong on others"),
        ("s09", "could not be run. Open it in JupyterLab"),
        ("s09", "The file is damaged"),
    ],
)
def test_the_feedback_names_the_mistake(term, student, words):
    assert words in page(term, student)


def test_the_feedback_gives_no_hidden_input_solution_or_seed_away(term, tmp_path):
    seed = str(term.settings["seed"])
    for student in POINTS:  # what students wrote may well be a solution
        ours = re.sub(r"<pre>.*?</pre>", "", page(term, student), flags=re.DOTALL)
        assert seed not in ours and "hidden(" not in ours
        (tmp_path / student).write_text(ours, encoding="utf-8")
        # s05's function tells what it was given: that is shown for an input all can see, alone.
        assert len(re.findall(r"I was given [-\d]", ours)) == (student == "s05")
    assert leaks(HW, tmp_path) == []


def test_the_feedback_runs_nothing_that_a_student_wrote(term):
    for student in ("s07", "s12"):
        text = page(term, student)
        assert "<script" not in text and "<b>Bold" not in text
        assert "default-src 'none'" in text
    assert "&lt;script&gt;alert(2)" in page(term, "s12")


def test_the_figure_is_shown_and_waits_for_a_grader(term):
    text = page(term, "s01")
    assert 'src="data:image/png;base64,' in text
    assert "<strong>70 of 100 points</strong> so far" in text


def test_what_could_not_be_told_is_kept_and_named(term, capsys):
    kept = {path.name.partition("-")[2] for path in (term.root / "collected/left_aside").iterdir()}
    assert kept == {
        "export.zip_Nobody_We_Know_hw02_numerical.ipynb",
        "export.zip_s13_notes.docx",
    }
    log = (term.root / "collected" / "last.json").read_text(encoding="utf-8")
    assert "no student of the roster is named in its path" in log and "it is no notebook" in log
    attempts = sorted((term.root / "collected/attempts/s11/hw02").glob("*.ipynb"))
    assert len(attempts) == 2  # the older one is kept, the newer one counts


def test_every_command_may_be_run_again(term, capsys):
    def seen():
        return {
            path: path.read_bytes()
            for path in term.root.rglob("*")
            if path.is_file() and path.suffix in (".ipynb", ".html", ".csv", ".txt")
        }

    before = seen()
    assert run(term, "collect", str(term.root.parent / "export.zip")) == 0
    assert run(term, "grade", "hw02") == 0
    assert run(term, "feedback", "hw02") == 0
    assert run(term, "export", "hw02") == 0
    said = capsys.readouterr().out
    assert seen() == before
    assert "12 unchanged" in said and "12 as before" in said
    assert said.count("unchanged") == 12 + 1  # and the summary


def test_points_given_by_hand_and_a_comment_arrive(term):
    with closing(Gradebook(term.gradebook, COURSE)) as gradebook:
        place = (HW.notebook, "hw02", "s01")
        for cell, points in (("plot", 12), ("answer", 15)):
            grade = gradebook.find_grade(cell, *place)
            grade.manual_score, grade.needs_manual_grade = points, False
        gradebook.find_comment("answer", *place).manual_comment = "Say *why*, <i>too</i>."
        gradebook.db.commit()
    run(term, "feedback", "hw02")
    run(term, "export", "hw02")
    assert grades(term)["s01"]["hw02_points"] == "97"
    assert grades(term)["s01"]["hw02_status"] == "graded"
    text = page(term, "s01")
    assert "97 of 100 points" in text
    assert "Say <em>why</em>, &lt;i&gt;too&lt;/i&gt;." in text


def test_nbgrader_shows_the_sentence_alone(term):
    """The error of a test cell, which Validate shows, is the diagnosis without a traceback."""
    path = term.autograded("s04", "hw02") / NAME
    cells = {
        c.metadata.nbgrader.grade_id: c
        for c in nbformat.read(path, as_version=4).cells
        if "nbgrader" in c.metadata
    }
    (error,) = cells["hessian_vector-visible"].outputs
    assert error.ename == NotRight.__name__
    assert error.traceback == [error.evalue] and error.evalue.startswith("✗ hessian_vector: this")


# ------------------------------------------------------------------ damage

DAMAGE = {
    "empty": lambda path: path.write_bytes(b""),
    "garbage": lambda path: path.write_bytes(b"\xff\xfe\x00\x81 no text at all"),
    "another kind": lambda path: path.write_bytes(b'{"cells": 5, "digest": [], "late": {}}'),
    "list": lambda path: path.write_bytes(b"[[[]]]"),
    "deep": lambda path: path.write_bytes(b"[" * 100_000),
    "no cells": lambda path: path.write_bytes(b'{"cells": [{}], "nbformat": 4, "metadata": {}}'),
    "folder": lambda path: path.mkdir(),
    "link": lambda path: path.symlink_to("/nowhere/at/all"),
    "lost": lambda path: None,
}
DAMAGED = {  # what may be damaged, and which commands look at it
    "submitted/{}/hw02/hw02_numerical.ipynb": ["grade", "feedback", "export"],
    "submitted/{}/hw02/timestamp.txt": ["grade", "feedback", "export"],
    "submitted/{}/hw02/handed.json": ["grade", "feedback", "export"],
    "autograded/{}/hw02/hw02_numerical.ipynb": ["feedback", "export"],
    "autograded/{}/hw02/reason.txt": ["feedback", "export"],
    "autograded/{}/hw02/timestamp.txt": ["feedback", "export"],
    "feedback/{}/hw02/hw02_numerical.html": ["feedback", "export"],
    "grading/hw02/{}.json": ["grade", "feedback", "export"],
}


@pytest.mark.parametrize("where", list(DAMAGED))
def test_damaged_files_of_some_students_stop_nobody_else(term, where, tmp_path, capsys):
    course = Course(tmp_path / "gradebook")
    shutil.copytree(term.root, course.root, symlinks=True)
    before = grades(course)
    pages = {s: page_of(course, s).read_bytes() for s in POINTS if page_of(course, s).is_file()}
    damaged = dict(zip(sorted(POINTS), DAMAGE.items()))
    for student, (_, damage) in damaged.items():
        path = course.root / where.format(student)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        damage(path)
    spared = [student for student in POINTS if student not in damaged]
    for student in spared:
        page_of(course, student).unlink()
    for command in DAMAGED[where]:
        assert run(course, command, "hw02") in (0, 1), command
        assert "Traceback" not in capsys.readouterr().err
    rows = grades(course)
    assert rows.keys() == before.keys()
    for student in spared:
        assert rows[student] == before[student]
        assert page_of(course, student).read_bytes() == pages[student]
    for student in damaged:
        assert rows[student]["hw02_status"] and rows[student]["id"] == student


def page_of(course, student):
    return course.feedback(student, "hw02") / f"{HW.notebook}.html"
