import json
import subprocess
import sys
import zlib

import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from course_utils._text import shown as in_words
from course_utils.explore import Control, On, cells, explorer
from course_utils.explore.spec import Spec
from course_utils.pictures import figure, png

RATES = np.array([0.1, 0.2, 0.4])
KINDS = ["sine", "cosine"]


def stage(**axes):
    fig, [[ax]] = figure(alt="a test")
    (line,) = ax.plot([], [], color="#123456", linestyle="--", marker="o", label="curve")
    ax.set(xlim=(0, 10), ylim=(-2, 2), **axes)
    return fig, ax, line


def wave(rate, kind, xs):
    return {"sine": np.sin, "cosine": np.cos}[kind](rate * xs)


def controls(**changes):
    made = {"rate": Control(RATES, start=0.1, play=True), "kind": Control(KINDS)}
    return made | changes


def an_explorer(**changes):
    fig, ax, line = stage()
    xs = np.linspace(0, 10, 40)
    ys = np.stack([np.stack([wave(rate, kind, xs) for kind in KINDS]) for rate in RATES])
    options = dict(
        controls=controls(),
        moving={line: (xs, On(ys, "rate kind"))},
        alt="a wave",
        says={"end": On(ys[..., -1], "rate kind")},
        status="{kind} {rate} ends at {end}",
    )
    return explorer(fig, **(options | changes))


def of_two(fig, line, xs, ys, **options):
    """An explorer of one control, k = 0 or 1, that moves this line."""
    options = {"alt": "a test", **options}
    return explorer(fig, {"k": Control([0, 1])}, {line: (xs, ys)}, **options)


# ------------------------------------------------------------------ what is drawn


@settings(deadline=None, max_examples=20)
@given(rate=st.sampled_from(list(RATES)), kind=st.sampled_from(KINDS))
def test_what_is_drawn_and_said_is_what_was_computed(rate, kind):
    xs, ys = SHOWN.frame(rate=rate, kind=kind)["curve"]
    np.testing.assert_allclose(xs, np.linspace(0, 10, 40), atol=2e-3)
    np.testing.assert_allclose(ys, wave(rate, kind, np.linspace(0, 10, 40)), atol=2e-3)
    end = in_words(wave(rate, kind, 10))
    assert SHOWN.status(rate=rate, kind=kind) == f"{kind} {rate} ends at {end}"


@pytest.mark.parametrize("order", [("rate", "kind"), ("kind", "rate")])
def test_an_array_may_name_its_controls_in_any_order(order):
    fig, ax, line = stage()
    sizes = {"rate": 3, "kind": 2}
    grid = np.arange(6.0).reshape(3, 2)  # rate, kind
    array = grid if order[0] == "rate" else grid.T
    assert array.shape == tuple(sizes[name] for name in order)
    shown = an_explorer(
        moving={line: (5.0, 0.0)}, says={"v": On(array, " ".join(order))}, status="{v}"
    )
    assert [shown.status(rate=r, kind=k) for r in RATES for k in KINDS] == list("012345")


def test_what_follows_one_control_stands_still_when_another_moves():
    shown = an_explorer(says={"v": On([1, 2], "kind")}, status="{v}")
    assert {shown.status(rate=rate, kind="cosine") for rate in RATES} == {"2"}
    assert shown.spec["table"]["value:v"]["shape"] == [1, 2]


def test_packing_keeps_positions_within_a_tenth_of_a_pixel():
    fig, ax, line = stage()
    xs, ys = np.random.default_rng(0).uniform([[0], [-2]], [[10], [2]], size=(2, 2, 500))
    shown = of_two(fig, line, On(xs, "k"), On(ys, "k"))
    for k in (0, 1):
        want = ax.transData.transform(np.column_stack([xs[k], ys[k]]))
        have = ax.transData.transform(np.column_stack(shown.frame(k=k)["curve"]))
        assert np.abs(have - want).max() < 0.1


