"""What every stored notebook owes its readers, beyond the outputs that nbval compares.

nbval does not look at images, execution counts, metadata or Markdown, and it passes a cell tagged
raises-exception that raises nothing. A check here is a function (notebook, path) -> complaints.
The second half of this file proves that each check can fail.
"""

import base64
import copy
import io
import itertools
import os
import re
import statistics
import struct
import tokenize
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tools.notebooks import LESSONS, canonical, execute, rerun, tags, to_text, with_seed

NOTEBOOKS = sorted(LESSONS.glob("*.ipynb"))
# The stored outputs are those of SEED 0. Each run of the tests tries another one, with the stubs
# solved; the weekly run, and whoever changed a lesson, tries ten.
ANOTHER_SEED, MORE_SEEDS = 1, range(2, 10)
EVERY_SEED = bool(os.environ.get("DESCENT_EVERY_SEED"))
CHECKS = {}


def check(function):
    CHECKS[function.__name__] = function
    return function


# --- reading a notebook ----------------------------------------------------------------------


def code(notebook):
    """(number, cell) of the code cells that hold something."""
    return [
        (n, c)
        for n, c in enumerate(notebook.cells, 1)
        if c.cell_type == "code" and c.source.strip()
    ]


def markdown(notebook):
    return [(n, c) for n, c in enumerate(notebook.cells, 1) if c.cell_type == "markdown"]


def outputs(notebook):
    return [(n, output) for n, cell in code(notebook) for output in cell.outputs]


def texts(output):
    """All that an output says in words."""
    yield output.get("text", "")
    yield output.get("evalue", "")
    yield from output.get("traceback", [])
    yield from (v for kind, v in output.get("data", {}).items() if kind.startswith("text/"))


def said(notebook):
    return [(n, text) for n, output in outputs(notebook) for text in texts(output)]


def prose(source):
    """Markdown without its code."""
    return re.sub(r"```.*?```|`[^`]*`", "", source, flags=re.DOTALL)


def is_lesson(path):
    return re.match(r"\d\d_", path.name) and not path.name.startswith("00")


def lines(cell):
    """The lines of code that a reader sees: a cell whose input is hidden shows one."""
    if cell.metadata.get("jupyter", {}).get("source_hidden"):
        return 1
    return len([line for line in cell.source.splitlines() if line.strip()])


def statements(cell):
    """How many of its lines a Python reader counts: continued ones count once."""
    if cell.metadata.get("jupyter", {}).get("source_hidden"):
        return 1
    tokens = tokenize.generate_tokens(io.StringIO(cell.source + "\n").readline)
    return sum(token.type == tokenize.NEWLINE for token in tokens)


# --- the checks: outputs -----------------------------------------------------------------------


@check
def counts_its_cells_from_one(notebook, path):
    for expected, (n, cell) in enumerate(code(notebook), 1):
        if cell.execution_count != expected:
            yield f"cell {n} has execution count {cell.execution_count}, expected {expected}"


@check
def writes_nothing_to_stderr(notebook, path):
    for n, output in outputs(notebook):
        if output.get("name") == "stderr":
            yield f"cell {n} writes to stderr: {output.text[:60]!r}"


@check
def raises_where_it_says_so_and_nowhere_else(notebook, path):
    for n, cell in code(notebook):
        raised = any(output.output_type == "error" for output in cell.outputs)
        if raised != ("raises-exception" in tags(cell)):
            yield f"cell {n} " + ("raises" if raised else "is to raise, but does not")


@check
def shows_no_address_and_no_path(notebook, path):
    address = r"\bat 0x[0-9a-fA-F]+|\bobject at\b"
    folder = r"(?<![\w.])(?:~|/(?:home|root|tmp|Users|usr|opt|var|work|mnt|private)|[A-Z]:)[\\/]\w"
    for n, text in said(notebook):
        if found := re.search(f"{address}|{folder}|site-packages", text):
            yield f"cell {n} shows {found[0]!r}: it differs from one machine or run to the next"


