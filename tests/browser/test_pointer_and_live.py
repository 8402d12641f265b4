"""The pointer in the picture, and live explorers: slow kernels, errors, two views, a restart.

The notebook is this file's own. Its figures have one stage with round numbers, so that a test
knows where on the page a point of the data lies.
"""

import contextlib
import re
import statistics

import pytest
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import expect

from tools.notebooks import canonical, to_text

from .lab import Explorer
from .test_lessons import percentile

LEFT, BOTTOM, SIDE, TOP_VALUE = 0.1, 0.1, 0.8, 10  # where the axes lie in the figure; 0 … 10
CELLS = [
    f"""
import time
import numpy as np
from matplotlib.figure import Figure
from course_utils.explore import live, lookup

values = range({TOP_VALUE + 1})

def stage():
    fig = Figure(figsize=(4, 3))
    axes = fig.add_axes(({LEFT}, {BOTTOM}, {SIDE}, {SIDE}),
                        xlim=(0, {TOP_VALUE}), ylim=(0, {TOP_VALUE}))
    dot, = axes.plot([], [], "o", label="dot")
    return fig, axes, dot

def stored(*sides):
    fig, axes, dot = stage()
    xs, ys = np.meshgrid(values, values, indexing="ij")
    return lookup(fig, {{dot: (xs[..., None], ys[..., None])}}, alt="a dot",
                  status="x = {{x}}, y = {{y}}", drag={{axes: sides}}, play="x",
                  x=values, y=values)

def computed(seconds):
    fig, axes, dot = stage()
    def update(x, y, z):
        time.sleep(seconds)
        if x == {TOP_VALUE}:
            raise ValueError("x is too large")
        dot.set_data([x, z], [y, z])
        return f"x = {{x:.2f}}, y = {{y:.2f}}, z = {{z}}"
    return live(fig, update, [dot], on_click=lambda x, y, axes: {{"x": x, "y": y}},
                alt="two dots", play="z", x=values, y=values, z=values)
""",
    "stored('x', 'y')",
    "stored('x', None)",
    "computed(seconds=0)",
    "computed(seconds=0.3)",
]
DRAGGED, DRAGGED_ACROSS, QUICK, SLOW = range(1, len(CELLS))
ERROR = "ValueError: x is too large"
GONE = re.compile("run this cell again", re.IGNORECASE)
KERNEL_PATIENCE = 5_000  # milliseconds after which an explorer doubts that its kernel answers


@pytest.fixture(scope="module")
def lab(open_lab, course):
    cells = [new_code_cell(source.strip()) for source in CELLS]
    text = to_text(canonical(new_notebook(cells=cells)))
    (course / "pointer_and_live.ipynb").write_text(text, encoding="utf-8")
    lab = open_lab("pointer_and_live.ipynb")
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
    for _ in range(100):
        if numbers(explorer) == wanted and positions(explorer) == wanted:
            return
        explorer.page.wait_for_timeout(50)
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
    for _ in range(100):
        views = [(view.status(), positions(view), view.picture()) for view in (one, other)]
        if views[0] == views[1]:
            return
        one.page.wait_for_timeout(50)
    assert views[0] == views[1]


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
        expect(root.locator(".de-status")).not_to_be_empty(timeout=20_000)
        expect(root.locator("canvas.de-stage")).to_be_visible()
        yield Explorer(lab.page, root)
    finally:
        lab.page.evaluate("""() => [...window.jupyterapp.shell.widgets('main')]
            .filter((widget) => widget.node.querySelector('.jp-LinkedOutputView'))
            .forEach((widget) => widget.close())""")
        expect(root).to_have_count(0)


# ------------------------------------------------------------------ the pointer in a lookup


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


@pytest.mark.parametrize(
    ("cell", "action"), [(DRAGGED, "none"), (DRAGGED_ACROSS, "pan-y"), (QUICK, "pan-y")]
)
def test_a_finger_scrolls_the_page_unless_the_picture_is_dragged_up_and_down(lab, cell, action):
    canvas = lab.explorer(cell).root.locator("canvas.de-stage")
    assert canvas.evaluate("canvas => getComputedStyle(canvas).touchAction") == action


# ------------------------------------------------------------------ a click in a live explorer