def test_logarithmic_axes_are_placed_by_matplotlib():
    fig, ax, line = stage(xscale="log", yscale="log")
    ax.set(xlim=(1e-8, 1), ylim=(1e-3, 1e3))
    xs = np.geomspace(1e-8, 1, 20)
    shown = of_two(fig, line, xs, On(np.stack([1 / xs**0.3, xs]), "k"))
    np.testing.assert_allclose(shown.frame(k=0)["curve"][1], 1 / xs**0.3, rtol=1e-2)


def test_nan_and_infinity_lift_the_pen_and_zero_on_a_log_axis_lies_far_below():
    fig, ax, line = stage(yscale="log")
    ax.set(ylim=(0.1, 10))
    ys = np.array([1.0, np.nan, 0.0, -1.0, np.inf, 2.0])
    xs, ys = of_two(fig, line, np.arange(6), ys).frame(k=0)["curve"]
    np.testing.assert_array_equal(np.isnan(ys), [False, True, False, False, True, False])
    assert (ys[2:4] < 1e-6).all()  # as Matplotlib draws it


def test_a_point_far_outside_keeps_the_direction_of_its_segment():
    fig, ax, line = stage()
    xs, ys = of_two(fig, line, [5.0, 5.0 + 1e6], [0.0, 1e7]).frame()["curve"]
    assert xs[0] == pytest.approx(5, abs=0.01) and ys[0] == pytest.approx(0, abs=0.01)
    assert (ys[1] - ys[0]) / (xs[1] - xs[0]) == pytest.approx(10, rel=0.02)


def test_reveal_shows_a_path_up_to_the_control():
    fig, ax, line = stage()
    xs, steps = np.arange(5.0), range(5)
    shown = explorer(fig, {"step": Control(steps)}, {line: (xs, xs / 4, "step")}, alt="path")
    for k in steps:
        np.testing.assert_allclose(shown.frame(step=k)["curve"][0], xs[: k + 1], atol=0.01)


def test_polygons_are_cut_apart_at_nan():
    fig, ax, _ = stage()
    patches = ax.add_collection(PolyCollection([], facecolors="#ff000040", label="boxes"))
    xs = np.array([0, 1, 1, 0, np.nan, 2, 3, 3, np.nan])
    ys = np.array([0, 0, 1, 1, np.nan, 0, 0, 1, np.nan])
    shown = of_two(fig, patches, xs, ys)
    shown._repr_mimebundle_()
    assert [len(path.vertices) - 1 for path in patches.get_paths()] == [4, 3]


def test_a_number_between_two_values_counts_as_the_nearest():
    assert SHOWN.status(rate=0.19) == SHOWN.status(rate=0.2)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (-0.0, "0"),
        (1.5, "1.5"),
        (-2, "−2"),
        (12345.6, "12300"),
        (1e5, "1e5"),
        (3.14159e-7, "3.14e−7"),
        (0.001, "0.001"),
        (float("nan"), "–"),
        (float("inf"), "∞"),
        (-float("inf"), "−∞"),
        (True, "on"),
        ("a", "a"),
        (999.5, "1000"),
        (0.00099996, "0.001"),
    ],
)
def test_numbers_have_three_significant_digits_and_a_true_minus(value, text):
    assert in_words(value) == text


# ------------------------------------------------------------------ what the browser gets


def test_the_browsers_arrays_are_the_frames():
    shown = SHOWN
    raw = zlib.decompress(shown.data)
    entry = shown.spec["table"]["artist:curve"]
    codes = np.frombuffer(raw, "<u2", np.prod(entry["shape"]), entry["offset"]).reshape(
        entry["shape"]
    )
    np.testing.assert_array_equal(codes, shown._packed["curve"])
    assert all(entry["offset"] % 4 == 0 for entry in shown.spec["table"].values())


def test_the_spec_is_plain_json_without_nan():
    json.dumps(SHOWN.spec, allow_nan=False)
    assert set(SHOWN.spec) == set(Spec.__annotations__)


def test_drag_tells_the_browser_where_each_value_lies():
    fig, ax, line = stage()
    dot = {line: (On([0.0, 1.0], "k"), 0.0)}
    shown = explorer(fig, {"k": Control([0, 10])}, dot, drag={ax: ("k", None)}, alt="d")
    [zone] = shown.spec["drag"]
    left, top, width, height = zone["box"]
    assert zone["controls"] == [
        {"name": "k", "pixels": pytest.approx([left, left + width], abs=0.1)},
        None,
    ]


