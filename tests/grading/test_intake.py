"""What is taken from a submission: text of answers and of the student's own cells."""

import copy
import json
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from nbconvert.filters.markdown_mistune import markdown2html_mistune

from grading.run import intake
from grading.run.intake import Unreadable, rebuild
from tests.grading.toy import DOUBLE_CODE, answered, extra, grade_id, right, source

MASTER = json.loads(json.dumps(source()))


def handed_in(notebook):
    return json.dumps(notebook).encode()


def texts(notebook):
    return [cell["source"] for cell in notebook["cells"]]


def test_an_untouched_notebook_comes_back_as_it_went():
    rebuilt, notes = rebuild(MASTER, handed_in(MASTER))
    assert rebuilt["cells"] == MASTER["cells"] and notes == []


def test_answers_stand_where_they_belong_and_everything_else_is_ours():
    rebuilt, notes = rebuild(MASTER, handed_in(right(MASTER)))
    assert notes == []
    for ours, theirs in zip(MASTER["cells"], rebuilt["cells"]):
        is_answer = ours["metadata"].get("nbgrader", {}).get("solution")
        assert theirs["metadata"] == ours["metadata"]
        assert (theirs["source"] == ours["source"]) == (not is_answer)


def test_cells_of_ones_own_stay_where_they_were():
    made = right(MASTER, first=["a = 1"], last=["z = 1"])
    made["cells"].insert(5, extra("m = 1"))
    rebuilt, _ = rebuild(MASTER, handed_in(made))
    assert texts(rebuilt)[0] == "a = 1" and texts(rebuilt)[-1] == "z = 1"
    assert texts(rebuilt)[5] == "m = 1"


def test_nothing_but_text_comes_from_a_student():
    made = right(MASTER, last=["own = 1"])
    for cell in made["cells"]:
        cell.update(
            outputs=[{"output_type": "stream", "name": "stdout", "text": "FORGED"}],
            execution_count=7,
            attachments={"FORGED": {}},
            extra="FORGED",
        )
        cell["metadata"]["tags"] = ["FORGED"]
    made["metadata"]["kernelspec"] = {"name": "FORGED", "display_name": "FORGED"}
    rebuilt, _ = rebuild(MASTER, handed_in(made))
    assert "FORGED" not in json.dumps(rebuilt)


def test_the_master_is_not_changed():
    before = copy.deepcopy(MASTER)
    rebuild(MASTER, handed_in(right(MASTER)))
    assert before == MASTER


def test_markdown_of_a_student_holds_no_tags():
    rebuilt, _ = rebuild(MASTER, handed_in(right(MASTER, written="a<b <script>x</script> <3")))
    cell = next(c for c in rebuilt["cells"] if grade_id(c) == "written")
    assert cell["source"] == "a&lt;b &lt;script>x&lt;/script> <3"


LINKS = [
    "[a](javascript:alert(1))",
    "[a](JaVaScRiPt:alert(1))",
    "[a]( javascript:alert(1))",
    "[a](\n javascript:alert(1))",
    "[a](&#106;avascript:alert(1))",
    "[a](javascript&colon;alert(1))",
    "[a](javascript\\:alert(1))",
    "[a](<javascript:alert(1)>)",
    "[a](vbscript:x 'title')",
    "![a](data:text/html,<script>alert(1)</script>)",
    "[a][b]\n\n[b]: javascript:alert(1)",
    "[a][b]\n\n[b]:\n  javascript:alert(1)",
    "[[a](javascript:alert(1))](https://example.org)",
    "<javascript:alert(1)>",
]


@pytest.mark.parametrize("text", LINKS)
def test_a_link_with_a_protocol_that_is_not_known_leads_nowhere(text):
    rebuilt, _ = rebuild(MASTER, handed_in(right(MASTER, written=text)))
    cell = next(c for c in rebuilt["cells"] if grade_id(c) == "written")
    shown = markdown2html_mistune(cell["source"])  # as the form grader's page is made
    targets = re.findall(r'(?:href|src)="([^"]*)"', shown)
    assert [t for t in targets if not t.startswith("https://")] == [], shown


@pytest.mark.parametrize(
    "text",
    [
        "[a](https://example.org/x?y=z:1)",
        "[a](lesson.ipynb#part)",
        "[a](mailto:a@b.c)",
        "a[i]: float, x[0](y): z",
        "[1]: see the note",
    ],
)
def test_other_links_and_text_stay_as_they_are(text):
    rebuilt, _ = rebuild(MASTER, handed_in(right(MASTER, written=text)))
    assert text in [c["source"] for c in rebuilt["cells"]]