@check
def prints_at_most_three_significant_digits(notebook, path):
    for n, output in outputs(notebook):
        # HTML has sizes and colours; what it says in words stands in text/plain as well.
        text = output.get("text", "") + output.get("data", {}).get("text/plain", "")
        if text.startswith("Predict:"):  # its numbers are given, not measured
            continue
        for number in re.findall(r"(?<![\w.])\d[\d,]*\.\d+(?![\w.]*\d)", text):
            if len(re.sub(r"\D", "", number).lstrip("0")) > 3:
                yield f"cell {n} prints {number}"


@check
def is_small(notebook, path):
    size = len(to_text(notebook).encode())
    if size >= 1.5e6:
        yield f"{size / 1e6:.1f} MB"


@check
def stores_no_widgets(notebook, path):
    if "widgets" in notebook.metadata:
        yield "the notebook's metadata have widget state"
    for n, output in outputs(notebook):
        if any("widget" in kind for kind in output.get("data", {})):
            yield f"cell {n} stores a widget's view, which nobody can show without its state"


@check
def describes_every_picture(notebook, path):
    for n, output in outputs(notebook):
        for kind in output.get("data", {}):
            if kind.startswith("image/"):
                alt = output.get("metadata", {}).get(kind, {}).get("alt", "")
                if len(alt.split()) < 4:
                    yield f"cell {n}: {kind} needs alt text, a sentence, in its metadata: {alt!r}"
    sources = [(n, cell.source) for n, cell in markdown(notebook)] + said(notebook)
    for n, text in sources:
        for image in re.findall(r"<img\b[^>]*>", text):
            if not re.search(r"""\balt\s*=\s*["'][^"']""", image):
                yield f"cell {n}: an <img> has no alt text"
        if re.search(r"!\[\s*\]\(", text):
            yield f"cell {n}: a Markdown picture has no alt text"


@check
def stores_pictures_without_versions_and_dates(notebook, path):
    for n, output in outputs(notebook):
        if "image/png" in output.get("data", {}):
            for kind in png_chunks(base64.b64decode(output.data["image/png"])):
                if kind in (b"tEXt", b"zTXt", b"iTXt", b"tIME"):
                    yield f"cell {n}: the PNG has {kind.decode()}; save it with Software=None"


def png_chunks(png):
    at = 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        yield png[at + 4 : at + 8]
        at += 12 + length


@check
def is_stored_in_canonical_form(notebook, path):
    if to_text(canonical(notebook)) != to_text(notebook):
        yield f"run `python3 run.py build {path.stem}`"


# --- the checks: style -----------------------------------------------------------------------


@check
def has_25_to_60_cells(notebook, path):
    count = sum(not cell.metadata.get("jupyter") for cell in notebook.cells)  # questions: on top
    if is_lesson(path) and (len(notebook.cells) < 25 or count > 60):
        yield f"{count} cells and {len(notebook.cells) - count} questions"


@check
def keeps_code_cells_short(notebook, path):
    sizes = [(n, lines(cell)) for n, cell in code(notebook)]
    for n, size in sizes:
        if size > 25:
            yield f"cell {n} has {size} lines, more than 25"
    # A statement wrapped over two lines, so that nobody has to scroll sideways, is read as one.
    if sizes and statistics.median(statements(cell) for _, cell in code(notebook)) > 6:
        yield "the median code cell has more than 6 statements"


@check
def begins_with_imports_seed_and_style(notebook, path):
    n, first = code(notebook)[0]
    left = [line for line in first.source.splitlines() if line.strip()]
    if "parameters" not in tags(first):
        yield f"cell {n} is not tagged `parameters`"
    for line in ("SEED = 0", "plots.use_style()"):
        if line not in left:
            yield f"cell {n} lacks the line {line}"
    others = [line for line in left if line not in ("SEED = 0", "plots.use_style()")]
    strange = [line for line in others if not re.match(r"(import|from) \w", line)]
    if strange or not others:
        yield f"cell {n} holds imports, SEED and style, nothing else: {strange}"


