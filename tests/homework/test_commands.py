"""The commands' edges: rosters, names of files, dates, archives, and what the guides say."""

import os
import re
import subprocess
import zipfile
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from traitlets.config import Config

import run
from grading import cli
from grading.course import ROOT, Course, GradingError, assignments
from grading.term.collect import collect
from grading.term.export import days_late, to_csv
from grading.term.release import archive, solution_lines
from grading.term.roster import owner, read_roster

ROSTER = {
    "ada1": {"id": "ada1", "name": "Ada Lovelace", "email": "ada@uni.example"},
    "bob": {"id": "bob", "name": "Bob Ross-Hill", "email": "bob@uni.example"},
    "kim2": {"id": "kim2", "name": "김 민수", "email": "kim@uni.example"},
    "jose": {"id": "jose", "name": "José Núñez", "email": "jn@uni.example"},
}


# ------------------------------------------------------------------------------------ who is it?


@pytest.mark.parametrize(
    ("path", "student"),
    [
        ("Ada Lovelace_123_assignsubmission_file_/x.ipynb", "ada1"),  # Moodle
        ("lovelaceada_4711_815_hw02.ipynb", "ada1"),  # Canvas
        ("hw02_ada1_attempt_2027-03-01-12-00-00_x.ipynb", "ada1"),  # Blackboard
        ("repositories/hw02-bob/hw02.ipynb", "bob"),  # GitHub Classroom
        ("bob@uni.example/x.ipynb", "bob"),
        ("BOB ROSS HILL/x.ipynb", "bob"),
        ("김민수/x.ipynb", "kim2"),
        ("Jose\u0301 Nu\u0301n\u0303ez_1_file/x.ipynb", "jose"),  # macOS takes accents apart
        ("someone/x.ipynb", None),
        ("bobby/x.ipynb", None),  # a part of a word is no name
        ("ada1 and bob/x.ipynb", None),
    ],
)
def test_a_path_tells_whose_a_file_is_or_nothing(path, student):
    found, reason, _ = owner(path.split("/"), ROSTER)
    assert found == student
    assert bool(reason) == (student is None)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "is missing: a table"),
        (b"id;name\nx;\xff\n", "not UTF-8"),
        (b"number,name\n1,A\n", "expected the headings id and name, got number, name"),
        (b"id,name\na,A\na,B\n", "line 3: the id a is there twice"),
        (b"id,name\n../up,A\n", "'../up' cannot be an id"),
    ],
)
def test_a_roster_that_cannot_be_used_says_why(tmp_path, content, words):
    path = tmp_path / "roster.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(GradingError, match=re.escape(words)):
        read_roster(path)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_roster_may_come_from_any_spreadsheet(tmp_path, separator):
    path = tmp_path / "roster.csv"
    text = "\ufeffID,Name\r\nb,Bo\r\n\r\na,Al\r\n".replace(",", separator)
    path.write_bytes(text.encode())
    assert list(read_roster(path)) == ["b", "a"]


# ------------------------------------------------------------------------------- what is collected


@pytest.fixture
def course(tmp_path):
    return Course(tmp_path / "course")


def test_what_cannot_be_read_is_listed_and_kept(course, tmp_path):
    place = tmp_path / "in"
    place.mkdir()
    (place / "ada1.zip").write_bytes(b"PK no zip file")
    (place / "bob.ipynb").symlink_to("/etc/hostname")
    nested = zipfile.ZipFile(place / "kim2.zip", "w")
    with nested:
        nested.writestr("__MACOSX/hw01.ipynb", "not looked at")
        nested.writestr("../../hw01_up.ipynb", "{}")
    log = collect(course, [place], ROSTER, assignments())
    assert [(one.student, one.status) for one in log] == [
        ("ada1", "left aside"),
        ("bob", "left aside"),
        ("kim2", "collected"),
    ]
    assert "cannot be read" in log[0].reason and "a link" in log[1].reason
    (kept,) = (course.root / "collected" / "left_aside").iterdir()
    assert kept.read_bytes() == b"PK no zip file"
    assert not list(tmp_path.glob("hw01_up*"))


