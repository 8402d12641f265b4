"""What the site does to copies of the lessons: pictures, explorers, links, key terms."""

import base64
import copy
import json

import nbformat
import pytest
from fontTools.ttLib import TTFont
from nbformat import NotebookNode

from tools.notebooks import LESSONS, VIEW
from tools.site.build import classic_script
from tools.site.cache import executed
from tools.site.glossary import Term, glossary, key_terms
from tools.site.lessons import prepare
from tools.site.links import relink
from tools.site.settings import BINDER, DOCS, PROJECT, REPOSITORY, STATE, SiteError

PNG = base64.b64encode(b"\x89PNG a picture").decode()
PATH = LESSONS / "01_gradients.ipynb"
TERMS = """## What did we see?

**Key terms**

| English | 한국어 | what it means |
|---|---|---|
| slope | 기울기 | change ÷ nudge, `f'` |
| logit, sigmoid | 로짓, 시그모이드 | a score; its probability |

**Exercises**

1. Do it.
"""


def code(*outputs, **metadata):
    return nbformat.v4.new_code_cell("predict(answer=1)", outputs=list(outputs), metadata=metadata)


def shown(data, metadata=None):
    return nbformat.v4.new_output("display_data", data, metadata=metadata or {})


def notebook(*cells):
    return nbformat.v4.new_notebook(cells=list(cells))


def picture(alt="a curve"):
    about = {"image/png": {"alt": alt, "width": 700, "height": 340}}
    return shown({"image/png": PNG, "text/plain": "Figure: a curve"}, about)


def explorer():
    """A notebook with one explorer, as its execution leaves it."""
    state = {"spec": {"alt": "a path", "width": 700.0, "height": 300.0}}
    buffers = [{"path": ["stage"], "data": PNG, "encoding": "base64"}]
    data = {VIEW: {"model_id": "m"}, "image/png": PNG, "text/plain": "Explorer: step 1"}
    result = notebook(code(shown(data)))
    states = {"m": {"state": state, "buffers": buffers}}
    result.metadata["widgets"] = {STATE: {"state": states}}
    return nbformat.from_dict(result)


def html_of(prepared):
    return prepared.cells[0].outputs[0].data["text/html"]


def test_the_lesson_itself_is_not_changed(tmp_path):
    before = notebook(code(picture()), nbformat.v4.new_markdown_cell(TERMS))
    kept = copy.deepcopy(before)
    prepare(before, PATH, tmp_path)
    assert before == kept


def test_a_picture_becomes_a_file_with_alt_text_and_size(tmp_path):
    shown_as = html_of(prepare(notebook(code(picture('"a" < b'))), PATH, tmp_path))
    (file,) = tmp_path.glob("pictures/*.png")
    assert file.read_bytes() == base64.b64decode(PNG)
    assert f'src="../_static/pictures/{file.name}"' in shown_as
    assert 'alt="&quot;a&quot; &lt; b"' in shown_as and 'width="700" height="340"' in shown_as


@pytest.mark.parametrize("alt", ["", "  ", None])
def test_a_picture_without_alt_text_is_refused(alt, tmp_path):
    with pytest.raises(SiteError, match="01_gradients.ipynb, cell 1: the picture has no alt text"):
        prepare(notebook(code(picture(alt))), PATH, tmp_path)


def test_an_explorer_takes_its_state_along_in_a_script(tmp_path):
    ready = prepare(explorer(), PATH, tmp_path)
    (file,) = tmp_path.glob("explorers/*.js")
    assert f'data-explorer="{file.stem}"' in html_of(ready) and "step 1" in html_of(ready)
    text = file.read_text(encoding="utf-8")
    assert text.startswith(f'descentState("{file.stem}",') and text.endswith(");\n")
    state = json.loads(text.split(",", 1)[1].removesuffix(");\n"))
    assert state["stage"] == PNG and state["spec"]["alt"] == "a path"
    assert "widgets" not in ready.metadata


@pytest.mark.parametrize(
    "metadata", [{"tags": ["hide-input"]}, {"jupyter": {"source_hidden": True}}]
)
def test_a_hidden_cell_shows_its_output_but_not_its_source(metadata, tmp_path):
    (cell,) = prepare(notebook(code(**metadata)), PATH, tmp_path).cells
    assert cell.metadata == {"tags": ["remove-input"]}


def test_a_task_says_where_it_can_be_done(tmp_path):
    _, note = prepare(notebook(code(tags=["your-turn"])), PATH, tmp_path).cells
    assert f"{BINDER}notebooks/01_gradients.ipynb" in note.source


@pytest.mark.parametrize("text, wraps", [("✓ yes\n✗ no\n", True), ("a  b\n1  2\n", False)])
def test_sentences_may_wrap_and_columns_may_not(text, wraps, tmp_path):
    cell = code(nbformat.v4.new_output("stream", text=text))
    (ready,) = prepare(notebook(cell), PATH, tmp_path).cells
    assert ("as-printed" in ready.metadata.get("tags", [])) is not wraps


