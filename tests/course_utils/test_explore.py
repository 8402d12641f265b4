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

from course_utils import explore
from course_utils.explore import live, lookup
from course_utils.plots import figure

RATES = np.array([0.1, 0.2, 0.4])
KINDS = ["sine", "cosine"]


def stage(**axes):
    fig, [[ax]] = figure(alt="a test")
    (line,) = ax.plot([], [], color="#123456", linestyle="--", marker="o", label="curve")
    ax.set(xlim=(0, 10), ylim=(-2, 2), **axes)
    return fig, ax, line


def wave(rate, kind, xs):
    return {"sine": np.sin, "cosine": np.cos}[kind](rate * xs)


def a_lookup(**changes):
    fig, ax, line = stage()
    xs = np.linspace(0, 10, 40)
    ys = np.stack([np.stack([wave(rate, kind, xs) for kind in KINDS]) for rate in RATES])
    options = dict(
        alt="a wave",
        values={"end": ys[..., -1]},
        status="{kind} {rate} ends at {end}",
        play="rate",
        start={"rate": 0.1},
        rate=RATES,
        kind=KINDS,
    )
    return lookup(fig, {line: (xs, ys)}, **(options | changes))


def a_live(on_click=None, **changes):
    fig, ax, line = stage()
    xs = np.linspace(0, 10, 40)

    def update(rate, kind):
        line.set_data(xs, wave(rate, kind, xs))
        return f"{kind} {rate:g} ends at {explore._text(wave(rate, kind, xs)[-1])}"

    options = dict(alt="a wave", on_click=on_click, start={"rate": 0.1}, rate=RATES, kind=KINDS)
    return live(fig, update, [line], **(options | changes))


# ------------------------------------------------------------------ what is drawn


@settings(deadline=None, max_examples=20)
@given(rate=st.sampled_from(list(RATES)), kind=st.sampled_from(KINDS))
def test_lookup_and_live_draw_and_say_the_same(rate, kind):
    known, asked = LOOKUP, LIVE
    for ours, theirs in zip(
        known.frame(rate=rate, kind=kind)["curve"], asked.frame(rate=rate, kind=kind)["curve"]
    ):
        np.testing.assert_allclose(ours, theirs, atol=2e-3)
    assert known.status(rate=rate, kind=kind) == asked.status(rate=rate, kind=kind)


def test_packing_keeps_positions_within_a_tenth_of_a_pixel():
    fig, ax, line = stage()
    xs, ys = np.random.default_rng(0).uniform([[0], [-2]], [[10], [2]], size=(2, 2, 500))
    shown = lookup(fig, {line: (xs, ys)}, alt="dots", k=[0, 1])
    for k in (0, 1):
        want = ax.transData.transform(np.column_stack([xs[k], ys[k]]))
        have = ax.transData.transform(np.column_stack(shown.frame(k=k)["curve"]))
        assert np.abs(have - want).max() < 0.1


def test_logarithmic_axes_are_placed_by_matplotlib():
    fig, ax, line = stage(xscale="log", yscale="log")
    ax.set(xlim=(1e-8, 1), ylim=(1e-3, 1e3))
    xs = np.geomspace(1e-8, 1, 20)
    shown = lookup(fig, {line: (xs, np.stack([1 / xs**0.3, xs]))}, alt="lines", k=[0, 1])
    np.testing.assert_allclose(shown.frame(k=0)["curve"][1], 1 / xs**0.3, rtol=1e-2)


def test_nan_and_infinity_lift_the_pen_and_zero_on_a_log_axis_lies_far_below():
    fig, ax, line = stage(yscale="log")
    ax.set(ylim=(0.1, 10))
    ys = np.array([[1.0, np.nan, 0.0, -1.0, np.inf, 2.0]] * 2)
    xs, ys = lookup(fig, {line: (np.arange(6), ys)}, alt="gaps", k=[0, 1]).frame(k=0)["curve"]
    np.testing.assert_array_equal(np.isnan(ys), [False, True, False, False, True, False])
    assert (ys[2:4] < 1e-6).all()  # as Matplotlib draws it


def test_a_point_far_outside_keeps_the_direction_of_its_segment():
    fig, ax, line = stage()
    ys = np.array([[0.0, 1e7]] * 2)
    xs, ys = lookup(fig, {line: (np.array([5.0, 5.0 + 1e6]), ys)}, alt="far", k=[0, 1]).frame()[
        "curve"
    ]
    assert xs[0] == pytest.approx(5, abs=0.01) and ys[0] == pytest.approx(0, abs=0.01)
    assert (ys[1] - ys[0]) / (xs[1] - xs[0]) == pytest.approx(10, rel=0.02)