@pytest.mark.parametrize("cell", [QUICK, SLOW], ids=["quick", "slow"])
def test_a_click_arrives_in_data_coordinates(lab, cell):
    explorer = fresh(lab, cell)
    before = explorer.picture()
    click(explorer, 2.25, 7.5)
    shows(explorer, 2.25, 7.5, 5)
    assert explorer.picture() != before


def test_a_click_with_another_button_asks_nothing(lab):
    explorer = fresh(lab, QUICK)
    before = explorer.seen()
    for button in ("right", "middle"):
        click(explorer, 2.25, 7.5, button=button)
        lab.page.keyboard.press("Escape")
        explorer.settle()
        assert explorer.seen() == before


def test_a_click_during_an_earlier_question_is_not_lost(lab):
    explorer = fresh(lab, SLOW)
    _, _, z = explorer.controls
    z.press("ArrowRight")
    click(explorer, 2.25, 7.5)
    shows(explorer, 2.25, 7.5, 6)


def test_neither_a_click_nor_the_slider_moved_right_after_it_is_lost(lab):
    explorer = fresh(lab, SLOW)
    _, _, z = explorer.controls
    click(explorer, 2.25, 7.5)
    z.press("ArrowRight")
    shows(explorer, 2.25, 7.5, 6)
    z.press("ArrowRight")
    click(explorer, 7.5, 2.25)
    z.press("ArrowRight")
    shows(explorer, 7.5, 2.25, 8)


def test_a_slider_moved_after_a_click_has_the_last_word_on_its_own_value(lab):
    explorer = fresh(lab, SLOW)
    x, _, z = explorer.controls
    z.press("ArrowRight")
    click(explorer, 2.25, 7.5)
    x.press("Home")
    shows(explorer, 0, 7.5, 6)


# ------------------------------------------------------------------ answers, errors, views


def test_no_answer_of_a_live_explorer_is_lost(lab, record_property):
    """Twenty presses, each one's picture awaited; then twenty as fast as they come."""
    explorer = fresh(lab, QUICK)
    x, _, z = explorer.controls
    explorer.press(z, "Home")
    shows(explorer, 5, 5, 0)
    measured = explorer.latencies(z, ["ArrowRight"] * 10 + ["ArrowLeft"] * 10)
    shows(explorer, 5, 5, 0)
    assert len(measured) == 20, "not every key brought a picture"
    times = [time for time, _ in measured]
    record_property(
        "measured",
        f"live: key to picture {statistics.median(times):.1f} ms median, "
        f"{percentile(times):.1f} ms p95",
    )
    for cell in (QUICK, SLOW):
        explorer = fresh(lab, cell)
        x, _, z = explorer.controls
        for number in range(20):
            (x, z)[number % 2].press("ArrowLeft" if number < 8 else "ArrowRight")
            if cell == QUICK:
                explorer.page.wait_for_timeout(7 * (number % 5))  # before, amid, after an answer
        # 4 steps down and 6 up again for each; x never reaches the value that raises
        shows(explorer, 7, 5, 7)


def test_an_error_of_update_is_said_and_the_picture_stays(lab):
    explorer = fresh(lab, QUICK)
    x, y, _ = explorer.controls
    explorer.press(y, "Home")
    shows(explorer, 5, 0, 5)
    before = explorer.picture()
    explorer.press(x, "End")
    expect(explorer.status_line).to_contain_text(ERROR)
    assert explorer.picture() == before
    assert lab.console == []
    explorer.press(x, "ArrowLeft")
    shows(explorer, TOP_VALUE - 1, 0, 5)


def test_a_second_view_shows_what_the_first_one_shows(lab):
    first = fresh(lab, QUICK)
    click(first, 2.25, 7.5)
    shows(first, 2.25, 7.5, 5)
    with second_view(lab, QUICK) as second:
        shows(second, 2.25, 7.5, 5)
        same_view(first, second)


def test_a_second_view_opens_after_an_error_of_update(lab):
    first = fresh(lab, QUICK)
    first.press(first.controls[0], "End")
    expect(first.status_line).to_contain_text(ERROR)
    with second_view(lab, QUICK) as second:
        expect(second.status_line).to_contain_text(ERROR)
        assert second.picture() == first.picture()
        second.press(second.controls[0], "Home")
        shows(second, 0, 5, 5)
        same_view(first, second)
    assert lab.console == []