def test_an_empty_answer_is_empty_and_a_missing_one_is_not_done():
    made = answered(MASTER, double="")
    made["cells"] = [c for c in made["cells"] if grade_id(c) != "mean"]
    rebuilt, notes = rebuild(MASTER, handed_in(made))
    by_id = {grade_id(c): c for c in rebuilt["cells"]}
    assert by_id["double"]["source"] == "" and "mean is missing" in notes[0]
    assert by_id["mean"]["source"] == next(
        c["source"] for c in MASTER["cells"] if grade_id(c) == "mean"
    )


def test_an_answer_without_its_mark_is_found_by_what_it_defines():
    made = answered(MASTER)
    made["cells"] = [c for c in made["cells"] if grade_id(c) != "double"] + [extra(DOUBLE_CODE)]
    rebuilt, notes = rebuild(MASTER, handed_in(made))
    assert texts(rebuilt).count(DOUBLE_CODE) == 1 and "found by its name" in notes[0]


def named(cells, name):
    return next(i for i, cell in enumerate(cells) if grade_id(cell) == name)


def copy_of(cell, text):
    """A copy as JupyterLab makes one: with its marks."""
    return {**copy.deepcopy(cell), "source": text, "id": f"copy-{abs(hash(text))}"}


def without_marks(cells):
    """As other editors leave them: no metadata, other ids (and what is hidden was never there)."""
    shown = [cell for cell in cells if "### BEGIN HIDDEN" not in source_of(cell)]
    return [{**cell, "metadata": {}, "id": f"other-{i}"} for i, cell in enumerate(shown)]


def source_of(cell):
    return "".join(cell["source"])


def answer(notebook, name):
    return notebook["cells"][named(notebook["cells"], name)]["source"]


def before(notebook, *parts):
    """Whether cells with these texts or names stand in this order."""
    places = [
        next(i for i, c in enumerate(notebook["cells"]) if part in (c["source"], grade_id(c)))
        for part in parts
    ]
    return places == sorted(places)


@pytest.mark.parametrize(
    "name, text", [("setup", "import math"), ("double-visible", "import math")]
)
def test_what_was_added_to_a_locked_cell_runs_behind_the_given_one(name, text):
    made = right(MASTER)
    cell = made["cells"][named(made["cells"], name)]
    given, changed = cell["source"], cell["source"] + f"\n{text}"
    cell["source"] = changed
    rebuilt, notes = rebuild(MASTER, handed_in(made))
    assert answer(rebuilt, name) == given and changed in texts(rebuilt)
    assert [note for note in notes if name in note and "changed" in note]
    assert before(rebuilt, "setup", changed, "mean")


def test_a_copy_of_the_set_up_that_was_edited_runs_in_its_place():
    made = right(MASTER)
    at = named(made["cells"], "mean")
    made["cells"].insert(at, copy_of(made["cells"][named(made["cells"], "setup")], "import math"))
    rebuilt, _ = rebuild(MASTER, handed_in(made))
    assert before(rebuilt, "double", "import math", "mean") and before(rebuilt, "setup", "double")


def test_an_older_copy_below_does_not_take_the_place_of_the_answer():
    made = right(MASTER)
    old = "def double(x):\n    return x"
    made["cells"].append(copy_of(made["cells"][named(made["cells"], "double")], old))
    rebuilt, notes = rebuild(MASTER, handed_in(made))
    assert answer(rebuilt, "double") == DOUBLE_CODE and "more than once" in notes[0]
    assert before(rebuilt, "double", "double-hidden", old)  # and it runs where the student has it


def test_of_several_copies_before_the_test_the_last_one_counts():
    made = right(MASTER, double="def double(x):\n    return x")
    at = named(made["cells"], "double")
    made["cells"].insert(at + 1, copy_of(made["cells"][at], DOUBLE_CODE))
    rebuilt, _ = rebuild(MASTER, handed_in(made))
    assert answer(rebuilt, "double") == DOUBLE_CODE


def test_an_answer_below_its_test_takes_the_test_along():
    made = right(MASTER)
    made["cells"].append(extra("helper = 1"))
    made["cells"].append(made["cells"].pop(named(made["cells"], "double")))
    rebuilt, _ = rebuild(MASTER, handed_in(made))
    assert before(rebuilt, "helper = 1", "double", "double-visible")