def test_reveal_shows_a_path_up_to_the_control():
    fig, ax, line = stage()
    xs, steps = np.arange(5.0), range(5)
    shown = lookup(fig, {line: (xs, xs[None] / 4)}, reveal={line: "step"}, alt="path", step=steps)
    for k in steps:
        np.testing.assert_allclose(shown.frame(step=k)["curve"][0], xs[: k + 1], atol=0.01)


def test_polygons_are_cut_apart_at_nan():
    fig, ax, _ = stage()
    patches = ax.add_collection(PolyCollection([], facecolors="#ff000040", label="boxes"))
    xs = np.array([0, 1, 1, 0, np.nan, 2, 3, 3, np.nan])
    ys = np.array([[0, 0, 1, 1, np.nan, 0, 0, 1, np.nan]] * 2)
    shown = lookup(fig, {patches: (xs, ys)}, alt="boxes", k=[0, 1])
    shown._repr_mimebundle_()
    assert [len(path.vertices) - 1 for path in patches.get_paths()] == [4, 3]


def test_a_number_between_two_values_counts_as_the_nearest():
    assert LOOKUP.status(rate=0.19) == LOOKUP.status(rate=0.2)


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
    assert explore._text(value) == text


# ------------------------------------------------------------------ what the browser gets


def test_the_browsers_arrays_are_the_frames():
    shown = LOOKUP
    raw = zlib.decompress(shown.data)
    entry = shown.spec["table"]["artist:curve"]
    codes = np.frombuffer(raw, "<u2", np.prod(entry["shape"]), entry["offset"]).reshape(
        entry["shape"]
    )
    np.testing.assert_array_equal(codes, shown._packed["curve"])
    assert all(entry["offset"] % 4 == 0 for entry in shown.spec["table"].values())


def test_the_spec_is_plain_json_without_nan():
    for shown in (LOOKUP, LIVE):
        json.dumps(shown.spec, allow_nan=False)


def test_drag_tells_the_browser_where_each_value_lies():
    fig, ax, line = stage()
    shown = lookup(
        fig, {line: ([[0.0], [1.0]], [[0.0], [1.0]])}, drag={ax: ("k", None)}, alt="d", k=[0, 10]
    )
    [zone] = shown.spec["drag"]
    left, top, width, height = zone["box"]
    assert zone["controls"] == [
        {"name": "k", "pixels": pytest.approx([left, left + width], abs=0.1)},
        None,
    ]


def test_the_stage_leaves_the_actors_out_and_the_still_picture_has_them():
    data, metadata = LOOKUP._repr_mimebundle_()
    assert metadata["image/png"]["alt"] == "a wave"
    assert len(LOOKUP.stage) < len(data["image/png"]) * 3 / 4
    assert data["text/plain"] == "Explorer: sine 0.1 ends at 0.841"
    assert data["application/vnd.jupyter.widget-view+json"]["model_id"] == LOOKUP.model_id


def test_a_figure_of_no_whole_number_of_pixels_is_drawn_all_the_same():
    assert explore.png(Figure(figsize=(3.3335, 2.0))).startswith(b"\x89PNG")


def test_the_still_picture_is_the_same_bytes_each_time():
    assert (
        a_lookup()._repr_mimebundle_()[0]["image/png"]
        == a_lookup()._repr_mimebundle_()[0]["image/png"]
    )