def test_after_an_error_every_view_stands_at_the_values_that_were_asked_for(lab):
    first = fresh(lab, QUICK)
    with second_view(lab, QUICK) as open_before:
        first.press(first.controls[0], "End")
        expect(open_before.status_line).to_contain_text(ERROR)
        same_view(first, open_before)
    with second_view(lab, QUICK) as opened_after:
        same_view(first, opened_after)
        assert positions(opened_after) == [TOP_VALUE, 5, 5]


def test_two_views_move_together_and_both_get_their_answers(lab):
    first = fresh(lab, QUICK)
    with second_view(lab, QUICK) as second:
        said = [remember_what_is_said(view) for view in (first, second)]
        for view in (first, second, second, first):
            view.press(view.controls[2], "ArrowRight")
            same_view(first, second)
        shows(first, 5, 5, 9)
        click(second, 2.25, 7.5)
        shows(first, 2.25, 7.5, 9)
        for view in (first, second):  # the same question from both, twice
            for _ in range(2):
                click(view, 5, 5)
                view.settle()
        lab.page.wait_for_timeout(KERNEL_PATIENCE)
        same_view(first, second)
        assert not any(GONE.search(text) for texts in said for text in texts())
        assert all(texts() for texts in said)


def remember_what_is_said(explorer):
    """A function that returns all that the status line has said since now."""
    explorer.status_line.evaluate("""line => {
        line.said = [];
        new MutationObserver(() => line.said.push(line.textContent))
            .observe(line, { childList: true, characterData: true, subtree: true });
    }""")
    return lambda: explorer.status_line.evaluate("line => line.said")


# ------------------------------------------------------------------ play


@pytest.mark.parametrize("cell", [DRAGGED, QUICK], ids=["lookup", "live"])
def test_play_is_named_by_what_it_does_and_the_status_is_quiet_meanwhile(lab, cell):
    explorer = fresh(lab, cell)
    button = explorer.root.locator("button.de-play")
    status = explorer.status_line

    def offers(name, live):
        expect(button).to_have_accessible_name(re.compile(name))
        expect(button).not_to_have_attribute("aria-pressed", re.compile(""))
        expect(status).to_have_attribute("aria-live", live)

    offers("Play", "polite")
    explorer.press(button, "Space")
    offers("Pause", "off")
    explorer.press(button, "Space")
    offers("Play", "polite")
    played = explorer.controls[0 if cell == DRAGGED else 2]
    explorer.press(played, "End")
    for _ in range(3):  # steps of half a second: long enough to be seen playing
        explorer.press(played, "ArrowLeft")
    explorer.press(button, "Space")
    offers("Pause", "off")
    offers("Play", "polite")  # at the last value it ends by itself
    assert float(played.input_value()) == TOP_VALUE


# ------------------------------------------------------------------ a new page, a new kernel


def test_a_page_loaded_anew_shows_what_the_old_one_showed(lab):
    explorer = fresh(lab, QUICK)
    explorer.press(explorer.controls[1], "Home")
    shows(explorer, 5, 0, 5)
    before = explorer.picture()
    failed = fresh(lab, SLOW)
    failed.press(failed.controls[0], "End")
    expect(failed.status_line).to_contain_text(ERROR)
    lab.save_and_load_anew()
    explorer = lab.explorer(QUICK)
    shows(explorer, 5, 0, 5)
    assert explorer.picture() == before
    failed = lab.explorer(SLOW)
    expect(failed.status_line).to_contain_text(ERROR)
    failed.press(failed.controls[0], "Home")
    shows(failed, 0, 5, 5)
    assert lab.console == []


def test_after_a_restart_a_live_explorer_asks_for_its_cell_and_a_lookup_goes_on(lab):
    """The last test of this notebook: its explorers have lost their kernel."""
    explorer = fresh(lab, QUICK)
    lab.page.evaluate("panel().sessionContext.session.kernel.restart()")
    lab.wait_until("panel().sessionContext.session.kernel.status === 'idle'")
    before = explorer.picture()
    explorer.press(explorer.controls[0], "ArrowRight")
    expect(explorer.status_line).to_contain_text(GONE, timeout=3 * KERNEL_PATIENCE)
    assert explorer.picture() == before
    explorer = fresh(lab, DRAGGED)
    explorer.press(explorer.controls[0], "ArrowRight")
    shows(explorer, 6, 5)
    click(explorer, 2, 7)
    shows(explorer, 2, 7)