def test_answers_in_another_order_run_in_that_order():
    made = right(MASTER)
    cells = made["cells"]
    cells.insert(named(cells, "double"), cells.pop(named(cells, "mean")))
    cells.insert(named(cells, "double"), extra("between = 1"))
    rebuilt, notes = rebuild(MASTER, handed_in(made))
    assert before(rebuilt, "setup", "mean", "between = 1", "double") and notes == []


def test_a_set_up_that_was_moved_below_is_there_when_it_is_needed():
    made = right(MASTER)
    made["cells"].append(made["cells"].pop(named(made["cells"], "setup")))
    rebuilt, _ = rebuild(MASTER, handed_in(made))
    assert before(rebuilt, "setup", "double")


@pytest.mark.parametrize(
    "code",
    [
        "double = lambda x: 2 * x",
        "%%time\ndef double(x):\n    return 2 * x",
        "%timeit 1\nfrom math import pi\ndef double(x):\n    return 2 * x",
        "if True:\n    def double(x):\n        return 2 * x",
        "class double:\n    def __new__(cls, x):\n        return 2 * x",
        "double, other = (lambda x: 2 * x), 1",
    ],
)
@pytest.mark.parametrize("stub", ["deleted", "above", "below"])
def test_an_answer_in_whatever_form_is_found_and_no_stub_undoes_it(code, stub):
    made = right(MASTER, double=MASTER["cells"][named(MASTER["cells"], "double")]["source"])
    at = named(made["cells"], "double")
    made["cells"].insert(at + (stub == "above"), extra(code))
    if stub == "deleted":
        del made["cells"][named(made["cells"], "double")]
    rebuilt, notes = rebuild(MASTER, handed_in(made))
    assert answer(rebuilt, "double") == code and "found by its name" in notes[0]
    assert texts(rebuilt).count(code) == 1 and before(rebuilt, "double", "double-visible")


def test_work_without_any_mark_is_found_by_name_and_place():
    made = right(MASTER, written="Because.")
    made["cells"] = without_marks(made["cells"])
    rebuilt, notes = rebuild(MASTER, handed_in(made))
    for name, text in [
        ("double", DOUBLE_CODE),
        ("answer-is", "answer = 42"),
        ("written", "Because."),
    ]:
        assert answer(rebuilt, name) == text, notes
    assert [grade_id(c) for c in rebuilt["cells"]] == [grade_id(c) for c in MASTER["cells"]]


@pytest.mark.parametrize("kind", ["markdown", "code"])
def test_words_beside_an_untouched_cell_are_the_answer(kind):
    made = right(MASTER, written="Say why.")
    own = [{**extra("One."), "cell_type": kind}, {**extra("Two."), "cell_type": kind}]
    made["cells"] += own
    rebuilt, notes = rebuild(MASTER, handed_in(made))
    assert answer(rebuilt, "written") == "One.\n\nTwo." and "place" in " ".join(notes)


def test_an_answer_that_nobody_finds_waits_for_a_person_and_undoes_nothing():
    made = right(MASTER, last=["made = dict(double=lambda x: 2 * x)\nglobals().update(made)"])
    made["cells"] = [c for c in made["cells"] if grade_id(c) not in ("double", "written")]
    made["cells"].insert(0, {**extra("So it is."), "cell_type": "markdown"})
    rebuilt, notes = rebuild(MASTER, handed_in(made))
    stubs = {grade_id(c): c["source"] for c in MASTER["cells"]}
    for name in ("double", "written"):
        assert answer(rebuilt, name) != stubs[name] and "NotImplemented" not in answer(
            rebuilt, name
        )
        assert [n for n in notes if name in n and "person" in n or "found by" in n], notes


def changes():
    """Ways in which cells of a notebook get moved, copied, edited, lost."""
    place = st.integers(0, 30)
    kinds = st.sampled_from(["move", "copy", "edit", "delete", "strip", "own", "empty", "type"])
    return st.lists(st.tuples(kinds, place, place), max_size=8)