def test_the_stage_leaves_the_actors_out_and_the_still_picture_has_them():
    data, metadata = SHOWN._repr_mimebundle_()
    assert metadata["image/png"]["alt"] == "a wave"
    assert len(SHOWN.stage) < len(data["image/png"]) * 3 / 4
    assert data["text/plain"] == "Explorer: sine 0.1 ends at 0.841"
    assert data["application/vnd.jupyter.widget-view+json"]["model_id"] == SHOWN.model_id


def test_a_figure_of_no_whole_number_of_pixels_is_drawn_all_the_same():
    assert png(Figure(figsize=(3.3335, 2.0))).startswith(b"\x89PNG")


def test_the_still_picture_is_the_same_bytes_each_time():
    assert (
        an_explorer()._repr_mimebundle_()[0]["image/png"]
        == an_explorer()._repr_mimebundle_()[0]["image/png"]
    )


def test_no_figure_stays_with_pyplot():
    code = (
        "import sys\nfrom course_utils import explorers\nexplorers.valley_walk()\n"
        "assert 'matplotlib.pyplot' not in sys.modules and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_explorer_of_the_size_in_the_design_stays_below_a_megabyte():
    fig, ax, line = stage()
    decay = np.linspace(0.5, 0.99, 41)[:, None, None, None] ** np.arange(101)
    turn = np.cos(np.arange(101) * np.linspace(0.1, 3, 12)[:, None, None])
    ys = 2 * decay * turn * np.ones((5, 1))
    shown = explorer(
        fig,
        {
            "rate": Control(np.arange(41)),
            "momentum": Control(np.arange(12)),
            "optimizer": Control(list("abcde")),
        },
        {line: (np.linspace(0, 10, 101), On(ys, "rate momentum optimizer"))},
        alt="big",
    )
    assert len(shown.data) < 1_000_000


# ------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"alt": ""}, "alt="),
        ({"controls": {}}, "needs a control"),
        ({"controls": controls(kind=Control(KINDS, start="tangent"))}, "'tangent' is not one of"),
        (
            {"controls": controls(kind=Control([1, 2], play=True))},
            "one control can be played, not rate and kind",
        ),
        ({"controls": controls(rate=Control([0.1, 0.2]))}, r"does not fit the controls rate \(2\)"),
        ({"controls": controls(rate=Control(0.1))}, "control rate: needs at least two values"),
        ({"controls": controls(rate=Control([0.1]))}, "control rate: needs at least two values"),
        ({"controls": controls(rate=Control([0.1, np.nan, 0.4]))}, "control rate: nan is no value"),
        ({"status": "{speed}"}, "status: there is no 'speed'; there are end, rate, kind"),
        ({"status": "{rate:.2f}"}, "status: there is no 'rate:.2f'"),
        ({"says": {"end": On([1, 2, 3], "speed")}}, "end: there is no 'speed'; there are rate"),
        (
            {"says": {"end": On(np.zeros((3, 3)), "rate kind")}},
            r"end: shape \(3, 3\) does not fit the controls rate \(3\), kind \(2\)",
        ),
        ({"says": {"end": On(np.zeros((3, 2)), "rate")}}, "an axis that follows no control"),
    ],
)
def test_what_does_not_fit_is_said(changes, says):
    with pytest.raises(ValueError, match=says):
        an_explorer(**changes)


def test_a_path_that_is_revealed_by_no_control_is_refused():
    fig, ax, line = stage()
    with pytest.raises(ValueError, match="moving: there is no 'step'; there are k"):
        explorer(fig, {"k": Control([0, 1])}, {line: ([0], [0], "step")}, alt="path")


def test_only_lines_and_polygons_can_move():
    fig, ax, _ = stage()
    with pytest.raises(TypeError, match="only lines and polygon collections can move"):
        of_two(fig, ax.text(0, 0, "hello"), 0.0, 0.0)


