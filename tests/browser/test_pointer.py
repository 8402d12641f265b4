"""The pointer in the picture, play, two views of one explorer, and one without its kernel.

The notebook is this file's own. Its figures have one stage with round numbers, so that a test
knows where on the page a point of the data lies.
"""

import contextlib
import re

import pytest
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import expect

from tools.notebooks import canonical, to_text

from .lab import Explorer, eventually, held_time

LEFT, BOTTOM, SIDE, TOP_VALUE = 0.1, 0.1, 0.8, 10  # where the axes lie in the figure; 0 … 10
CELLS = [
    f"""
import numpy as np
from matplotlib.figure import Figure
from course_utils.explore import Control, On, explorer

values = range({TOP_VALUE + 1})

def dragged(*sides):
    fig = Figure(figsize=(4, 3))
    axes = fig.add_axes(({LEFT}, {BOTTOM}, {SIDE}, {SIDE}),
                        xlim=(0, {TOP_VALUE}), ylim=(0, {TOP_VALUE}))
    dot, = axes.plot([], [], "o", label="dot")
    controls = {{"x": Control(values, play=True), "y": Control(values)}}
    return explorer(fig, controls, {{dot: (On(values, "x"), On(values, "y"))}}, alt="a dot",
                    status="x = {{x}}, y = {{y}}", drag={{axes: sides}})
""",
    "dragged('x', 'y')",
    "dragged('x', None)",
]
DRAGGED, DRAGGED_ACROSS = range(1, len(CELLS))


@pytest.fixture(scope="module")
def lab(open_lab, course):
    cells = [new_code_cell(source.strip()) for source in CELLS]
    text = to_text(canonical(new_notebook(cells=cells)))
    (course / "pointer.ipynb").write_text(text, encoding="utf-8")
    lab = open_lab("pointer.ipynb")
    lab.restart_and_run_all()
    assert lab.errors() == []
    yield lab
    lab.close()