@example([("move", 3, 0), ("delete", 14, 0)])  # no set-up, and an answer at the top
@given(changes())
def test_however_cells_were_moved_all_code_runs_in_the_students_order(steps):
    cells = right(MASTER)["cells"]
    for number, (kind, at, to) in enumerate(steps):
        at, to = at % len(cells), to % len(cells)
        if kind == "move":
            cells.insert(to, cells.pop(at))
        elif kind == "copy":
            cells.insert(to, copy_of(cells[at], f"copied = {number}"))
        elif kind == "edit":
            cells[at] = {**cells[at], "source": f"edited = {number}"}
        elif kind == "delete" and len(cells) > 1:
            del cells[at]
        elif kind == "strip":
            cells[at] = {**cells[at], "metadata": {}, "id": f"x{number}"}
        elif kind == "own":
            cells.insert(at, extra(f"own = {number}"))
        elif kind == "empty":
            cells[at] = {**cells[at], "source": ""}
        elif kind == "type":
            cells[at] = {**cells[at], "cell_type": "markdown"}
    rebuilt, _ = rebuild(MASTER, handed_in({"cells": cells}))
    names = [grade_id(cell) for cell in rebuilt["cells"] if grade_id(cell)]
    assert sorted(names) == sorted(filter(None, map(grade_id, MASTER["cells"])))
    for cell in MASTER["cells"]:  # what is locked is as it was given
        if cell["metadata"].get("nbgrader", {}).get("locked"):
            assert answer(rebuilt, grade_id(cell)) == cell["source"]
    for needed, test in [("setup", "double"), ("setup", "mean"), ("double", "double-hidden")]:
        found = any(grade_id(c) == needed for c in cells) or needed == "setup"
        assert not found or names.index(needed) < names.index(test)
    own = [f"{word} = {n}" for n in range(8) for word in ("own", "copied", "edited")]
    theirs = [c["source"] for c in cells if c["source"] in own and c["cell_type"] == "code"]
    here = [
        c["source"] for c in rebuilt["cells"] if c["source"] in own and c["cell_type"] == "code"
    ]
    assert [text for text in here if text in theirs] == [t for t in theirs if t in here]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"5",
        b"null",
        b"[]",
        b'{"cells": 5}',
        b'{"cells": {}}',
        b"\xff\xfe",
        b"\x00",
        b"[" * 10**5,
        b'{"worksheets": [5]}',
        b'{"a": ' + b"1" * 5000 + b"}",
        b"PK\x03\x04",
    ],
)
def test_what_is_no_notebook_is_unreadable_with_a_sentence(content):
    with pytest.raises(Unreadable) as caught:
        rebuild(MASTER, content)
    assert str(caught.value)[0].isupper() and str(caught.value).endswith(".")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "cell_type",
                    "source",
                    "metadata",
                    "nbgrader",
                    "grade_id",
                    "id",
                    "cells",
                    "input",
                    "code",
                    "worksheets",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(st.lists(json_values, max_size=6))
def test_cells_of_any_shape_end_in_a_notebook_or_a_reason(cells):
    try:
        rebuilt, _ = rebuild(MASTER, json.dumps({"cells": cells}).encode())
    except Unreadable:
        return
    kept = {grade_id(cell) for cell in rebuilt["cells"]}
    assert {grade_id(cell) for cell in MASTER["cells"]} <= kept


@given(st.binary(max_size=200))
def test_any_bytes_end_in_a_notebook_or_a_reason(content):
    try:
        rebuild(MASTER, content)
    except Unreadable:
        pass


def test_a_large_file_is_read_apart_with_limited_memory(monkeypatch):
    directly = rebuild(MASTER, handed_in(right(MASTER)))
    monkeypatch.setattr(intake, "PLAIN", 1000)
    assert rebuild(MASTER, handed_in(right(MASTER))) == directly
    # Each pair of bytes becomes an object: far more memory than the file has bytes.
    monkeypatch.setattr(intake, "HELPER_MEMORY", 256 * intake.MB)
    bomb = b'{"cells": [' + b"[]," * 4_000_000 + b"[]]}"
    with pytest.raises(Unreadable, match="memory"):
        rebuild(MASTER, bomb)


def test_links_folders_pipes_and_giants_are_not_opened(tmp_path, monkeypatch):
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name, word in [("link", "link"), ("dangling", "link"), ("missing", "No notebook")]:
        with pytest.raises(Unreadable, match=word):
            intake.take(tmp_path / name)
    with pytest.raises(Unreadable, match="no file"):
        intake.take(tmp_path)
    monkeypatch.setattr(intake, "LARGEST", 5)
    with pytest.raises(Unreadable, match="larger"):
        intake.take(tmp_path / "secret")