@check
def has_explorers_predictions_and_your_turns(notebook, path):
    if not is_lesson(path):
        return
    sources = [cell.source for _, cell in code(notebook)]
    explorers = sum(
        o.get("data", {}).get("text/plain", "").startswith("Explorer:")
        for _, o in outputs(notebook)
    )
    for what, count, low, high in [
        ("explorers", explorers, 1, 3),
        ("predictions", sum(len(re.findall(r"\bpredict\(", s)) for s in sources), 4, 8),
        ("your turns", sum("your-turn" in tags(c) for _, c in code(notebook)), 2, 4),
    ]:
        if not low <= count <= high:
            yield f"{count} {what}, expected {low} to {high}"


@check
def hides_the_answers_of_predictions(notebook, path):
    for n, cell in code(notebook):
        hidden = cell.metadata.get("jupyter", {}).get("source_hidden", False)
        if hidden != bool(re.search(r"^(predict|observe)\(", cell.source, re.MULTILINE)):
            yield (
                f"cell {n}: the input of a prediction or observation is hidden, for it holds the "
                "answer; no other input is"
            )


# Lessons of the second edition, which ask for observations and give nothing away by the place.
SECOND_EDITION = ("05", "06", "07", "08")


def questions(notebook):
    """The options of each prediction or observation, as (html class, [(option, is right)])."""
    for _, output in outputs(notebook):
        text = output.get("data", {}).get("text/html", "")
        if found := re.search(r'<div class="(de-predict[^"]*)"', text):
            yield (
                found[1],
                re.findall(r"<summary[^>]*>(.*?)</summary>\n?<p><strong>(✓|✗)", text, re.DOTALL),
            )


@check
def puts_right_options_at_every_place_and_asks_what_was_seen(notebook, path):
    found = list(questions(notebook))
    asked = [options for kind, options in found if kind == "de-predict"]
    if not path.stem.startswith(SECOND_EDITION) and len(asked) == len(found):
        return
    places = [[mark for _, mark in options].index("✓") for options in asked]
    for place in set(places):
        if places.count(place) > 0.4 * len(places):
            yield f"{places.count(place)} of {len(places)} right options stand at place {place + 1}"
    longest = sum(max(options, key=lambda o: len(o[0]))[1] == "✓" for options in asked)
    if longest > 0.4 * len(asked):
        yield f"{longest} of {len(asked)} right options are the longest"
    if len(found) - len(asked) < 4:
        yield f"{len(found) - len(asked)} observations, expected 4 or more"


@check
def talks_to_its_reader_as_an_equal(notebook, path):
    for n, cell in markdown(notebook):
        for word in re.findall(r"\b(?:simply|just|obviously)\b", prose(cell.source), re.I):
            yield f"cell {n} says {word!r}"


@check
def links_to_things_that_exist(notebook, path):
    headings = re.findall(r"(?m)^#+ +(.*?)\s*$", "\n".join(c.source for _, c in markdown(notebook)))
    anchors = {re.sub(r"[`*_$]", "", h).replace(" ", "-").lower() for h in headings}
    for n, cell in markdown(notebook):
        text = prose(cell.source)
        found = re.findall(r"\]\(<?([^)\s>]+)", text)
        found += re.findall(r"""\b(?:href|src)\s*=\s*["']([^"']+)""", text)
        for target in found:
            file, _, anchor = target.partition("#")
            if re.match(r"[a-z]+:", target):  # https:, mailto:, attachment:
                continue
            if file and not (path.parent / file).exists():
                yield f"cell {n} links to {file}, which does not exist"
            if not file and anchor.lower() not in anchors:
                yield f"cell {n} links to #{anchor}, which is no heading of this notebook"


@check
def uses_nothing_that_cannot_be_tested_or_shown(notebook, path):
    banned = (
        r"\b(?:interact|interact_manual|interactive_output|clear_output|plt\.show)\b"
        r"|\b(?:interactive|Output)\s*\(|^\s*%matplotlib"
    )
    for n, cell in code(notebook):
        if found := re.search(banned, cell.source, re.MULTILINE):
            yield f"cell {n} uses {found[0].strip()}"