@pytest.mark.parametrize(
    "link, becomes",
    [
        ("[a](01_gradients.ipynb)", "[a](01_gradients.ipynb)"),
        ("[a](01_gradients.ipynb#key-terms)", "[a](01_gradients.ipynb#key-terms)"),
        ("[a](../README.md)", "[a](../index.md)"),
        ("[a](../CONTRIBUTING.md)", "[a](../contributing.md)"),
        ("[a](../docs/maintainers.md)", "[a](../maintainers.md)"),
        ("[a](../run.py)", f"[a]({REPOSITORY}/blob/main/run.py)"),
        ("[a](../pyproject.toml#L3)", f"[a]({REPOSITORY}/blob/main/pyproject.toml#L3)"),
        ("[a](https://example.org/x.md)", "[a](https://example.org/x.md)"),
        ("[a](#key-terms)", "[a](#key-terms)"),
        ("`f[0](x)`", "`f[0](x)`"),
        ("[a](../../elsewhere.md)", "[a](../../elsewhere.md)"),
    ],
)
def test_links_lead_to_pages_of_the_site_or_to_the_repository(link, becomes):
    assert relink(link, "notebooks/00_start_here.ipynb") == becomes


def test_links_of_pages_in_the_repositorys_folder_lead_the_same_way():
    link = "[a](../notebooks/01_gradients.ipynb) [b](../CONTRIBUTING.md)"
    expected = "[a](notebooks/01_gradients.ipynb) [b](contributing.md)"
    assert relink(link, "docs/maintainers.md") == expected


def test_key_terms_are_read_as_the_lesson_has_them():
    terms = key_terms(notebook(nbformat.v4.new_markdown_cell(TERMS)))
    assert terms == [
        Term("slope", "기울기", "change ÷ nudge, `f'`"),
        Term("logit, sigmoid", "로짓, 시그모이드", "a score; its probability"),
    ]


@pytest.mark.parametrize(
    "text, said",
    [
        ("nothing", "found 0 lines"),
        ("**Key terms**\n\nno table", "no table follows"),
        ("**Key terms**\n\n| a | b | c |\n|---|---|---|\n| x | y |\n", "three cells, not 2"),
    ],
)
def test_a_table_of_key_terms_that_cannot_be_read_is_named(text, said):
    with pytest.raises(SiteError, match=f"lesson: .*{said}"):
        key_terms(notebook(nbformat.v4.new_markdown_cell(text)), "lesson")


def test_key_terms_lead_to_the_glossary_and_stay_the_same_text(tmp_path):
    (cell,) = prepare(notebook(nbformat.v4.new_markdown_cell(TERMS)), PATH, tmp_path).cells
    link = '<a href="../glossary.html#term-slope">slope</a>'
    korean = '<span lang="ko">기울기</span>'
    assert f"| {link} | {korean} | change ÷ nudge, `f'` |" in cell.source
    assert "### Key terms\n" in cell.source and "### Exercises\n" in cell.source
    assert "| English | 한국어 | what it means |" in cell.source


def test_the_glossary_lists_each_term_once_with_all_its_lessons():
    slope, loss = Term("slope", "기울기", "of a curve"), Term("(local) loss", "손실", "how wrong")
    page = glossary({"01_a": [slope], "02_b": [loss, Term("slope", "기울기", "again")]})
    rows = [line for line in page.splitlines() if line.startswith("| <span")]
    assert len(rows) == 2
    assert 'id="term-local-loss"' in rows[0] and 'id="term-slope"' in rows[1]  # (l before s
    assert "[01](notebooks/01_a.ipynb#key-terms), [02](notebooks/02_b.ipynb#key-terms)" in rows[1]
    assert "of a curve" in rows[1] and "again" not in page


@pytest.fixture
def lesson(tmp_path):
    """A lesson, a way to ask for it executed, and how often it was executed for that."""
    path, package = tmp_path / "01_lesson.ipynb", tmp_path / "package"
    package.mkdir()
    nbformat.write(notebook(code()), path)
    calls = []

    def execute(notebook: NotebookNode, *args):
        calls.append(1)
        return copy.deepcopy(notebook)

    return path, lambda: executed(path, tmp_path / "cache", package, execute), calls


def test_a_lesson_is_executed_again_only_when_it_changed(lesson, tmp_path):
    path, ask, calls = lesson
    assert ask() == ask() and len(calls) == 1
    nbformat.write(notebook(code(), code()), path)
    assert len(ask().cells) == 2 and len(calls) == 2
    assert len(list((tmp_path / "cache").iterdir())) == 1  # the old copy is gone


def test_a_lesson_is_executed_again_when_the_package_changed(lesson, tmp_path):
    _, ask, calls = lesson
    ask()
    (tmp_path / "package" / "new.py").write_text("x = 1")
    ask()
    assert len(calls) == 2


def test_the_explorers_script_has_to_be_the_module_we_know():
    with pytest.raises(SiteError, match="explore.js has to end with"):
        classic_script("export function render() {}")
    script = classic_script("const render = 1;\nexport default { render };\n")
    assert script.startswith("window.descentExplorer = (") and "export" not in script


def test_the_font_of_formulas_has_their_characters_and_comes_with_its_licence():
    font = TTFont(DOCS / "_static" / "math.woff")
    assert font.flavor == "woff" and "MATH" in font
    assert set(map(ord, "∇√∑∏∫∂⋯⌈⟨ηβμ′≤≈→×·𝑤𝐰ℎ")) <= set(font.getBestCmap())
    licence = (DOCS / "_static" / "math-licence.txt").read_text(encoding="utf-8")
    assert "SIL OPEN FONT LICENSE\n\nVersion 1.1" in licence
    assert "The STIX Fonts Project Authors" in licence
    asked = str(PROJECT["optional-dependencies"]["site"])
    assert "ziamath" not in asked and "fonttools" not in asked