def test_no_figure_stays_with_pyplot():
    code = (
        "import sys\nfrom course_utils import explorers\nexplorers.valley_walk()\n"
        "assert 'matplotlib.pyplot' not in sys.modules and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_lookup_of_the_size_in_the_design_stays_below_a_megabyte():
    fig, ax, line = stage()
    rng = np.random.default_rng(0)
    decay = np.linspace(0.5, 0.99, 41)[:, None, None, None] ** np.arange(101)
    ys = (
        2
        * decay
        * np.cos(np.arange(101) * np.linspace(0.1, 3, 12)[:, None, None])
        * np.ones((5, 1))
    )
    shown = lookup(
        fig,
        {line: (np.linspace(0, 10, 101), ys + 0 * rng.random())},
        alt="big",
        rate=np.arange(41),
        momentum=np.arange(12),
        optimizer=list("abcde"),
    )
    assert len(shown.data) < 1_000_000


# ------------------------------------------------------------------ a live explorer's answers


def question(shown, number=1, click=None, **index):
    at = dict(shown._first) | index
    shown.question = {"number": number, "index": at, "exact": {}, "click": click}
    return shown.answer


def test_a_question_is_answered_with_pixels_and_a_status():
    shown = a_live()
    answer = question(shown, rate=2)
    assert answer["number"] == 1 and answer["status"] == "sine 0.4 ends at −0.757"
    xs, ys = np.frombuffer(shown.points, "<f4").reshape(2, -1)
    assert len(xs) == 40 and (np.diff(xs) > 0).all() and answer["counts"] == [40]


def test_a_click_arrives_in_data_coordinates_and_may_fall_between_values():
    seen = []

    def on_click(x, y, axes):
        seen.append((x, y))
        return {"rate": 0.33}

    shown = a_live(on_click)
    left, top, width, height = shown.spec["clicks"][0]
    answer = question(shown, click={"axes": 0, "x": left + width / 2, "y": top})
    assert seen == [pytest.approx((5.0, 2.0), abs=0.02)]
    assert (
        answer["exact"]["rate"] == 0.33
        and answer["index"]["rate"] == 2
        and "0.33" in answer["status"]
    )


def test_an_error_in_the_learners_function_goes_to_the_status_line_and_the_picture_stays():
    fig, ax, line = stage()

    def update(k):
        line.set_data([0, 1], [0, 1])
        return f"{1 / (k - 1)}"

    shown = live(fig, update, [line], alt="fragile", start={"k": 0}, k=[0, 1, 2])
    before = shown.points
    answer = question(shown, k=1)
    assert answer["status"] == "Your function raised ZeroDivisionError: division by zero"
    assert answer["index"] == {"k": 1} and answer["counts"] == [2] and shown.points == before
    assert question(shown, number=2, k=2)["status"] == "1.0"  # and it goes on


def test_an_error_at_the_very_start_is_raised():
    fig, ax, line = stage()
    with pytest.raises(ZeroDivisionError):
        live(fig, lambda k: 1 / 0, [line], alt="broken", k=[0, 1])


# ------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"alt": ""}, ValueError, "alt="),
        ({"start": {"speed": 1}}, ValueError, "start: there is no 'speed'; there are rate, kind"),
        ({"start": {"kind": "tangent"}}, ValueError, "'tangent' is not one of"),
        ({"play": "speed"}, ValueError, "play: there is no 'speed'"),
        ({"labels": {"speed": "v"}}, ValueError, "labels: there is no 'speed'"),
        (
            {"status": "{speed}"},
            ValueError,
            "status: there is no 'speed'; there are end, rate, kind",
        ),
        (
            {"values": {"end": np.zeros((3, 3))}},
            ValueError,
            r"end: shape \(3, 3\) does not fit the controls rate \(3\), kind \(2\)",
        ),
        ({"rate": [0.1, 0.2]}, ValueError, "does not fit"),
        ({"rate": 0.1}, ValueError, "control rate: needs at least two values"),
        ({"rate": [0.1]}, ValueError, "control rate: needs at least two values"),
    ],
)
def test_what_does_not_fit_is_said(changes, error, says):
    with pytest.raises(error, match=says):
        a_lookup(**changes)


def test_an_explorer_without_a_control_is_refused():
    fig, ax, line = stage()
    with pytest.raises(ValueError, match="needs a control"):
        lookup(fig, {line: ([0], [0])}, alt="still")


def test_only_lines_and_polygons_can_move():
    fig, ax, _ = stage()
    with pytest.raises(TypeError, match="only lines and polygon collections can move"):
        lookup(fig, {ax.text(0, 0, "hello"): ([[0], [1]], [[0], [1]])}, alt="text", k=[0, 1])


def test_two_artists_with_one_name_are_refused():
    fig, ax, line = stage()
    (twin,) = ax.plot([], [], label="curve")
    data = ([[0], [1]], [[0], [1]])
    with pytest.raises(ValueError, match="same label"):
        lookup(fig, {line: data, twin: data}, alt="twins", k=[0, 1])


def test_an_artist_outside_the_figure_is_refused():
    fig, ax, _ = stage()
    stray = matplotlib.lines.Line2D([], [], label="stray")
    with pytest.raises(ValueError, match="not in any axes"):
        lookup(fig, {stray: ([[0], [1]], [[0], [1]])}, alt="stray", k=[0, 1])


