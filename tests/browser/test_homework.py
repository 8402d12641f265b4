"""A student's way through homework 02 in JupyterLab: wrong, right, Validate."""

import nbformat
import pytest
from playwright.sync_api import expect

from grading.course import assignments
from tools.notebooks import LESSONS

(HW,) = assignments(["hw02"])
NAME = "hessian_vector"
WRONG = f"""def {NAME}(gradient, x, v, h):
    return (gradient(x + h * v) - gradient(x)) / h"""


@pytest.fixture(scope="module")
def lab(open_lab, course):
    """Homework 02 with all done but the first function."""
    solved = {c.id: c.source for c in nbformat.read(HW.source, as_version=4).cells}
    path = f"notebooks/homework/{HW.notebook}.ipynb"
    notebook = nbformat.read(LESSONS.parent / path, as_version=4)
    for cell in notebook.cells:
        if cell.id in {*HW.exercises, "plot", "answer"} - {NAME}:
            cell.source = solved[cell.id]
    nbformat.write(notebook, course / path)
    lab = open_lab(path)
    yield lab
    lab.close()


def index_of(lab, grade_id):
    return next(
        n
        for n, cell in enumerate(lab.cells())
        if cell["metadata"].get("nbgrader", {}).get("grade_id") == grade_id
    )


def write(lab, grade_id, code):
    """Type into a cell, over what stands there."""
    cell = lab.show_cell(index_of(lab, grade_id))
    cell.locator(".cm-content").click()
    lab.page.keyboard.press("ControlOrMeta+a")
    lab.page.keyboard.press("Delete")
    lab.page.keyboard.insert_text(code)
    lab.page.keyboard.press("Shift+Enter")


def run_cell(lab, grade_id):
    lab.page.evaluate(
        """index => {
        panel().content.activeCellIndex = index;
        return window.jupyterapp.commands.execute('notebook:run-cell');
    }""",
        index_of(lab, grade_id),
    )
    return lab.show_cell(index_of(lab, grade_id)).locator(".jp-OutputArea-output")


def validate(lab):
    """Save, press Validate, return what its dialog says, and close it."""
    lab.page.evaluate("panel().context.save()")
    lab.page.get_by_text("Validate", exact=True).first.click()
    dialog = lab.page.locator(".jp-Dialog")
    expect(dialog).to_be_visible(timeout=60_000)
    said = dialog.inner_text()
    dialog.locator("button").last.click()
    expect(dialog).to_have_count(0)
    return said


def test_a_student_reads_the_diagnosis_mends_it_and_validate_says_passed(lab):
    run_cell(lab, "setup")
    write(lab, NAME, WRONG)
    expect(run_cell(lab, f"{NAME}-visible")).to_have_text(
        "✗ hessian_vector: this is the forward difference. Move to both sides: it is far more "
        "exact for one more gradient."
    )
    said = validate(lab)
    assert "failed" in said and "forward difference" in said

    solution = next(c.source for c in nbformat.read(HW.source, as_version=4).cells if c.id == NAME)
    write(lab, NAME, solution)
    expect(run_cell(lab, f"{NAME}-visible")).to_have_text(
        "✓ hessian_vector: right on 12 visible inputs."
    )
    assert "Success! Your notebook passes all the tests." in validate(lab)


def test_checks_cannot_be_edited_by_accident(lab):
    cell = lab.show_cell(index_of(lab, f"{NAME}-visible"))
    expect(cell.locator(".cm-content")).to_have_attribute("aria-readonly", "true")


def test_nothing_is_said_on_the_console_and_nobody_else_is_asked(lab):
    assert lab.console == []
    assert lab.refused == []