# --- the checks: your turn -----------------------------------------------------------------------


def turns(notebook):
    """(number of the stub, stub, solution or None): only text stands between the two."""
    for i, cell in enumerate(notebook.cells):
        if "your-turn" in tags(cell):
            after = itertools.takewhile(lambda c: c.cell_type != "code", notebook.cells[i + 1 :])
            yield i + 1, cell, next((c for c in after if "solution" in tags(c)), None)


def last_line(cell):
    """The line of a stub that checks it."""
    return cell.source.strip().splitlines()[-1]


def solution_code(cell):
    """The Python of a folded solution, or None if the cell is none."""
    folded = re.search(
        r"<details\b[^>]*>\s*<summary\b[^>]*>\s*(?:<\w+>)?Solution.*?</summary>.*?"
        r"```python\n(.*?)\n```.*?</details>",
        cell.source,
        re.DOTALL,
    )
    return folded and folded[1]


@check
def ends_each_stub_with_its_check_and_folds_a_solution_below(notebook, path):
    for n, stub, solution in turns(notebook):
        if not re.fullmatch(r"(?:\w+\.)*check\(\w+\)", last_line(stub)):
            yield f"cell {n} is a stub: its last line must call check(…)"
        if solution is None:
            yield f"the stub in cell {n} has no Markdown cell tagged `solution` before more code"
        elif solution_code(solution) is None:
            yield (
                f"the solution of cell {n} must be <details> with a <summary> that starts with "
                "Solution, around a ```python block"
            )


@check
def tells_unsolved_stubs_that_they_are_not_done(notebook, path):
    for n, stub, _ in turns(notebook):
        answer = "".join(t for o in stub.get("outputs", []) for t in texts(o))
        if "not done yet" not in answer or "✓" in answer:
            yield f"the check of the stub in cell {n} says {answer[:60]!r}, not 'not done yet'"


def solved(notebook):
    """A copy in which every stub is replaced by its solution; its check stays."""
    result = copy.deepcopy(notebook)
    for _, stub, solution in turns(result):
        stub.source = f"{solution_code(solution)}\n\n{last_line(stub)}"
    return result


def unconvinced_checks(notebook, name, cwd):
    """Complaints about checks that do not accept the notebook's own solutions.

    And about observations whose key is another one: their words tell what was seen with SEED 0.
    """
    complaints = []
    executed = execute(solved(notebook), name, cwd)
    stored = list(questions(notebook))
    if stored and stored != (now := list(questions(executed))):
        complaints += [f"{a} became {b}" for a, b in zip(stored, now) if a != b]
    for n, stub, _ in turns(executed):
        answer = "".join(t for o in stub.outputs for t in texts(o))
        if "✓" not in answer or "✗" in answer:
            complaints.append(f"the solution of cell {n} is answered with {answer[:120]!r}")
    return complaints


# --- applied to every notebook -------------------------------------------------------------------

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def test_there_are_notebooks():
    assert "00_start_here" in [path.stem for path in NOTEBOOKS]


@every_notebook
@pytest.mark.parametrize("name", CHECKS)
def test_notebook(path, name):
    complaints = list(CHECKS[name](nbformat.read(path, as_version=4), path))
    assert not complaints


@pytest.mark.slow
@every_notebook
def test_folded_solutions_pass_their_checks_and_verdicts_hold_with_another_seed(path):
    notebook = with_seed(nbformat.read(path, as_version=4), ANOTHER_SEED)
    complaints = unconvinced_checks(notebook, path.stem, path.parent)
    assert not complaints


@pytest.mark.slow
@pytest.mark.skipif(not EVERY_SEED, reason="weekly; now, with DESCENT_EVERY_SEED=1")
@every_notebook
def test_verdicts_hold_for_every_seed(path):
    errors = rerun(nbformat.read(path, as_version=4), MORE_SEEDS, path.stem, path.parent)
    assert not errors