def test_data_too_large_for_a_notebook_are_refused_with_a_way_out():
    fig, ax, line = stage()
    ys = np.broadcast_to(0.0, (1000, 1000, 10))
    with pytest.raises(ValueError, match=r"38 MiB; give the controls fewer values, or use live"):
        lookup(fig, {line: (0.0, ys)}, alt="huge", a=np.arange(1000), b=np.arange(1000))


def test_numbers_reach_the_browser_rounded_as_python_shows_them():
    values = np.array([1.125, 112.5, 12.25, 0.8225, 1e39, 1e-46, -7.0])
    fig, ax, line = stage()
    shown = lookup(
        fig, {line: (np.zeros((7, 1)), 0.0)}, alt="numbers", values={"v": values}, k=np.arange(7)
    )
    entry = shown.spec["table"]["value:v"]
    sent = np.frombuffer(zlib.decompress(shown.data), entry["type"], 7, entry["offset"])
    assert list(sent) == [float(f"{v:.3g}") for v in values]


def test_truth_values_are_sent_as_words():
    fig, ax, line = stage()
    shown = lookup(
        fig,
        {line: (np.zeros((2, 1)), 0.0)},
        alt="x",
        values={"ok": [True, False]},
        status="{ok}",
        k=[0, 1],
    )
    assert shown.spec["words"]["ok"] == ["off", "on"] and shown.status(k=0) == "on"


def test_dashes_of_any_kind_are_drawn_as_matplotlib_draws_them():
    fig, ax, line = stage()
    line.set(linestyle=(0, (1, 2)), linewidth=3)
    shown = lookup(fig, {line: (np.zeros((2, 1)), 0.0)}, alt="dots", k=[0, 1])
    assert shown.spec["artists"][0]["dash"] == pytest.approx([3 * 100 / 72, 6 * 100 / 72])


def test_an_artist_that_was_hidden_stays_hidden():
    fig, ax, line = stage()
    line.set_visible(False)
    lookup(fig, {line: (np.zeros((2, 1)), 0.0)}, alt="x", k=[0, 1])._repr_mimebundle_()
    assert not line.get_visible()


def test_an_update_without_a_status_line_is_refused():
    fig, ax, line = stage()
    with pytest.raises(TypeError, match="return the status line"):
        live(fig, lambda k: None, [line], alt="x", k=[0, 1])


def test_marks_that_cannot_move_are_refused():
    fig, ax, line = stage()
    line.set_markevery(5)
    with pytest.raises(ValueError, match="markevery=5 cannot move"):
        lookup(fig, {line: (np.zeros((2, 1)), 0.0)}, alt="x", k=[0, 1])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"drag": "kind"}, "drag: kind is a menu"),
        ({"status": "{rate:.2f}"}, "status: there is no 'rate:.2f'"),
        ({"rate": [0.1, float("nan"), 0.4]}, "control rate: nan is no value"),
    ],
)
def test_what_the_browser_could_not_do_is_refused(options, says):
    if "drag" in options:
        fig, ax, line = stage()
        with pytest.raises(ValueError, match=says):
            lookup(
                fig, {line: (np.zeros((2, 1)), 0.0)}, alt="x", drag={ax: ("kind", None)}, kind=KINDS
            )
        return
    with pytest.raises(ValueError, match=says):
        a_lookup(**options)


def test_an_unknown_setting_of_a_frame_is_named():
    with pytest.raises(ValueError, match="there is no 'speed'; there are rate, kind"):
        LOOKUP.frame(speed=3)


def test_live_wants_a_function():
    fig, ax, line = stage()
    with pytest.raises(TypeError, match="update must be a function"):
        live(fig, "update", [line], alt="x", k=[0, 1])


# ------------------------------------------------------------------ running a cell again


def test_running_a_cell_again_closes_its_explorers_whatever_it_shows_now(monkeypatch):
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell()
    running = {"metadata": {"cellId": "a"}}
    monkeypatch.setattr(shell, "get_parent", lambda: running, raising=False)
    monkeypatch.setattr("IPython.get_ipython", lambda: shell)
    monkeypatch.setattr(explore, "_made_in_cell", {})

    def run(cell, make):
        running["metadata"]["cellId"] = cell
        shell.events.trigger("pre_run_cell", None)
        return make()

    first, second = run("a", lambda: (a_lookup(), a_live()))
    other = run("b", a_lookup)
    run("a", lambda: None)
    assert [w.comm is None for w in (first, second, other)] == [True, True, False]


LOOKUP, LIVE = a_lookup(), a_live()
