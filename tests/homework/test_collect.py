"""Whose and when, by the names that platforms write; and one odd file never stops the others."""

import io
import json
import os
import shutil
import tracemalloc
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath

import nbformat
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grading.course import RELEASED, TIMESTAMP, Course, GradingError, assignments
from grading.term import collect as room
from grading.term.collect import collect
from grading.term.export import export
from grading.term.roster import owner

(HW,) = assignments(["hw01"])
NAME = HW.file
ROSTER = {
    "s01": {"id": "s01", "name": "Ada Perfect", "email": "ada@uni.example", "canvas": "10107"},
    "s02": {"id": "s02", "name": "Ben Empty", "email": "ben@uni.example", "canvas": "10108"},
    "1": {"id": "1", "name": "Grace Hopper", "email": "grace@uni.example", "canvas": "4"},
    "10107": {"id": "10107", "name": "Someone Else", "email": "x@uni.example", "canvas": "5"},
    "moh": {"id": "moh", "name": "Mohammed Al-Farsi"},
    "lvb": {"id": "lvb", "name": "Ludwig van Beethoven"},
    "jgm": {"id": "jgm", "name": "Juan García Márquez"},
    "kim": {"id": "kim", "name": "김 민수"},
    "lee1": {"id": "lee1", "name": "Kim Lee", "canvas": "501"},
    "lee2": {"id": "lee2", "name": "Kim Lee", "canvas": "502"},
}


def homework(text=""):
    """The released notebook, with a text of its own so that it differs from others."""
    notebook = nbformat.read(RELEASED / NAME, as_version=4)
    notebook.cells[0].source += text
    return nbformat.writes(notebook)