# --- each check passes a good notebook and fails a bad one ---------------------------------------

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sI", 0, b"IEND", 0xAE426082)).decode()
DATED = base64.b64encode(base64.b64decode(PNG) + struct.pack(">I", 1) + b"tEXtx1234").decode()
ALT = {"image/png": {"alt": "A curve that falls and rises again."}}


def printed(text, name="stdout"):
    return new_output("stream", name=name, text=text)


def shown(metadata=None, **data):
    data = {kind.replace("_", "/"): value for kind, value in data.items()}
    return new_output("display_data", data=data, metadata=metadata or {})


def failed(name="ValueError", traceback=()):
    return new_output("error", ename=name, evalue="no", traceback=list(traceback))


def turn(name):
    """The cells of a task: the learner's own, a hint, the solution."""
    return [
        new_code_cell(
            f"def {name}(x):\n    ...\n\nlesson01.{name}.check({name})",
            outputs=[printed("not done yet\n")],
        ),
        new_markdown_cell("<details><summary>Hint 1</summary>\n\nThink.\n\n</details>"),
        new_markdown_cell(
            "<details><summary>Solution</summary>\n\n"
            f"```python\ndef {name}(x):\n    return x  # just x\n```\n\n</details>"
        ),
    ]


def good():
    """A short notebook, 01_good.ipynb, that passes every check."""

    cells = [
        new_markdown_cell("# Which way?\n[next](01_good.ipynb) [here](#Which-way?)"),
        new_code_cell("from course_utils import plots\nSEED = 0\nplots.use_style()"),
        new_code_cell(
            "show()",
            outputs=[shown(ALT, image_png=PNG, text_plain="Explorer: slope 0.25 at step 1,000")],
        ),
        new_code_cell("1 / 0", outputs=[failed("ZeroDivisionError", ["Cell In[3], line 1"])]),
        new_code_cell(
            "2.5",
            outputs=[new_output("execute_result", data={"text/plain": "2.5"}, execution_count=4)],
        ),
        *[
            new_code_cell(f"predict('{i}')", metadata={"jupyter": {"source_hidden": True}})
            for i in range(4)
        ],
        *turn("f"),
        *turn("g"),
        *[
            new_markdown_cell("Text with `just` one word. ![a line](01_good.ipynb)")
            for _ in range(10)
        ],
    ]
    notebook = new_notebook(cells=cells)
    count = 0
    for position, cell in enumerate(cells):
        cell.id = f"cell-{position}"
        if cell.cell_type == "code":
            count += 1
            cell.execution_count = count
        if cell.source.startswith("def "):
            cell.metadata.tags = ["your-turn"]
        elif "Solution" in cell.source:
            cell.metadata.tags = ["solution"]
    cells[1].metadata.tags = ["parameters"]
    cells[3].metadata.tags = ["raises-exception"]
    return canonical(notebook)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "01_good.ipynb"
    path.write_text("")
    return path


@pytest.mark.parametrize("name", CHECKS)
def test_a_good_notebook_passes(name, path):
    assert list(CHECKS[name](good(), path)) == []


def set_source(number, source):
    return lambda notebook: notebook.cells[number - 1].update(source=source)


def append_source(number, source):
    def change(notebook):
        notebook.cells[number - 1].source += source

    return change


def set_output(number, *new):
    return lambda notebook: notebook.cells[number - 1].update(outputs=list(new))


def set_tags(number, *new):
    return lambda notebook: notebook.cells[number - 1].metadata.update(tags=list(new))


def prints(text):
    return set_output(3, printed(text))


def in_traceback(text):
    return set_output(4, failed(traceback=[text]))


