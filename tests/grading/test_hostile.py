"""Submissions of strangers: each gets what its honest code deserves, and nobody else notices."""

import json
import os
import re
import socket
import tempfile
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from nbgrader.apps import NbGraderAPI
from traitlets.config import Config

from grading.run.batch import grade_all
from grading.run.submission import PREFIX, Grader
from grading.sandbox.walls import MB, Limits, why_no_sandbox
from grading.term.export import export
from tests.grading.attacks import attacks
from tests.grading.toy import (
    ALL,
    NAME,
    NOTEBOOK,
    SEED,
    graded,
    hand_in,
    make_course,
    released,
    right,
    source,
)

pytestmark = [
    pytest.mark.hostile,
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(why_no_sandbox()) and not os.environ.get("CI"), reason=str(why_no_sandbox())
    ),
]

LIMITS = Limits(
    cell_seconds=4,
    call_seconds=2,
    test_seconds=20,
    total_seconds=25,
    cpu_seconds=20,
    memory=1024 * MB,
    processes=64,
    files=32 * MB,
    flood=3 * MB,
)


class Bystanders:
    """What is outside the sandbox, and must be the same afterwards."""

    def __init__(self, root):
        self.home = root / "home"
        self.home.mkdir()
        (self.home / "thesis.txt").write_text("the only copy")
        self.server = socket.create_server(("127.0.0.1", 0))
        self.abstract = socket.socket(socket.AF_UNIX)
        self.name = f"descent-test-{os.getpid()}"
        self.abstract.bind("\0" + self.name)
        self.abstract.listen()
        self.visits = []
        for server in (self.server, self.abstract):
            threading.Thread(target=self._welcome, args=(server,), daemon=True).start()

    def _welcome(self, server):
        while True:
            try:
                self.visits.append(server.accept())
            except OSError:
                return

    def in_words(self, text, course):
        words = {
            "COURSE": course,
            "HOME": self.home,
            "PORT": self.server.getsockname()[1],
            "ABSTRACT": self.name,
            "PARENT": os.getpid(),
        }
        for word, value in words.items():
            text = re.sub(rf"\b{word}\b|(?<=\\0){word}", str(value), text)
        return text