def test_two_artists_with_one_name_are_refused():
    fig, ax, line = stage()
    (twin,) = ax.plot([], [], label="curve")
    with pytest.raises(ValueError, match="same label"):
        explorer(fig, {"k": Control([0, 1])}, {line: (0, 0), twin: (0, 0)}, alt="twins")


def test_an_artist_outside_the_figure_is_refused():
    fig, ax, _ = stage()
    stray = matplotlib.lines.Line2D([], [], label="stray")
    with pytest.raises(ValueError, match="not in any axes"):
        of_two(fig, stray, 0.0, 0.0)


def test_data_too_large_for_a_notebook_are_refused_with_a_way_out():
    fig, ax, line = stage()
    ys = np.broadcast_to(0.0, (1000, 1000, 10))
    many = {name: Control(np.arange(1000)) for name in "ab"}
    with pytest.raises(ValueError, match="38 MiB; give the controls fewer values"):
        explorer(fig, many, {line: (0.0, On(ys, "a b"))}, alt="huge")


def test_numbers_reach_the_browser_rounded_as_python_shows_them():
    values = np.array([1.125, 112.5, 12.25, 0.8225, 1e39, 1e-46, -7.0])
    fig, ax, line = stage()
    seven = {"k": Control(np.arange(7))}
    shown = explorer(fig, seven, {line: (0.0, 0.0)}, says={"v": On(values, "k")}, alt="numbers")
    entry = shown.spec["table"]["value:v"]
    sent = np.frombuffer(zlib.decompress(shown.data), entry["type"], 7, entry["offset"])
    assert list(sent) == [float(f"{v:.3g}") for v in values]


def test_truth_values_are_sent_as_words():
    fig, ax, line = stage()
    shown = of_two(fig, line, 0.0, 0.0, says={"ok": On([True, False], "k")}, status="{ok}")
    assert shown.spec["words"]["ok"] == ["off", "on"] and shown.status(k=0) == "on"


def test_dashes_of_any_kind_are_drawn_as_matplotlib_draws_them():
    fig, ax, line = stage()
    line.set(linestyle=(0, (1, 2)), linewidth=3)
    shown = of_two(fig, line, 0.0, 0.0)
    assert shown.spec["artists"][0]["dash"] == pytest.approx([3 * 100 / 72, 6 * 100 / 72])


def test_an_artist_that_was_hidden_stays_hidden():
    fig, ax, line = stage()
    line.set_visible(False)
    of_two(fig, line, 0.0, 0.0)._repr_mimebundle_()
    assert not line.get_visible()


def test_marks_that_cannot_move_are_refused():
    fig, ax, line = stage()
    line.set_markevery(5)
    with pytest.raises(ValueError, match="markevery=5 cannot move"):
        of_two(fig, line, 0.0, 0.0)


def test_a_menu_cannot_be_dragged():
    fig, ax, line = stage()
    with pytest.raises(ValueError, match="drag: kind is a menu"):
        explorer(fig, controls(), {line: (0.0, 0.0)}, alt="x", drag={ax: ("kind", None)})


def test_an_unknown_setting_of_a_frame_is_named():
    with pytest.raises(ValueError, match="there is no 'speed'; there are rate, kind"):
        SHOWN.frame(speed=3)


# ------------------------------------------------------------------ running a cell again


def test_running_a_cell_again_closes_its_explorers_whatever_it_shows_now(monkeypatch):
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell()
    running = {"metadata": {"cellId": "a"}}
    monkeypatch.setattr(shell, "get_parent", lambda: running, raising=False)
    monkeypatch.setattr("IPython.get_ipython", lambda: shell)
    monkeypatch.setattr(cells, "_made_in_cell", {})

    def run(cell, make):
        running["metadata"]["cellId"] = cell
        shell.events.trigger("pre_run_cell", None)
        return make()

    first, second = run("a", lambda: (an_explorer(), an_explorer()))
    other = run("b", an_explorer)
    run("a", lambda: None)
    assert [w.comm is None for w in (first, second, other)] == [True, True, False]


SHOWN = an_explorer()
