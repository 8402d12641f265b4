"""What is taken from a submission: text of answers and of the student's own cells."""

import copy
import json
import re

import pytest
from hypothesis import given
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