def test_a_file_that_swells_is_refused(course, tmp_path, monkeypatch):
    monkeypatch.setattr("grading.term.collect.LARGEST", 10_000)
    with zipfile.ZipFile(tmp_path / "bob.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("hw01.ipynb", "0" * 1_000_000)
    (one,) = collect(course, [tmp_path / "bob.zip"], ROSTER, assignments())
    assert one.status == "left aside" and "larger than" in one.reason


def test_a_place_that_is_not_there_is_named(course, tmp_path):
    with pytest.raises(GradingError, match="nowhere is not there"):
        collect(course, [tmp_path / "nowhere"], ROSTER, assignments())


# -------------------------------------------------------------------------------- dates and tables


@pytest.mark.parametrize(
    ("handed_in", "extra", "late"),
    [
        ("2027-03-08T12:00", 0, 0),
        ("2027-03-08T12:01", 0, 1),
        ("2027-03-10T11:59", 0, 2),
        ("2027-03-10T11:59", 1, 1),
        ("2027-03-10T11:59", 5, 0),
        ("2026-01-01T00:00", 0, 0),
    ],
)
def test_days_late_are_days_begun_after_the_date_and_what_was_granted(handed_in, extra, late):
    due = datetime(2027, 3, 8, 12, tzinfo=UTC)
    assert days_late(datetime.fromisoformat(handed_in).replace(tzinfo=UTC), due, extra) == late


def test_without_a_date_nobody_is_late():
    assert days_late(datetime.now(UTC), None) == 0


def test_a_table_runs_no_formula():
    assert to_csv([{"id": "a", "name": "=1+1"}]) == "id,name\na,'=1+1\n"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("seed = 'x'", "expected a line `seed = `"),
        ("seed = 1\n[due]\nhw01 = 2027-03-08", "expected a line like hw01 = 2027"),
        ("seed = ", "grading.toml"),
    ],
)
def test_a_configuration_that_cannot_be_used_says_why(course, line, words):
    course.root.mkdir()
    (course.root / "grading.toml").write_text(line)
    with pytest.raises(GradingError, match=re.escape(words)):
        course.settings  # noqa: B018


def test_each_course_has_a_seed_of_its_own_that_only_the_owner_reads(tmp_path):
    courses = [Course(tmp_path / name) for name in "ab"]
    for one in courses:
        one.prepare()
    assert courses[0].settings["seed"] != courses[1].settings["seed"]
    mode = (courses[0].root / "grading.toml").stat().st_mode
    assert os.name == "nt" or mode & 0o077 == 0


# ---------------------------------------------------------------------------------- what is packed