def files_of(folder):
    """What a folder holds: names, sizes and times of change."""
    return {
        str(path): (path.lstat().st_size, path.lstat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    }


class Batch:
    """One batch with all of them, honest students among them; all tests look at it."""

    HONEST = 6  # attacks from one honest student to the next; four workers mix them anyway

    def __init__(self, root):
        self.course, self.assignment, self.kit = make_course(root / "course", limits=LIMITS)
        self.others = Bystanders(root)
        blank = released(self.course)
        self.attacks = attacks(blank)
        for number, (name, (submission, _)) in enumerate(self.attacks.items()):
            if number % self.HONEST == 0:
                hand_in(self.course, f"{number:03}-a-honest", right(blank))
            if isinstance(submission, dict):
                text = self.others.in_words(json.dumps(submission), self.course.root)
                submission = text.encode()
            hand_in(self.course, f"{number:03}-b-{name}", submission)
        hand_in(self.course, "999-honest", right(blank))
        course = self.course.root
        kept = [root / "home", course / "submitted", course / "source", course / "release"]
        before = [files_of(folder) for folder in kept]
        system = files_of(Path(os.__file__).parent)
        os.environ["INSTRUCTORS_SECRET"] = "INSTRUCTORS_SECRET"
        self.order = []
        self.rows = grade_all(
            self.course,
            self.assignment,
            self.kit,
            workers=4,
            progress=lambda row: self.order.append(row.student),
        )
        del os.environ["INSTRUCTORS_SECRET"]
        self.changed = [files_of(folder) for folder in kept] != before
        self.changed_system = files_of(Path(os.__file__).parent) != system
        self.by_student = {row.student: row for row in self.rows}

    def row(self, name):
        return next(row for s, row in self.by_student.items() if s.endswith(f"-b-{name}"))

    def text(self, name):
        return graded(self.course, self.row(name).student).read_text()


@pytest.fixture(scope="module")
def batch(tmp_path_factory):
    return Batch(tmp_path_factory.mktemp("hostile"))


NAMES = list(attacks({"cells": source().cells}))


@pytest.mark.parametrize("name", NAMES)
def test_its_score_is_what_its_honest_code_deserves(batch, name):
    row = batch.row(name)
    assert row.status in ("graded", "not done"), row
    assert row.score == batch.attacks[name][1], row


def test_honest_neighbours_are_untouched(batch):
    honest = [row for row in batch.rows if row.student.endswith("honest")]
    assert len(honest) > len(batch.attacks) / batch.HONEST
    assert [row for row in honest if (row.score, row.reason) != (ALL, "")] == []


def test_everybody_has_a_row(batch):
    assert [row.student for row in batch.rows] == batch.course.submissions(NAME)
    assert sorted(batch.order) == batch.course.submissions(NAME)


def test_nothing_outside_the_sandbox_changed(batch):
    assert not batch.changed and not batch.changed_system
    assert not (batch.course.root / "written").exists()
    assert (batch.others.home / "thesis.txt").read_text() == "the only copy"


def test_nobody_got_out(batch):
    assert batch.others.visits == []
    said = {name: printed(batch, name) for name in batch.attacks}
    for word in ("CONNECTED", "WROTE", "LEAK"):
        assert [name for name, text in said.items() if word in text] == [], word
    assert "tried" in said["own_namespace"]


def test_no_process_remains(batch):
    children = psutil.Process().children(recursive=True)
    commands = [" ".join(child.cmdline()) for child in children]
    assert [c for c in commands if "bwrap" in c or "grading" in c or "98765" in c] == []
    assert not any("98765" in str(p.info["cmdline"]) for p in psutil.process_iter(["cmdline"]))


def test_no_temporary_folder_remains(batch):
    pattern = f"{PREFIX}{os.getpid()}-*"
    assert list(Path(tempfile.gettempdir()).glob(pattern)) == []


def test_what_could_not_be_read_says_why(batch):
    for name in ("empty_file", "not_json", "cut_off", "zip_bomb", "link_to_gradebook", "no_file"):
        row = batch.row(name)
        assert row.status == "not done" and row.reason.endswith("."), row
        reason = graded(batch.course, row.student).with_name("reason.txt").read_text()
        assert reason.strip() == row.reason


def test_what_was_mended_or_stopped_is_said(batch):
    said = {
        "utf16": "UTF-16",
        "format_3": "old format",
        "answers_twice": "more than once",
        "marks_lost": "found by its name",
        "answer_as_markdown": "turned back",
        "endless_loop": "longer than 4 seconds",
        "exit_in_cell": "ended its kernel",
        "print_flood": "flood of output",
    }
    assert {
        name: batch.row(name).reason for name in said if said[name] not in batch.row(name).reason
    } == {}


def test_memory_of_all_processes_together_has_a_limit(batch):
    # With time to spare: in the batch, whichever limit a busy machine meets first is named.
    hog = batch.attacks["memory_in_children"][0]
    patient = replace(LIMITS, cell_seconds=120, total_seconds=240, memory=512 * MB)
    with Grader(replace(batch.kit, limits=patient)) as grader:
        graded = grader.grade(json.dumps(hog).encode())
    assert any("used more than 512 MB of memory" in note for note in graded.notes), graded.notes


def test_hidden_inputs_do_not_come_to_light(batch):
    # The student's function printed, kept and wrote down what the tests called it with. What a
    # failing test itself says of its inputs is the instructor's own affair.
    number = str(np.random.default_rng(SEED).normal(size=5)[0])[:8]
    for name in ("leaks_arguments", "tells_later"):
        assert number not in batch.text(name), name


def test_a_class_of_the_students_own_is_not_taken_for_the_graders(batch):
    student = batch.row("errors_of_graders").student
    (row,) = [r for r in export(batch.course, [batch.assignment], {}) if r["id"] == student]
    assert row[f"{NAME}_status"] != "unreadable"


def test_what_is_not_said_as_an_error_is_made_one(batch):
    for name in batch.attacks:
        for cell in json.loads(batch.text(name))["cells"]:
            if cell["metadata"].get("nbgrader", {}).get("grade") and cell["cell_type"] == "code":
                kinds = {output["output_type"] for output in cell["outputs"]}
                assert len(json.dumps(cell["outputs"])) < 300_000, name
                assert kinds <= {"error", "stream"}, name


def printed(batch, name):
    """All that a student's notebook printed."""
    outputs = [o for c in json.loads(batch.text(name))["cells"] for o in c.get("outputs", [])]
    return "".join("".join(o["text"]) for o in outputs if o["output_type"] == "stream")


def test_feedback_shows_what_a_student_printed_as_text(batch):
    config = Config()
    config.CourseDirectory.root = str(batch.course.root)
    student = batch.row("script_in_outputs").student
    done = NbGraderAPI(config=config).generate_feedback(NAME, student)
    assert done["success"], done
    page = batch.course.root / "feedback" / student / NAME / f"{NOTEBOOK}.html"
    html = page.read_text()
    for number in range(1, 8):
        assert not re.search(rf"<[^>]*alert\({number}\)|<script>alert\({number}\)", html), number
    assert "&lt;script&gt;alert(7)" in html