def asked(*marks, seen, longer=None):
    """Predictions as they are shown, and observations behind them; `longer` options have a mark."""
    kinds = ["de-predict"] * len(marks) + ["de-predict de-observe"] * seen
    return [
        shown(
            text_plain="?",
            text_html=f'<div class="{kind}">'
            + "".join(
                f"<summary>{'long' if mark == longer else 'o'}</summary>\n<p><strong>{mark}"
                for mark in question
            ),
        )
        for kind, question in zip(kinds, [*marks, *["✓✗"] * seen])
    ]


VIEW = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/plain": "x"}

BAD = {
    counts_its_cells_from_one: [
        lambda nb: nb.cells[2].update(execution_count=None),
        lambda nb: nb.cells[2].update(execution_count=7),
        lambda nb: nb.cells[1].update(execution_count=2),
    ],
    writes_nothing_to_stderr: [set_output(3, printed("a warning", "stderr"))],
    raises_where_it_says_so_and_nowhere_else: [set_tags(4), set_output(4), set_output(3, failed())],
    shows_no_address_and_no_path: [
        prints("<function f at 0x7f3a>"),
        prints("<object object at 12>"),
        prints("/home/ada/x.py"),
        prints("C:\\Users\\ada"),
        prints("~/course"),
        prints("File '/tmp/a'"),
        in_traceback("File /mnt/x.py"),
        set_output(3, shown(text_html="<b>/Users/ada</b>")),
    ],
    prints_at_most_three_significant_digits: [
        prints("slope 3.142"),
        prints("(0.5, 0.12345)"),
        prints("1234.5"),
        prints("1,234.5 ≈"),
        set_output(3, shown(text_plain="tensor(0.1235)")),
        prints("ends with 3.1416."),
    ],
    is_small: [lambda nb: set_output(3, printed("x" * 1_500_000))(nb)],
    stores_no_widgets: [
        lambda nb: nb.metadata.update(widgets={}),
        set_output(3, new_output("display_data", data=VIEW)),
    ],
    describes_every_picture: [
        set_output(3, shown(image_png=PNG)),
        set_output(3, shown({"image/png": {"alt": "figure"}}, image_png=PNG)),
        set_output(3, shown(**{"image_svg+xml": "<svg/>"})),
        set_output(3, shown(text_html="<img src='x.png'>")),
        set_source(1, "<img src='x.png' alt=''>"),
        set_source(1, "![ ](x.png)"),
    ],
    stores_pictures_without_versions_and_dates: [set_output(3, shown(ALT, image_png=DATED))],
    is_stored_in_canonical_form: [
        lambda nb: nb.metadata.language_info.update(version="3.11.7"),
        lambda nb: nb.cells[2].metadata.update(scrolled=True),
        set_output(3, printed("a"), printed("b")),
    ],
    has_25_to_60_cells: [lambda nb: nb.cells.pop(), lambda nb: nb.cells.extend(nb.cells[-1:] * 45)],
    keeps_code_cells_short: [
        set_source(5, "x = 1\n" * 26),
        lambda nb: [
            cell.update(source="x\n" * 7, metadata={})
            for cell in nb.cells
            if cell.cell_type == "code"
        ],
    ],
    hides_the_answers_of_predictions: [
        lambda nb: nb.cells[5].metadata.pop("jupyter"),
        lambda nb: nb.cells[2].metadata.update(jupyter={"source_hidden": True}),
    ],
    begins_with_imports_seed_and_style: [
        set_tags(2),
        append_source(2, "\nx = 1"),
        set_source(2, "import numpy as np\nSEED = 0"),
        set_source(2, "SEED = 0\nplots.use_style()"),
        set_source(2, "import numpy\nSEED = 1\nplots.use_style()"),
        lambda nb: nb.cells.insert(0, new_code_cell("import numpy")),
    ],
    has_explorers_predictions_and_your_turns: [
        set_output(3, printed("no explorer")),
        set_source(6, "1"),
        set_tags(10),
        append_source(6, "\n" + "predict()\n" * 5),
    ],
    puts_right_options_at_every_place_and_asks_what_was_seen: [
        set_output(3, *asked("✓✗", "✓✗", "✗✓", seen=4)),
        set_output(3, *asked("✓✗✗", "✗✓✗", "✗✗✓", seen=3)),
        set_output(3, *asked("✓✗✗", "✗✓✗", "✗✗✓", seen=4, longer="✓")),
    ],
    talks_to_its_reader_as_an_equal: [
        set_source(1, "It is simply so."),
        set_source(1, "Just look."),
        set_source(1, "Obviously."),
        append_source(11, " It is just so."),
    ],
    links_to_things_that_exist: [
        set_source(1, "[x](no_such_file.ipynb)"),
        set_source(1, "[x](no_such.ipynb#part)"),
        set_source(1, "[x](#no-such-heading)"),
        set_source(1, "<a href='no_such'>x</a>"),
        set_source(1, "![a picture](no_such.png)"),
    ],
    uses_nothing_that_cannot_be_tested_or_shown: [
        set_source(3, source)
        for source in (
            "interact(f, x=1)",
            "@interact",
            "from ipywidgets import interact, fixed",
            "import interact",
            "interactive_output(f)",
            "out = widgets.Output()",
            "clear_output()",
            "plt.show()",
            "%matplotlib widget",
            "interactive (f)",
        )
    ],
    ends_each_stub_with_its_check_and_folds_a_solution_below: [
        set_source(10, "def f(x):\n    ..."),
        set_tags(12),
        set_source(12, "Solution: x"),
        set_source(12, "<details><summary>Answer</summary>\n```python\nx\n```\n</details>"),
        set_source(12, "<details><summary>Solution</summary>\nx\n</details>"),
        lambda nb: nb.cells.insert(11, new_code_cell("1")),
        lambda nb: nb.cells.append(nb.cells[9]),
    ],
    tells_unsolved_stubs_that_they_are_not_done: [
        set_output(10),
        set_output(10, printed("✗ wrong")),
        set_output(10, printed("✓ right")),
    ],
}