def packed(path, members, **each):
    """A zip file of ``{name: content}``; `each` are attributes of its entries."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members.items():
            info = zipfile.ZipInfo(name, each.get("date_time", (2027, 3, 1, 9, 0, 0)))
            made.writestr(info, content)
    return path


@pytest.fixture(scope="module")
def new(tmp_path_factory):
    """A course folder as it is made, with its database, which takes seconds."""
    made = Course(tmp_path_factory.mktemp("new") / "course")
    made.prepare()
    return made.root


@pytest.fixture
def course(tmp_path, new):
    return Course(Path(shutil.copytree(new, tmp_path / "course")))


def taken(course, *places):
    return collect(course, list(places), ROSTER, [HW])


def handed_in(course, student):
    path = course.submitted(student, "hw01") / NAME
    return path.read_text(encoding="utf-8") if path.is_file() else None


# ------------------------------------------------------------------------------------ whose it is


@pytest.mark.parametrize(
    ("path", "student"),
    [
        # Canvas: sortable name, all but letters and digits left out, then numbers of its own.
        ("perfectada_10107_880013_hw01.ipynb", "s01"),
        ("hoppergrace_4_880013_hw01_gradients-1.ipynb", "1"),
        ("hoppergrace_LATE_99_880013_hw01 (1).ipynb", "1"),
        ("alfarsimohammed_7_8_x.ipynb", "moh"),
        ("vanbeethovenludwig_7_8_x.ipynb", "lvb"),
        ("beethovenludwigvan_7_8_x.ipynb", "lvb"),
        ("garcíamárquezjuan_7_8_x.ipynb", "jgm"),
        ("garciamarquezjuan_7_8_x.ipynb", "jgm"),
        ("김민수_7_8_x.ipynb", "kim"),
        ("민수김_7_8_x.ipynb", "kim"),
        ("leekim_502_8_x.ipynb", "lee2"),
        ("leekim_503_8_x.ipynb", None),
        # Moodle: a folder, or a prefix; a group before the name.
        ("Juan García Márquez_81_assignsubmission_file_/x.ipynb", "jgm"),
        ("Ben Empty_82_assignsubmission_file_hw01.ipynb", "s02"),
        ("Group B-Ben Empty_82_assignsubmission_file_/x.ipynb", "s02"),
        ("Kim Lee_83_assignsubmission_file_/x.ipynb", None),
        # Blackboard, nbgrader's exchange, and folders made by hand.
        ("hw01_s02_attempt_2027-03-01-12-00-00_x.ipynb", "s02"),
        ("Homework_1_s02_attempt_2027-03-01-12-00-00_x.ipynb", "s02"),
        ("s02+hw01+2027-03-01 12:00:00.123456 UTC+abc/x.ipynb", "s02"),
        ("1/hw01.ipynb", "1"),
        ("collected by hand/ada@uni.example/x.ipynb", "s01"),
        # A number of the platform's, or in a file's name, is nobody's id.
        ("nobodyknown_10107_8_x.ipynb", "s01"),
        ("hw01 (1).ipynb", None),
        ("Nobody Known_10107_assignsubmission_file_/x.ipynb", "s01"),
    ],
)
def test_the_platforms_part_says_whose_it_is(path, student):
    assert owner(path.split("/"), ROSTER)[0] == student


@pytest.mark.parametrize(
    ("path", "one", "other"),
    [
        ("Ben Empty_82_assignsubmission_file_/s01.ipynb", "s02", "s01"),
        ("Ben Empty_82_assignsubmission_file_/Ada Perfect.ipynb", "s02", "s01"),
        ("emptyben_10108_8_ada perfect hw01.ipynb", "s02", "s01"),
        ("hw01_s02_attempt_2027-03-01-12-00-00_s01_hw01.ipynb", "s02", "s01"),
        ("s02+hw01+2027-03-01 12:00:00 UTC/s01/x.ipynb", "s02", "s01"),
        ("s02/s01_hw01.ipynb", "s02", "s01"),
        ("s02/perfectada_10107_8_x.ipynb", "s02", "s01"),
        ("s02.zip/hw01_s01_attempt_2027-01-01-12-00-00_x.ipynb", "s02", "s01"),
        ("emptyben_10107_8_x.ipynb", "s02", "s01"),  # Canvas's name and number disagree
        # A file called as another platform would call it.
        ("emptyben_10108_8_hw01_s01_attempt_2027-01-01-12-00-00_x.ipynb", "s02", "s01"),
        ("Ben Empty_82_assignsubmission_file_z_s01_attempt_2027-01-01-12-00-00_x", "s02", "s01"),
        ("hw01_s02_attempt_2027-03-01-12-00-00_Ada Perfect_5_assignsubmission_file_", "s02", "s01"),
    ],
)
def test_what_a_student_chose_gives_nothing_to_anybody_and_both_are_named(path, one, other):
    student, reason, _ = owner(path.split("/"), ROSTER)
    assert student is None and one in reason and other in reason


def test_a_number_in_a_name_like_another_platforms_leads_to_nobody_else():
    path = "emptyben_10108_8_5_assignsubmission_file_x.ipynb"  # 5 is a number of another's
    assert owner([path], ROSTER)[0] == "s02"


def test_a_name_that_is_right_may_be_there_twice():
    path = "Ben Empty_82_assignsubmission_file_/Ben Empty s02 hw01.ipynb"
    assert owner(path.split("/"), ROSTER)[0] == "s02"


def test_work_with_another_students_id_for_a_name_replaces_nothing(course, tmp_path):
    ada, ben = homework("ada"), homework("ben")
    place = packed(
        tmp_path / "moodle.zip",
        {
            "Ada Perfect_81_assignsubmission_file_/hw01.ipynb": ada,
            "Ben Empty_82_assignsubmission_file_/s01.ipynb": ben,
        },
    )
    log = taken(course, place)
    assert handed_in(course, "s01") == ada and handed_in(course, "s02") is None
    (aside,) = [one for one in log if one.status == "left aside"]
    assert "s02" in aside.reason and "s01" in aside.reason
    (kept,) = (course.root / "collected" / "left_aside").iterdir()
    assert "Ben_Empty" in kept.name and kept.read_text() == ben


def test_a_korean_windows_zip_names_its_students(course, tmp_path):
    path = tmp_path / "export.zip"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("XXXXXX/hw01.ipynb", homework())
    raw = "김민수".encode("cp949")
    assert len(raw) == 6
    path.write_bytes(path.read_bytes().replace(b"XXXXXX", raw))
    (one,) = taken(course, path)
    assert one.student == "kim" and one.status == "collected"


@pytest.mark.skipif(os.name != "posix", reason="elsewhere names are always text")
def test_a_folder_that_such_a_zip_left_is_read_too(course, tmp_path):
    place = os.fsencode(tmp_path / "in")
    os.makedirs(os.path.join(place, "김민수".encode("cp949")))
    with open(os.path.join(place, "김민수".encode("cp949"), b"hw01.ipynb"), "w") as file:
        file.write(homework())
    (one,) = taken(course, tmp_path / "in")
    assert one.student == "kim" and one.status == "collected"


# ------------------------------------------------------------------------------------------- when


def days(course, student):
    (row,) = [r for r in export(course, [HW], ROSTER) if r["id"] == student]
    return row["hw01_days_late"]


@pytest.fixture
def due(course):
    settings = course.root / "grading.toml"
    text = settings.read_text().replace("[due]", "[due]\nhw01 = 2027-03-01T12:00:00+00:00")
    settings.write_text(text)
    return Course(course.root)


@pytest.mark.parametrize(
    ("path", "student", "late"),
    [
        ("perfectada_10107_8_x.ipynb", "s01", "0"),
        ("perfectada_LATE_10107_8_x.ipynb", "s01", "late"),
        ("Ada Perfect_81_assignsubmission_file_/x.ipynb", "s01", "unknown"),
        ("s01/x.ipynb", "s01", "unknown"),
        ("s01+hw01+2027-03-03 11:00:00 UTC/x.ipynb", "s01", "2"),
        # A date that the student wrote: in a name, a folder, a zip file of theirs.
        ("s01+hw01+2027-03-03 11:00:00 UTC/attempt_2027-01-01-00-00-00_x.ipynb", "s01", "2"),
        ("perfectada_LATE_10107_8_s01_attempt_2027-01-01-00-00-00_x.ipynb", "s01", "late"),
        ("s01/hw01_s01_attempt_2027-01-01-00-00-00_x.ipynb", "s01", "unknown"),
    ],
)
def test_only_the_platform_says_when(due, tmp_path, path, student, late):
    place = packed(tmp_path / "export.zip", {path: homework()})
    (one,) = taken(due, place)
    assert one.status == "collected", one
    assert days(due, student) == late


def test_a_date_in_a_students_own_zip_counts_for_nothing(due, tmp_path):
    early, future = (2020, 1, 1, 0, 0, 0), (2107, 1, 1, 0, 0, 0)
    inner = packed(tmp_path / "own.zip", {"hw01.ipynb": homework("inner")}, date_time=early)
    name = "hw01_s01_attempt_2027-03-05-12-00-00_own.zip"
    taken(due, packed(tmp_path / "one.zip", {name: inner.read_bytes()}))
    assert int(days(due, "s01")) >= 3
    inner = packed(tmp_path / "own.zip", {"hw01.ipynb": homework("old")}, date_time=future)
    name = "hw01_s01_attempt_2027-03-02-12-00-00_own.zip"
    (one,) = taken(due, packed(tmp_path / "two.zip", {name: inner.read_bytes()}))
    assert one.status == "older" and handed_in(due, "s01") == homework("inner")


def test_the_last_of_canvas_uploads_counts_and_the_others_are_kept(course, tmp_path):
    names = {
        f"perfectada_10107_8_hw01{end}.ipynb": homework(end) for end in ("", "-1", "-2", "-10")
    }
    taken(course, packed(tmp_path / "export.zip", names))
    assert handed_in(course, "s01") == homework("-10")
    kept = (course.root / "collected/attempts/s01/hw01").glob("*.ipynb")
    assert len(list(kept)) == 4


def test_the_last_upload_counts_from_a_platform_whose_clock_is_ahead(course, tmp_path, monkeypatch):
    class Clock(datetime):
        seconds = 0

        @classmethod
        def now(cls, tz=None):
            cls.seconds += 1  # a second passes between any two files
            return datetime(2027, 2, 1, tzinfo=tz) + timedelta(seconds=cls.seconds)

    monkeypatch.setattr("grading.term.collect.datetime", Clock)
    names = {f"perfectada_10107_8_hw01{end}.ipynb": homework(end) for end in ("-2", "-10", "")}
    taken(course, packed(tmp_path / "export.zip", names, date_time=(2027, 3, 1, 9, 0, 0)))
    assert handed_in(course, "s01") == homework("-10")


def test_work_that_went_back_to_an_earlier_form_counts_in_that_form(course, tmp_path):
    for number, text in enumerate(["first", "second", "first"]):
        names = {f"perfectada_10107_8_hw01-{number}.ipynb": homework(text)}
        taken(course, packed(tmp_path / f"{number}.zip", names))
    assert handed_in(course, "s01") == homework("first")


def test_collecting_again_changes_nothing(course, tmp_path):
    place = packed(tmp_path / "export.zip", {"s01/hw01.ipynb": homework()})
    taken(course, place)
    before = {path: path.stat().st_mtime_ns for path in course.root.rglob("*.*")}
    (one,) = taken(course, place)
    after = {path: path.stat().st_mtime_ns for path in course.root.rglob("*.*")}
    last = course.root / "collected" / "last.json"
    assert one.status == "as before"
    assert {p: t for p, t in after.items() if p != last} == {
        p: t for p, t in before.items() if p != last
    }


@pytest.mark.parametrize("stamp", ["soon", "", "\0", "9" * 400, "2027-13-45 99:99:99 UTC", "é"])
def test_one_damaged_date_stops_no_table(due, tmp_path, stamp):
    names = {f"{student}/hw01.ipynb": homework() for student in ("s01", "s02")}
    taken(due, packed(tmp_path / "export.zip", names))
    (due.submitted("s01", "hw01") / TIMESTAMP).write_text(stamp, encoding="latin-1")
    assert days(due, "s01") == "unknown" and days(due, "s02") == "unknown"


# -------------------------------------------------------------- one odd file never stops the others


def swapped(content, at, byte):
    return content[:at] + bytes([byte]) + content[at + 1 :]


def nested(depth):
    content, name = homework("deep").encode(), "hw01.ipynb"
    for _ in range(depth):
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w") as one:
            one.writestr(name, content)
        content, name = made.getvalue(), "inner.zip"
    return content


def damaged_member():
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as one:
        one.writestr("hw01.ipynb", homework("damaged"))
    content = made.getvalue()
    return swapped(content, 200, content[200] ^ 0xFF)


def year(date):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as one:
        one.writestr(zipfile.ZipInfo("hw01.ipynb"), homework("dated"))
    content = bytearray(made.getvalue())
    for at in (12, content.rindex(b"PK\x01\x02") + 14):
        content[at - 2 : at + 2] = date
    return bytes(content)


ODD = {
    "damaged member": ("s02.zip", damaged_member()),
    "no zip": ("s02.zip", b"PK\x03\x04 nothing"),
    "cut off": ("s02.zip", nested(1)[:-30]),
    "too deep": ("s02.zip", nested(6)),
    "no such day": ("s02.zip", year(b"\xff\xff\xff\xff")),
    "day nought": ("s02.zip", year(b"\0\0\0\0")),
    "year 0999": ("hw01_s02_attempt_0999-03-01-12-00-00_x.ipynb", homework("old").encode()),
    "no date": ("hw01_s02_attempt_2027-99-99-99-99-99_x.ipynb", homework("none").encode()),
    "62 emoji": ("s02/" + "🎓" * 62 + ".ipynb", homework("emoji").encode()),
    "markup": ("s02/[bold]x[/nobold] [link=a].ipynb", homework("markup").encode()),
    "control": ("s02/a\x1b[31m\x07\n.ipynb", homework("control").encode()),
    "numbers": (
        "s02/x.ipynb",
        b'{"cells": [{"metadata": 3}, 7], "nbformat": ' + b"1" * 5000 + b"}",
    ),
    "deep": ("s02/x.ipynb", b"[" * 100_000),
    "empty": ("s02/x.ipynb", b""),
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("in_a_zip", [True, False])
def test_an_odd_file_is_told_of_and_everybody_else_is_served(
    course, tmp_path, name, in_a_zip, capsys
):
    path, content = ODD[name]
    files = {"s01/hw01.ipynb": homework("ada").encode(), path: content}
    files["zz/lvb.ipynb"] = homework("ludwig").encode()
    if in_a_zip:
        place = packed(tmp_path / "export.zip", files)
    else:
        place = tmp_path / "in"
        for inner, text in files.items():
            try:
                (place / inner).parent.mkdir(parents=True, exist_ok=True)
                (place / inner).write_bytes(text)
            except OSError as error:
                pytest.skip(f"no such file here: {error}")
    log = taken(course, place)
    assert handed_in(course, "s01") == homework("ada")
    assert handed_in(course, "lvb") == homework("ludwig")
    told = [one for one in log if "s02" in one.path]
    assert told and all(one.reason or one.status == "collected" for one in told)
    kept = json.loads((course.root / "collected" / "last.json").read_text(encoding="utf-8"))
    assert len(kept) == len(log)


names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40).filter(
    lambda text: "/" not in text and "\0" not in text and text.strip(". ") != ""
)
parts = st.one_of(
    names,
    st.sampled_from(
        ["s02", "Ben Empty_82_assignsubmission_file_", "emptyben_10108_8_x.ipynb", "..", "~", "C:"]
    ),
    st.from_regex(r"\A[a-z]{1,5}_attempt_\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d_x\.ipynb\Z"),
)
contents = st.one_of(
    st.binary(max_size=50),
    st.sampled_from([b"", b"{}", b'{"cells": []}', b"null", homework("x").encode(), nested(2)]),
)
files = st.dictionaries(st.lists(parts, min_size=1, max_size=3).map("/".join), contents, max_size=5)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(odd=files)
def test_whatever_lies_beside_it_honest_work_is_taken(tmp_path_factory, odd):
    root = tmp_path_factory.mktemp("any")
    course = Course(root / "course")
    members = {**odd, "s01/honest.ipynb": homework("honest")}
    collect(course, [packed(root / "export.zip", members)], ROSTER, [HW])
    kept = (course.root / "collected" / "attempts" / "s01" / "hw01").glob("*.ipynb")
    assert homework("honest") in [path.read_text(encoding="utf-8") for path in kept]
    outside = [path for path in root.iterdir() if path.name not in ("course", "export.zip")]
    assert outside == []


def bomb(size):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as one:
        for number in range(40):
            one.writestr(f"{number}.bin", bytes(size))
    return made.getvalue()


def test_a_zip_that_swells_takes_neither_disk_nor_memory(course, tmp_path, monkeypatch):
    monkeypatch.setattr(room, "OWN_TOTAL", 8 * room.MB)
    place = packed(
        tmp_path / "export.zip", {"s02.zip": bomb(4 * room.MB), "s01/x.ipynb": homework()}
    )
    tracemalloc.start()
    log = taken(course, place)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert handed_in(course, "s01")
    assert any("in one zip file" in one.reason or "larger" in one.reason for one in log)
    disk = sum(path.stat().st_size for path in course.root.rglob("*") if path.is_file())
    assert disk < 20 * room.MB and peak < 60 * room.MB


def test_a_place_that_is_not_there_stops_before_anything_is_taken(course, tmp_path):
    place = packed(tmp_path / "export.zip", {"s01/x.ipynb": homework()})
    with pytest.raises(GradingError, match="nowhere is not there"):
        taken(course, place, tmp_path / "nowhere")
    assert handed_in(course, "s01") is None


def test_wherever_a_zip_file_is_damaged_its_reading_ends():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for name in ("a.ipynb", "b.ipynb"):
            file.writestr(
                name, json.dumps({"cells": [{"source": f"{name} {n}"} for n in range(9)]})
            )
    whole, now = packed.getvalue(), datetime.now(UTC)
    for position in range(len(whole)):
        for change in (0x01, 0xFF):
            broken = bytearray(whole)
            broken[position] ^= change
            found = room._unpacked(PurePosixPath("x.zip"), now, io.BytesIO(broken), len(broken))
            assert all(one.content is not None or one.trouble for one in found)