def fresh(lab, cell):
    """The explorer of this cell, all its controls in the middle, where they stand at first."""
    explorer = lab.explorer(cell)
    explorer.reset()
    shows(explorer, *[TOP_VALUE // 2] * len(explorer.controls))
    return explorer


def numbers(explorer):
    return [float(number) for number in re.findall(r"\d+(?:\.\d+)?", explorer.status())]


def shows(explorer, *wanted):
    """Wait until the status line and the controls say these numbers, to about two pixels."""
    wanted = pytest.approx(list(wanted), abs=0.07)
    eventually(explorer.page, lambda: numbers(explorer) == wanted and positions(explorer) == wanted)
    assert (numbers(explorer), positions(explorer)) == (wanted, wanted), explorer.status()


def positions(explorer):
    """What each control says beside itself; a slider stands at the value nearest to it."""
    said = [float(control.get_attribute("aria-valuetext")) for control in explorer.controls]
    assert all(
        abs(float(control.input_value()) - value) <= 0.5
        for control, value in zip(explorer.controls, said, strict=True)
    )
    return said


def place(explorer, x, y):
    """Where on the page the point (x, y) of the data lies."""
    canvas = explorer.root.locator("canvas.de-stage")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    return (
        box["x"] + box["width"] * (LEFT + SIDE * x / TOP_VALUE),
        box["y"] + box["height"] * (1 - BOTTOM - SIDE * y / TOP_VALUE),
    )


def click(explorer, x, y, **options):
    explorer.page.mouse.click(*place(explorer, x, y), **options)


def same_view(one, other):
    """Wait until two views of one explorer show the same; say what differs if they do not."""

    def shown():
        return [(view.status(), positions(view), view.picture()) for view in (one, other)]

    eventually(one.page, lambda: len(set(map(repr, shown()))) == 1)
    first, second = shown()
    assert first == second


@contextlib.contextmanager
def second_view(lab, cell):
    """The explorer of this cell once more, by "Create New View for Cell Output"."""
    lab.page.evaluate(
        """index => window.jupyterapp.commands.execute(
        'notebook:create-output-view', { path: panel().context.path, index })""",
        cell,
    )
    root = lab.page.locator(".jp-LinkedOutputView .descent-explorer")
    try:
        expect(root.locator(".de-status")).not_to_be_empty()
        expect(root.locator("canvas.de-stage")).to_be_visible()
        yield Explorer(lab.page, root)
    finally:
        lab.page.evaluate("""() => [...window.jupyterapp.shell.widgets('main')]
            .filter((widget) => widget.node.querySelector('.jp-LinkedOutputView'))
            .forEach((widget) => widget.close())""")
        expect(root).to_have_count(0)


# ------------------------------------------------------------------ the pointer


def test_dragging_moves_both_controls_to_where_the_pointer_is(lab):
    explorer = fresh(lab, DRAGGED)
    mouse = lab.page.mouse
    mouse.move(*place(explorer, 2, 7))
    mouse.down()
    shows(explorer, 2, 7)
    before = explorer.picture()
    mouse.move(*place(explorer, 8, 3), steps=4)
    shows(explorer, 8, 3)
    assert explorer.picture() != before
    mouse.move(*place(explorer, 11.5, -0.8))  # out of the axes: the nearest there is
    shows(explorer, TOP_VALUE, 0)
    mouse.up()


def test_dragging_in_one_direction_leaves_the_other_control_alone(lab):
    explorer = fresh(lab, DRAGGED_ACROSS)
    lab.page.mouse.move(*place(explorer, 2, 7))
    lab.page.mouse.down()
    lab.page.mouse.move(*place(explorer, 8, 9))
    lab.page.mouse.up()
    shows(explorer, 8, 5)


def test_a_pointer_without_its_main_button_changes_nothing(lab):
    explorer = fresh(lab, DRAGGED)
    mouse = lab.page.mouse
    before = explorer.seen()

    def wander():
        for at in [(1, 9), (9, 1), (3, 3)]:
            mouse.move(*place(explorer, *at))
            explorer.settle()
            assert explorer.seen() == before

    wander()
    for button in ("right", "middle"):
        mouse.move(*place(explorer, 2, 2))
        mouse.down(button=button)
        wander()
        mouse.up(button=button)
        lab.page.keyboard.press("Escape")  # JupyterLab's menu
        wander()
    mouse.down()
    shows(explorer, 3, 3)  # or nothing above could have failed
    mouse.up()
    before = explorer.seen()
    wander()


@pytest.mark.parametrize(("cell", "action"), [(DRAGGED, "none"), (DRAGGED_ACROSS, "pan-y")])
def test_a_finger_scrolls_the_page_unless_the_picture_is_dragged_up_and_down(lab, cell, action):
    canvas = lab.explorer(cell).root.locator("canvas.de-stage")
    assert canvas.evaluate("canvas => getComputedStyle(canvas).touchAction") == action


# ------------------------------------------------------------------ two views


def test_each_view_of_an_explorer_moves_by_itself_and_both_show_the_same_when_they_stand_alike(lab):
    first = fresh(lab, DRAGGED)
    first.press(first.controls[1], "Home")
    shows(first, 5, 0)
    with second_view(lab, DRAGGED) as second:
        shows(second, 5, 5)
        second.press(second.controls[1], "Home")
        same_view(first, second)
        second.press(second.controls[0], "End")
        shows(second, TOP_VALUE, 0)
        shows(first, 5, 0)
    assert lab.console == []


# ------------------------------------------------------------------ play


def test_play_is_named_by_what_it_does_and_the_status_is_quiet_meanwhile(lab):
    explorer = fresh(lab, DRAGGED)
    button = explorer.root.locator("button.de-play")
    status = explorer.status_line

    def offers(name, live):
        expect(button).to_have_accessible_name(re.compile(name))
        expect(button).not_to_have_attribute("aria-pressed", re.compile(""))
        expect(status).to_have_attribute("aria-live", live)

    offers("Play", "polite")
    played = explorer.controls[0]
    explorer.press(played, "End")
    explorer.press(played, "ArrowLeft")
    with held_time(lab.page.evaluate) as pass_time:
        explorer.press(button, "Space")
        offers("Pause", "off")
        explorer.press(button, "Space")
        offers("Play", "polite")
        explorer.press(button, "Space")
        offers("Pause", "off")
        pass_time(1)  # a step takes half a second
        offers("Play", "polite")  # at the last value it ends by itself
    assert float(played.input_value()) == TOP_VALUE


# ------------------------------------------------------------------ a kernel that is gone


def test_after_a_restart_of_the_kernel_an_explorer_goes_on(lab):
    """The last test of this notebook: its explorers have lost their kernel."""
    explorer = fresh(lab, DRAGGED)
    lab.page.evaluate("panel().sessionContext.session.kernel.restart()")
    lab.wait_until("panel().sessionContext.session.kernel.status === 'idle'")
    explorer.press(explorer.controls[0], "ArrowRight")
    shows(explorer, 6, 5)
    click(explorer, 2, 7)
    shows(explorer, 2, 7)
