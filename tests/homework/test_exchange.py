"""Homework out, in and back through nbgrader's exchange, with its own commands at each end."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbgrader.utils import notebook_hash

from grading import cli
from grading.course import COURSE, Course, GradingError, assignments
from grading.sandbox.walls import why_no_sandbox
from grading.term import collect as room
from grading.term import exchange

MUST = os.environ.get("CI") and sys.platform == "linux"
WHY_NOT = None if MUST else why_no_sandbox()
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "")]

(HW,) = assignments(["hw02"])
BENS = f"ben+{HW.id}+2026-11-28 07:26:30.059503 UTC+Mcesso2kiHt6"
ROSTER = "id,name\nada,Ada One\nben,Ben Two\ncho,Cho Three\n"


class Hub:
    """A machine with an exchange: the instructor's course folder, students' homes."""

    def __init__(self, root, configuration):
        self.root, self.inbound = root, root / "exchange" / COURSE / "inbound"
        (root / "exchange").mkdir()
        (root / "exchange").chmod(0o777)
        (configuration / "nbgrader_config.py").write_text(
            f"c = get_config()\nc.Exchange.root = {str(root / 'exchange')!r}\n"
        )
        self.course = Course(root / "gradebook")
        self.course.prepare()
        settings = self.course.root / "grading.toml"
        due = f"[due]\n{HW.id} = 2999-01-01T00:00:00+00:00"
        settings.write_text(settings.read_text().replace("[due]", due))
        self.course.roster_file.write_text(ROSTER)

    def nbgrader(self, person, *arguments, folder=None):
        home = folder or self.root / person
        home.mkdir(exist_ok=True)
        known = {"HOME": str(home), "JUPYTER_DATA_DIR": str(home / "d")}
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        done = subprocess.run(
            [sys.executable, "-m", "nbgrader", *arguments],
            cwd=home,
            env={**os.environ, **known, "PATH": path},
            capture_output=True,
            encoding="utf-8",
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return home

    def instructors(self, *arguments):
        self.nbgrader("instructor", *arguments, folder=self.course.root)

    def hand_in(self, person, solved):
        home = self.nbgrader(person, "fetch_assignment", HW.id, "--course", COURSE)
        path = home / HW.id / HW.file
        notebook = nbformat.read(path, as_version=4)
        source = {cell.id: cell.source for cell in nbformat.read(HW.source, as_version=4).cells}
        for cell in notebook.cells:
            cell.source = source[cell.id] if cell.id in solved else cell.source
        nbformat.write(notebook, path)
        # On a hub it is the account's name; all are of one account here.
        self.nbgrader(person, "submit", HW.id, "--course", COURSE, f"--student={person}")

    def run(self, *arguments):
        return cli.main(["--course", str(self.course.root), *arguments])


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """The homework handed out, handed in by two, graded and given back."""
    root = tmp_path_factory.mktemp("hub")
    with pytest.MonkeyPatch.context() as patch:
        (root / "etc").mkdir()
        patch.setenv("JUPYTER_CONFIG_PATH", str(root / "etc"))
        made = Hub(root, root / "etc")
        assert made.run("release", HW.id) == 0
        made.instructors("release_assignment", HW.id)
        made.hand_in("ada", HW.exercises)
        theirs = Path(shutil.copytree(of(made.inbound, "ada"), made.inbound / BENS))
        (theirs / exchange.SECRET).write_text("b" * 128)
        shutil.copy(made.course.release(HW.id) / HW.file, theirs)
        by_mail = root / "by mail" / "cho"
        by_mail.mkdir(parents=True)
        shutil.copy(made.course.release(HW.id) / HW.file, by_mail)
        assert made.run("collect", "--exchange", str(root / "by mail")) == 0
        assert made.run("grade", HW.id) == 0
        yield made


# nbgrader misspells an argument of its own, and leaves a file open.
@pytest.mark.filterwarnings("ignore:Passing unrecognized arguments")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_each_student_fetches_the_page_of_their_own(hub, capsys):
    assert hub.run("feedback", HW.id, "--exchange") == 0
    shown = capsys.readouterr().out
    assert "2 handed back" in shown and "not handed in through the exchange" in " ".join(
        shown.split()
    )
    home = hub.nbgrader("ada", "fetch_feedback", HW.id, "--course", COURSE, "--student=ada")
    (page,) = home.glob(f"{HW.id}/feedback/*/{HW.notebook}.html")
    assert "70 of 100 points" in page.read_text("utf-8")
    assert page.read_bytes() == (hub.course.feedback("ada", HW.id) / page.name).read_bytes()
    # What ben's own copy would look for.
    bens = hub.root / "exchange" / COURSE / "feedback"
    bens /= f"{notebook_hash(secret='b' * 128, notebook_id=HW.notebook)}.html"
    assert "0 of 100 points" in bens.read_text("utf-8")


def test_nbgraders_own_command_gives_all_pages_back(hub):
    assert hub.run("feedback", HW.id) == 0
    shutil.rmtree(hub.root / "exchange" / COURSE / "feedback", ignore_errors=True)
    hub.instructors("release_feedback", HW.id)
    assert len(list((hub.root / "exchange" / COURSE / "feedback").iterdir())) == 3


def test_what_nbgrader_and_we_put_beside_a_submission_is_not_left_aside(hub):
    assert room.left_aside(hub.course) == set()


def test_the_time_is_the_exchanges_and_known(hub, capsys):
    assert hub.run("export", HW.id) == 0
    rows = (hub.course.root / "grades.csv").read_text("utf-8-sig").splitlines()
    late = rows[0].split(",").index("hw02_days_late")
    assert [row.split(",")[late] for row in rows[1:]] == ["0", "0", "unknown"]


@pytest.fixture
def stranger(hub, tmp_path, monkeypatch):
    """A copy of the course, to be tried at, and an inbound folder to be filled."""
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", str(hub.root / "etc"))
    course = Course(Path(shutil.copytree(hub.course.root, tmp_path / "gradebook")))
    inbound = Path(shutil.copytree(hub.inbound, tmp_path / "inbound"))

    def take():
        from grading.term.roster import read_roster

        roster = read_roster(course.roster_file)
        return room.collect(course, [], roster, [HW], exchange=inbound)

    return course, inbound, take


def of(inbound, student):
    (folder,) = inbound.glob(f"{student}+*")
    return folder


def test_a_link_to_anothers_notebook_is_left_aside(stranger):
    _, inbound, take = stranger
    mine, theirs = of(inbound, "ben") / HW.file, of(inbound, "ada") / HW.file
    mine.unlink()
    mine.symlink_to(theirs)
    (one,) = [one for one in take() if one.status == "left aside"]
    assert one.student == "ben" and "a link" in one.reason


def test_a_link_to_anothers_whole_submission_is_left_aside(stranger):
    _, inbound, take = stranger
    name = of(inbound, "ben").name
    shutil.rmtree(inbound / name)
    (inbound / name.replace("+2", "+3", 1)).symlink_to(of(inbound, "ada"))
    log = take()
    (one,) = [one for one in log if one.status == "left aside"]
    assert "a link" in one.reason and len(log) == 2


def test_work_that_claims_to_be_anothers_is_left_aside_with_both_names(stranger, monkeypatch):
    course, inbound, take = stranger
    before = (course.submitted("ben", HW.id) / HW.file).read_bytes()
    forged = inbound / of(inbound, "ben").name.replace("+20", "+29", 1)
    shutil.copytree(of(inbound, "ada"), forged)
    accounts = {forged.name: "ada"}
    monkeypatch.setattr(room, "belongs_to", lambda folder: accounts.get(folder.name, "root"))
    (one,) = [one for one in take() if one.status == "left aside"]
    assert "ben's" in one.reason and "ada's" in one.reason
    assert (course.submitted("ben", HW.id) / HW.file).read_bytes() == before


@pytest.mark.parametrize("damage", ["long", "link", "folder", "bytes", "path"])
def test_a_secret_that_is_none_stops_nobody(stranger, damage):
    course, inbound, take = stranger
    # A new attempt, or nothing would be handed over anew.
    new = inbound / of(inbound, "ben").name.replace("+20", "+29", 1)
    shutil.copytree(of(inbound, "ben"), new)
    path = new / exchange.SECRET
    path.unlink()
    {
        "long": lambda: path.write_text("a" * 10**6),
        "link": lambda: path.symlink_to(of(inbound, "ada") / exchange.SECRET),
        "folder": path.mkdir,
        "bytes": lambda: path.write_bytes(b"\xff\x00"),
        "path": lambda: path.write_text("../../up"),
    }[damage]()
    assert {one.status for one in take()} <= {"collected", "as before", "older"}
    assert exchange.secret_in(course.submitted("ben", HW.id)) == ""
    assert exchange.secret_in(course.submitted("ada", HW.id))


def test_without_an_exchange_it_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", str(tmp_path))
    (tmp_path / "nbgrader_config.py").write_text(f"c.Exchange.root = {str(tmp_path / 'no')!r}\n")
    course = Course(tmp_path / "gradebook")
    with pytest.raises(GradingError, match=r"release_assignment.*c\.Exchange\.root"):
        exchange.inbound(course)
