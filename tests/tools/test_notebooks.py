"""Laws of the notebook tool: a rebuild changes nothing, a failure destroys nothing."""

import os
import re
import struct
import zlib

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tools import notebooks
from tools.notebooks import (
    NotebookError,
    build,
    canonical,
    execute,
    find,
    rerun,
    to_text,
    with_seed,
)

LESSON = """\
import sys, warnings
import ipywidgets
import matplotlib; matplotlib.use("agg")
import matplotlib.pyplot as plt
SEED = 0"""
EXPLORER = """\
import base64, io
fig, axes = plt.subplots(); axes.plot([0, SEED + 1])
png = io.BytesIO(); fig.savefig(png, metadata={"Software": None})
slider = ipywidgets.IntSlider()
view = {"version_major": 2, "version_minor": 0, "model_id": slider.model_id}
picture = base64.b64encode(png.getvalue()).decode()
display({"image/png": picture, "text/plain": "a slider",
         "application/vnd.jupyter.widget-view+json": view}, raw=True)"""


slow = pytest.mark.slow  # starts a kernel


def notebook(*sources, tagged=()):
    cells = [new_markdown_cell("# Why?", id="why")]
    cells += [new_code_cell(s, id=f"code-{i}") for i, s in enumerate(sources)]
    for index, *names in tagged:
        cells[index].metadata.tags = names
    return new_notebook(cells=cells)


