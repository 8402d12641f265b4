"""The browser tests can fail: spoil an explorer in the page, and each measurement notices."""

import pytest
from nbformat.v4 import new_code_cell, new_notebook

from tools.notebooks import canonical, to_text

from .lab import eventually
from .test_lessons import percentile


@pytest.fixture(scope="module")
def lab(open_lab):
    lab = open_lab("notebooks/00_start_here.ipynb")
    lab.restart_and_run_all()
    yield lab
    lab.close()


@pytest.fixture
def explorer(lab):
    return next(lab.explorers())


def test_a_key_that_reaches_the_notebook_is_noticed(lab, explorer):
    control = explorer.controls[0]
    control.evaluate("element => element.removeAttribute('data-lm-suppress-shortcuts')")
    control.focus()
    before = lab.notebook_state()
    lab.page.keyboard.press("b")  # JupyterLab's "insert a cell below"
    assert eventually(lab.page, lambda: lab.notebook_state() != before)
    control.evaluate("element => element.setAttribute('data-lm-suppress-shortcuts', 'true')")


def test_a_picture_that_comes_two_frames_late_is_noticed(lab, explorer):
    lab.page.evaluate("""() => {
        const soon = window.requestAnimationFrame.bind(window);
        window.soon = soon;
        window.requestAnimationFrame = (draw) => String(draw).includes('draw()')
            ? soon(() => soon(() => soon(draw))) : soon(draw);
    }""")
    counts = [
        count
        for _, count in explorer.latencies(explorer.controls[0], ["ArrowRight", "ArrowLeft"] * 5)
    ]
    lab.page.evaluate("() => { window.requestAnimationFrame = window.soon; }")
    assert counts and percentile(counts) > 1


def test_a_question_to_the_kernel_is_noticed(lab):
    before = len(lab.frames)
    lab.page.evaluate("panel().sessionContext.session.kernel.requestKernelInfo()")
    assert eventually(lab.page, lambda: len(lab.frames) > before)


def test_a_request_to_another_machine_is_noticed_and_refused(lab):
    lab.page.evaluate("fetch('https://example.org/x.js').catch(() => {})")
    assert eventually(lab.page, lambda: lab.refused == ["https://example.org/x.js"])


def test_an_error_on_the_console_is_noticed(lab):
    lab.console.clear()
    lab.page.evaluate("console.error('something broke')")
    lab.page.evaluate("setTimeout(() => { throw new Error('and this'); })")
    assert eventually(lab.page, lambda: len(lab.console) >= 2)
    assert [text.split(" (")[0] for text in lab.console] == ["something broke", "and this"]


def test_a_cell_that_raises_is_noticed(open_lab, course):
    cells = [
        new_code_cell("1 / 0"),
        new_code_cell("int('x')", metadata={"tags": ["raises-exception"]}),
    ]
    notebook = canonical(new_notebook(cells=cells))
    (course / "raises.ipynb").write_text(to_text(notebook), encoding="utf-8")
    lab = open_lab("raises.ipynb")
    lab.restart_and_run_all()
    assert lab.errors() == ["cell 1: ZeroDivisionError: division by zero"]
    lab.close()