def test_the_student_edition_holds_no_solution_and_is_the_same_each_time(tmp_path):
    names = archive(tmp_path / "a.zip")
    archive(tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    folders = {name.partition("/")[0] for name in names if "/" in name}
    assert folders == {"benchmarks", "binder", "course_utils", "docs", "notebooks", "tools"}
    assert {"run.py", "notebooks/homework/hw02_numerical.json"} <= set(names)
    secret = set.union(*map(solution_lines, assignments()))
    with zipfile.ZipFile(tmp_path / "a.zip") as packed:
        texts = [
            packed.read(f"descent/{name}").decode("utf-8", "ignore")
            for name in names
            if name.startswith(("notebooks/homework/", "docs/"))
            and name.endswith((".ipynb", ".json", ".md"))
        ]
    assert texts and not [line for line in secret if any(line in text for text in texts)]


def test_what_git_does_not_know_is_not_packed(tmp_path):
    root = tmp_path / "course"
    (root / "homework").mkdir(parents=True)
    for name in ("README.md", "homework/solution.py"):
        (root / name).write_text("x")
    (root / ".gitattributes").write_bytes((ROOT / ".gitattributes").read_bytes())
    with pytest.raises(GradingError, match="in a clone of the repository"):
        archive(tmp_path / "students.zip", root)
    someone = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "."], [*someone, "commit", "-q", "-m", "x"]):
        subprocess.run(["git", *command], cwd=root, check=True)
    (root / "roster.csv").write_text("private")
    assert archive(tmp_path / "students.zip", root) == [".gitattributes", "README.md"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["course", "students.zip"]


# ------------------------------------------------------------------------------ what the guide says


def test_every_command_in_the_guides_is_one():
    known = {name for action in cli.parser()._subparsers._group_actions for name in action.choices}
    pages = [ROOT / "docs/instructors.md", ROOT / "homework/README.md", ROOT / "README.md"]
    said = {
        word
        for page in pages
        for word in re.findall(r"run\.py homework ([a-z-]+)", page.read_text("utf-8"))
    }
    assert {"release", "archive", "collect", "grade", "feedback", "export"} <= said <= known


def test_run_py_hands_over_to_the_commands():
    handed = []
    do = SimpleNamespace(
        set_up=lambda extras: handed.append(extras) or "python", hand_over=handed.append
    )
    assert run.main(["homework", "grade", "hw01", "--workers", "2"], do) == 0
    assert handed == [
        ["grading"],
        ["python", "-m", "grading", "grade", "hw01", "--workers", "2"],
    ]


def test_an_error_is_one_sentence_and_no_traceback(tmp_path, capsys):
    assert cli.main(["--course", str(tmp_path), "release", "hw99"]) == 1
    assert capsys.readouterr().err.startswith("run.py homework: no homework is called 'hw99'")


def test_git_ignores_the_course_folder():
    done = subprocess.run(
        ["git", "check-ignore", "gradebook/grading.toml"], cwd=ROOT, capture_output=True
    )
    assert done.returncode == 0


def test_help_behind_a_homework_command_is_that_commands():
    handed = []
    do = SimpleNamespace(set_up=lambda extras: "python", hand_over=handed.append)
    for word in ("--help", "-h"):
        assert run.main(["homework", "grade", word], do) == 0
    assert handed == [["python", "-m", "grading", "grade", word] for word in ("--help", "-h")]


@pytest.mark.skipif(os.name != "posix", reason="elsewhere folders have no such modes")
def test_nobody_else_on_the_machine_can_look_into_a_course_folder(tmp_path):
    new, old = Course(tmp_path / "new"), Course(tmp_path / "old")
    old.root.mkdir(mode=0o755)
    for course in (new, old):
        course.prepare()
    assert new.root.stat().st_mode & 0o077 == 0
    assert old.root.stat().st_mode & 0o007 == 0


def test_the_form_grader_uses_the_database_that_grading_uses(tmp_path):
    course = Course(tmp_path / "course")
    course.prepare()
    settings = course.root / "grading.toml"
    settings.write_text(settings.read_text() + "\n")
    text = settings.read_text().replace("[due]", 'gradebook = "sqlite:///elsewhere.db"\n[due]', 1)
    settings.write_text(text)
    config = Config()
    code = (course.root / "nbgrader_config.py").read_text()
    path = str(course.root / "nbgrader_config.py")
    exec(code, {"get_config": lambda: config, "__file__": path})
    assert config.CourseDirectory.db_url == "sqlite:///elsewhere.db"


def test_the_table_of_a_whole_term_fits_a_terminal():
    stands = ["94 graded", "70 by hand", "0 unreadable", " missing", " not graded"]
    row = {}
    for number, (points, _, status) in enumerate(text.partition(" ") for text in stands):
        row |= {f"hw0{number}_points": points, f"hw0{number}_status": status}
    said = [cli.in_short(row, f"hw0{number}") for number in range(5)]
    assert said == ["94", "70*", "0!", "–", "?"]