def write(path, content):
    nbformat.write(content, path)
    return path


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A notebook with print, a picture, a widget and an error, built once."""
    path = tmp_path_factory.mktemp("lessons") / "01_gradients.ipynb"
    cells = [LESSON, "print('a')\nprint('b')", EXPLORER, "import json\njson.loads('{')", "2 + SEED"]
    write(path, notebook(*cells, tagged=[(1, "parameters"), (4, "raises-exception")]))
    assert build(path) == "cell 2 changed"
    return path


def test_a_rebuild_without_a_change_is_equal_to_the_last_byte(built):
    before = built.read_bytes()
    assert build(built) == ""
    assert built.read_bytes() == before
    assert before.endswith(b"\n") and not before.endswith(b"\n\n")


def test_what_jupyterlab_adds_on_saving_is_undone_by_a_rebuild(built, tmp_path):
    saved = nbformat.read(built, as_version=4)
    saved.metadata.language_info = {"name": "python", "version": "3.99.1", "mimetype": "text/x"}
    saved.metadata["toc-autonumbering"] = False
    for number, cell in enumerate(saved.cells):
        cell.metadata.update(
            scrolled=True,
            jupyter={"outputs_hidden": False},
            execution={"iopub.execute_input": "2026-01-01T00:00:00Z"},
        )
        if cell.cell_type == "code":
            cell.execution_count = 40 + number
    path = write(tmp_path / built.name, saved)
    assert build(path)
    assert path.read_bytes() == built.read_bytes()


def test_the_stored_form_has_picture_and_text_but_no_widget(built):
    stored = nbformat.read(built, as_version=4)
    text = built.read_text("utf-8")
    assert "widget" not in text.replace("ipywidgets", "").replace("jupyter.widget-view", "", 1)
    (shown,) = stored.cells[3].outputs
    assert set(shown.data) == {"image/png", "text/plain"}
    assert [c.execution_count for c in stored.cells[1:]] == [1, 2, 3, 4, 5]
    assert stored.cells[5].outputs[0].execution_count == 5
    assert [c.id for c in stored.cells] == ["why", *(f"code-{i}" for i in range(5))]
    assert stored.cells[1].metadata == {"tags": ["parameters"]}
    assert set(stored.metadata) == {"kernelspec", "language_info"}
    assert stored.metadata.language_info == {"name": "python", "file_extension": ".py"}


def test_a_stored_traceback_names_no_file_of_this_machine(built):
    (error,) = nbformat.read(built, as_version=4).cells[4].outputs
    text = re.sub(r"\x1b\[[\d;]*m", "", "\n".join(error.traceback))
    assert "Cell In[4]" in text and "JSONDecodeError" in text
    assert "File " not in text and "decoder.py" not in text


def test_a_page_with_state_keeps_views_and_widgets(built):
    executed = notebooks.execute(nbformat.read(built, as_version=4), cwd=built.parent)
    page = canonical(executed, with_state=True)
    view = page.cells[3].outputs[0].data[notebooks.VIEW]
    widgets = page.metadata.widgets["application/vnd.jupyter.widget-state+json"]["state"]
    assert view["model_id"] in widgets


def test_the_canonical_form_of_the_canonical_form_is_itself(built):
    stored = nbformat.read(built, as_version=4)
    assert to_text(canonical(stored)) == to_text(stored) == built.read_text("utf-8")


def test_canonical_changes_a_copy():
    original = notebook("1")
    original.metadata.widgets = {}
    before = to_text(original)
    canonical(original)
    assert to_text(original) == before


def test_pieces_of_a_stream_are_joined_and_streams_kept_apart():
    original = notebook("1")
    original.cells[1].outputs = [
        new_output("stream", name="stdout", text="a"),
        new_output("stream", name="stdout", text="b\n"),
        new_output("stream", name="stderr", text="c"),
        new_output("stream", name="stdout", text="d"),
    ]
    pieces = [(o.name, o.text) for o in canonical(original).cells[1].outputs]
    assert pieces == [("stdout", "ab\n"), ("stderr", "c"), ("stdout", "d")]


def test_a_view_with_nothing_beside_it_stays_for_the_tests_to_find():
    original = notebook("1")
    original.cells[1].outputs = [new_output("display_data", data={notebooks.VIEW: {}})]
    assert notebooks.VIEW in canonical(original).cells[1].outputs[0].data


def test_a_cell_that_was_not_run_is_not_counted():
    original = notebook("1", "", "2")
    original.cells[1].execution_count = 7
    original.cells[3].execution_count = 9
    assert [c.get("execution_count") for c in canonical(original).cells[1:]] == [1, None, 2]


def test_letters_beyond_ascii_are_written_as_they_are():
    assert "경사 하강 ∇L" in to_text(canonical(notebook("'경사 하강 ∇L'")))


def test_tags_and_a_hidden_source_are_kept():
    original = notebook("1", tagged=[(1, "check")])
    original.cells[1].metadata.jupyter = {"source_hidden": True, "outputs_hidden": False}
    kept = canonical(original).cells[1].metadata
    assert kept == {"tags": ["check"], "jupyter": {"source_hidden": True}}


@slow
@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("import os; os._exit(1)", "the kernel died"),
    ],
)
def test_a_failing_cell_is_named_and_the_file_is_left_alone(tmp_path, source, said):
    path = write(tmp_path / "01_gradients.ipynb", notebook("x = 1", f"{source}\nx"))
    before = path.read_bytes()
    with pytest.raises(NotebookError) as caught:
        build(path)
    assert str(caught.value).endswith(f"01_gradients.ipynb, cell 3 (`{source}`): {said}")
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == [path.name]


@slow
def test_a_cell_that_takes_too_long_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(notebooks, "CELL_TIMEOUT", 1)
    path = write(tmp_path / "01.ipynb", notebook("import time\ntime.sleep(60)"))
    with pytest.raises(NotebookError, match=r"cell 2 \(`import time`\): took longer than 1 sec"):
        build(path)


@slow
def test_an_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = write(tmp_path / "01.ipynb", notebook("1"))
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(notebooks.os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        build(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == [path.name]


@slow
def test_check_says_what_would_change_and_writes_nothing(tmp_path, capsys):
    path = write(tmp_path / "01_gradients.ipynb", notebook("1"))
    before = path.read_bytes()
    assert notebooks.main(["--check", str(path)]) == 1
    assert "would be rewritten: cell 2 changed" in capsys.readouterr().out
    assert path.read_bytes() == before
    assert notebooks.main([str(path)]) == 0
    assert notebooks.main(["--check", str(path)]) == 0
    assert "as it was" in capsys.readouterr().out


@slow
def test_a_failing_notebook_does_not_keep_the_others_from_being_built(tmp_path, capsys):
    bad = write(tmp_path / "01_bad.ipynb", notebook("1 / 0"))
    good = write(tmp_path / "02_good.ipynb", notebook("1"))
    assert notebooks.main([str(bad), str(good)]) == 1
    said = capsys.readouterr()
    assert "01_bad.ipynb, cell 2" in said.err and "02_good.ipynb: written" in said.out


@slow
def test_kernels_use_one_thread_and_a_fixed_hash(tmp_path):
    asks = notebook("import os\n[os.environ[k] for k in ('OMP_NUM_THREADS', 'PYTHONHASHSEED')]")
    (cell,) = notebooks.execute(asks, cwd=tmp_path).cells[1:]
    assert cell.outputs[0].data["text/plain"] == "['1', '0']"


@pytest.mark.parametrize(
    "name", ["01", "01_gradients", "01_gradients.ipynb", "notebooks/01_gradients.ipynb"]
)
def test_a_notebook_is_found_by_number_name_or_path(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    for each in ("00_start_here", "01_gradients", "10_more"):
        write(tmp_path / f"{each}.ipynb", notebook())
    assert find([name], tmp_path) == [tmp_path / "01_gradients.ipynb"]


def test_no_name_means_every_lesson_but_not_the_homework(tmp_path):
    (tmp_path / "homework").mkdir()
    for each in ("01_b", "00_a", "homework/hw01"):
        write(tmp_path / f"{each}.ipynb", notebook())
    assert [p.name for p in find([], tmp_path)] == ["00_a.ipynb", "01_b.ipynb"]


def test_an_unknown_name_is_answered_with_those_there_are(tmp_path, capsys):
    write(tmp_path / "00_start_here.ipynb", notebook())
    with pytest.raises(NotebookError, match="'7'; there are: 00_start_here"):
        find(["7"], tmp_path)
    assert notebooks.main(["no_such_lesson"]) == 2
    assert "no notebook is called 'no_such_lesson'" in capsys.readouterr().err


# --- other seeds -------------------------------------------------------------------------------


@slow
@pytest.mark.skipif(os.name != "posix", reason="elsewhere kernels have ports alone")
def test_the_kernel_opens_no_port_that_another_program_could_take_first():
    asks = "from ipykernel.connect import get_connection_info\nprint(get_connection_info())"
    (output,) = execute(notebook(asks)).cells[1].outputs
    assert '"transport": "ipc"' in output.text


@slow
def test_each_seed_is_run_in_an_empty_namespace_and_each_failure_is_reported(tmp_path):
    lesson = notebook(
        "SEED = 0",
        "assert 'left' not in globals()\nleft = SEED",
        "assert SEED not in (3, 5), f'{left} is bad'",
        tagged=[(1, "parameters")],
    )
    errors = rerun(lesson, range(1, 7), "01", tmp_path)
    assert errors == [
        f"01 with SEED = {n}, cell 4 (`assert SEED not in (3, 5), f'{{left}} is bad'`): "
        f"AssertionError: {n} is bad"
        for n in (3, 5)
    ]


def test_the_seed_is_changed_in_a_copy_and_nowhere_else():
    lesson = notebook(
        "import numpy\nSEED = 0\nx = 'SEED = 0'", "SEED = 0", tagged=[(1, "parameters")]
    )
    other = with_seed(lesson, 4)
    assert other.cells[1].source == "import numpy\nSEED = 4\nx = 'SEED = 0'"
    assert other.cells[2].source == lesson.cells[2].source == "SEED = 0"
    assert "SEED = 0\nx" in lesson.cells[1].source


@pytest.mark.parametrize(
    ("sources", "tagged", "message"),
    [
        (["SEED = 0"], [], "one code cell tagged `parameters`, found 0"),
        (["seed = 0"], [(1, "parameters")], "needs one line of its own: SEED = 0"),
    ],
)
def test_a_lesson_without_a_seed_is_refused(sources, tagged, message):
    with pytest.raises(NotebookError, match=message):
        with_seed(notebook(*sources, tagged=tagged), 1)


def test_a_png_without_software_has_no_text_chunks(built):
    """The setting that `plots` uses: nothing in the file depends on a version or a date."""
    import base64

    picture = nbformat.read(built, as_version=4).cells[3].outputs[0].data["image/png"]
    assert not text_chunks(base64.b64decode(picture))
    chunk = b"tEXtSoftware\0x"
    extra = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    assert text_chunks(base64.b64decode(picture)[:33] + extra)


def text_chunks(png):
    found, at = [], 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        kind = png[at + 4 : at + 8]
        found += [kind] if kind in (b"tEXt", b"zTXt", b"iTXt", b"tIME") else []
        at += 12 + length
    return found


def test_the_html_that_repeats_a_picture_is_stored_nowhere_but_in_a_page():
    picture = {"image/png": "iVBORw0KGgo=", "text/html": '<img class="descent-picture" alt="x">'}
    table = {"image/png": "iVBORw0KGgo=", "text/html": "<table></table>"}
    original = new_notebook(
        cells=[
            new_code_cell(
                "x", outputs=[new_output("display_data", data=data) for data in (picture, table)]
            )
        ]
    )
    stored, other = canonical(original).cells[0].outputs
    assert set(stored.data) == {"image/png"} and set(other.data) == set(table)
    assert canonical(original, with_state=True).cells[0].outputs[0].data == picture