def test_every_check_has_been_seen_to_fail():
    assert {function.__name__ for function in BAD} == set(CHECKS)


@pytest.mark.parametrize(
    ("function", "spoil"),
    [
        pytest.param(f, spoil, id=f"{f.__name__}-{i}")
        for f, spoils in BAD.items()
        for i, spoil in enumerate(spoils)
    ],
)
def test_a_bad_notebook_fails(function, spoil, path):
    notebook = good()
    spoil(notebook)
    complaints = list(function(notebook, path))
    assert complaints and all(isinstance(c, str) for c in complaints)


@pytest.mark.parametrize(
    "text",
    [
        "halves in 1,000 steps",
        "2.13.0 is installed",
        "0.00123",
        "1.23e-05",
        "x0.12345",
        "3 of 1000",
    ],
)
def test_whole_numbers_versions_and_small_numbers_are_not_too_long(text, path):
    notebook = good()
    prints(text)(notebook)
    assert not list(prints_at_most_three_significant_digits(notebook, path))


EXERCISE = """\
def check(f):
    print("not done yet" if f(2) is ... else "✓" if f(2) == 4 else "✗ f(2) is", f(2))"""


@pytest.mark.parametrize(("solution", "complaints"), [("x * x", 0), ("x + 1", 1), ("...", 1)])
def test_a_solution_is_accepted_if_and_only_if_its_check_is_convinced(
    solution, complaints, tmp_path
):
    notebook = new_notebook(
        cells=[
            new_code_cell(EXERCISE),
            new_code_cell(
                "def f(x):\n    return ...\n\ncheck(f)", metadata={"tags": ["your-turn"]}
            ),
            new_markdown_cell(
                f"<details><summary>Solution</summary>\n\n```python\ndef f(x):\n"
                f"    return {solution}\n```\n</details>",
                metadata={"tags": ["solution"]},
            ),
        ]
    )
    assert len(unconvinced_checks(notebook, "01", tmp_path)) == complaints


def test_the_paths_of_this_module_are_real():
    assert isinstance(LESSONS, Path) and LESSONS.parent.joinpath("pyproject.toml").is_file()
