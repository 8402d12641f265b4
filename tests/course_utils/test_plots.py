import base64
import subprocess
import sys
import warnings
from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pytest
import scipy.stats

from course_utils import plots, surfaces
from course_utils.data import digits
from course_utils.explorers import secant
from course_utils.pictures import _families, png
from course_utils.plots import arrow, curves, figure


def a_figure():
    return curves(
        range(3), {"a": [1, 2, 3], "b": [3, 2]}, xlabel="step", ylabel="loss", alt="two lines"
    )


def heavy_ball(rates, momenta, curvatures):
    """The factor of a step of momentum on a quadratic: the largest root of Polyak (1964)."""
    eta, mu, lam = np.meshgrid(rates, momenta, curvatures, indexing="ij")
    half = (1 + mu - eta * lam) / 2
    root = np.sqrt(half**2 - mu + 0j)
    return np.maximum(abs(half + root), abs(half - root)).max(-1)


def a_phase_diagram(factor=None):
    rates, momenta = np.linspace(0.02, 2.2, 41), np.linspace(0, 0.95, 31)
    if factor is None:
        factor = heavy_ball(rates, momenta, [0.1, 2.0])
    slow, fast = np.sqrt([0.1, 2.0])
    best = (2 / (slow + fast)) ** 2, ((fast - slow) / (fast + slow)) ** 2
    return plots.phase_diagram(rates, momenta, factor, best=best, border=1 + momenta, alt="x")


def a_chart(steps):
    """As much of a `patients.Chart` as is drawn; a chart of lesson 08 leaves the axes and has 0."""
    epochs = np.arange(3) * steps
    return SimpleNamespace(
        steps=epochs,
        loss=np.array([2.3, 1e9, np.nan]),
        one_batch=np.array([2.3, 0.0, 1.0]),
        accuracy=np.array([0.1, 0.5, 1.0]),
        val_accuracy=np.array([0.1, 0.4, 0.9]),
        new_accuracy=0.8,
        update=np.array([0.01, 1e-16, 0.02]),
    )


def every_figure():
    surface = surfaces.HIMMELBLAU
    starts = np.array([[0.0, 0.0], [1.0, 1.0], [-1.0, 1.0]])
    yield a_figure()
    yield plots.landscape(surface, starts, alt="x")
    yield plots.intervals(
        {"a": [1, 2, 3], "b": [2, 2.5, 4]}, xlabel="loss", ylabel="rule", alt="x", baseline="a"
    )
    yield plots.chart(a_chart(10), a_chart(10), alt="x")
    yield plots.matrix([[0.1, 0.9]], ["a"], ["b", "c"], xlabel="x", ylabel="y", title="t", alt="x")
    many = [[0.1, 0.9, 0.2, 0.3]]
    labels = {"xlabel": "x", "ylabel": "y", "title": "t", "alt": "x"}
    yield plots.matrix(many, ["a"], list("bcde"), every=2, **labels)
    yield plots.endings(surface, starts, np.array([0, 1, 0]), np.array([0, 1, 1]), alt="x")
    yield plots.slope_under_curve(np.sin, np.cos, 0, 6, alt="x")
    yield plots.gradient_field(surface, surface.gradient, surface.bounds, alt="x")
    yield plots.three_flat_points({"bowl": surfaces.BOWL, "saddle": surfaces.SADDLE}, alt="x")
    yield plots.two_directions(surface, [-3.0, 2.0], [1.0, -2.0], [0.0, 0.0], alt="x")
    yield a_phase_diagram()
    yield plots.landscape(surface, starts, alt="x", log=True)
    fits = {"degree 1": np.ones((3, 4)), "degree 2": np.zeros((3, 4))}
    near = {"ylim": (-2, 2), "xlabel": "x", "ylabel": "y", "alt": "x"}
    yield plots.repeated(np.arange(4), fits, np.arange(4), **near)
    beside = {"left": {"a": [1, 2, 3]}, "right": {"a": [1, 2, 4]}}
    yield plots.intervals_beside(beside, xlabel="loss", ylabel="rule", alt="x")


def test_pictures_show_each_digit_under_its_title_and_refuse_what_does_not_fit():
    X, y = digits()
    fig = plots.pictures(X[:12], y[:12], alt="twelve digits")
    shown = [axes for axes in fig.axes if axes.images]
    assert [axes.get_title() for axes in shown] == [str(label) for label in y[:12]]
    for axes, image in zip(shown, X):
        np.testing.assert_array_equal(axes.images[0].get_array(), image.reshape(8, 8))
    for images, titles in [(X[:2], "a"), (X[:0], ""), (X[:2, :9], "ab")]:
        with pytest.raises(ValueError, match=r"features \(N, 64\)"):
            plots.pictures(images, titles, alt="x")


def test_every_axis_of_every_figure_has_a_label():
    for fig in every_figure():
        for axes in fig.axes:
            shared = axes.xaxis.get_tick_params().get("labelbottom") is False
            beside = axes.yaxis.get_tick_params().get("labelleft") is False
            scale = axes.get_label() == "<colorbar>"
            assert (axes.get_xlabel() or shared or scale) and (axes.get_ylabel() or beside), fig.alt


def test_a_phase_diagram_shows_settings_that_get_closer_and_leaves_out_the_others():
    axes = a_phase_diagram().axes[0]
    drawn = axes.collections[0].get_array()
    rates, momenta = np.linspace(0.02, 2.2, 41), np.linspace(0, 0.95, 31)
    np.testing.assert_array_equal(drawn.mask, (rates >= 1 + momenta[:, None]))
    border, star = axes.lines[:2]
    k = np.argmin(drawn.filled(2.0))
    x, y = star.get_data()
    assert abs(x[0] - rates[k % 41]) < 0.06 and abs(y[0] - momenta[k // 41]) < 0.04
    np.testing.assert_array_equal(border.get_xdata(), 1 + momenta)


def test_a_phase_diagram_takes_diverged_runs_and_refuses_the_wrong_way_round():
    factor = heavy_ball(np.linspace(0.02, 2.2, 41), np.linspace(0, 0.95, 31), [0.1, 2.0])
    as_nan = a_phase_diagram(np.where(factor < 1, factor, np.nan))
    first, second = (f.axes[0].collections[0].get_array().mask for f in (as_nan, a_phase_diagram()))
    np.testing.assert_array_equal(first, second)
    with pytest.raises(ValueError, match=r"expected \(41, 31\), rates by momenta"):
        a_phase_diagram(factor.T)


def test_a_figure_is_shown_with_alt_text_and_its_size_in_css_pixels():
    data, metadata = a_figure()._repr_mimebundle_()
    assert data["text/plain"] == "Figure: two lines"
    assert metadata["image/png"] == {"alt": "two lines", "width": 700, "height": 340}
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")


def test_a_screen_reader_in_jupyterlab_gets_the_alt_text():
    fig, _ = figure(alt='the "best" line & 2 < 3')
    data, _ = fig._repr_mimebundle_()
    assert 'alt="the &quot;best&quot; line &amp; 2 &lt; 3"' in data["text/html"]
    assert f'src="data:image/png;base64,{data["image/png"]}"' in data["text/html"]


def test_the_same_figure_is_the_same_bytes():
    assert a_figure()._repr_mimebundle_() == a_figure()._repr_mimebundle_()


def test_a_figure_without_alt_text_is_refused():
    with pytest.raises(ValueError, match="alt="):
        figure(alt=" ")


def test_lines_differ_in_style_as_well_as_in_colour():
    lines = a_figure().axes[0].lines
    assert (
        len({line.get_color() for line in lines})
        == len({line.get_linestyle() for line in lines})
        == 2
    )
    assert len({str(style) for _, style in plots.STYLES}) == len(plots.STYLES)


def luminance(color):
    channels = np.array(mpl.colors.to_rgb(color))
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


@pytest.mark.parametrize("color", [plots.BLUE, plots.ORANGE, plots.GREEN, plots.GREY])
def test_colours_of_lines_and_words_keep_a_contrast_of_4_5_on_white(color):
    assert 1.05 / (luminance(color) + 0.05) >= 4.5  # WCAG 2.2, success criterion 1.4.3


def test_an_arrow_ends_where_it_points():
    xs, ys = arrow([0, 1], [0, 1], [2, 0], [0, 3])
    assert xs.shape == ys.shape == (2, 5)
    np.testing.assert_array_equal(np.stack([xs, ys], -1)[:, 1], [[2, 0], [1, 4]])


def test_an_arrow_of_no_length_stays_at_its_point():
    np.testing.assert_array_equal(arrow(1, 2, 0, 0), [[1] * 5, [2] * 5])


def test_figures_need_no_pyplot():
    code = (
        "import sys\nfrom course_utils import plots\nplots.use_style()\n"
        "plots.curves([0, 1], {'a': [0, 1]}, xlabel='x', ylabel='y', alt='a')._repr_mimebundle_()\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_interval_spans_what_student_says():
    values = np.array([1.0, 2.0, 4.0, 5.0])
    fig = plots.intervals({"a": values, "b": values + 1}, xlabel="x", ylabel="y", alt="x")
    bar = fig.axes[0].lines[1].get_xdata()
    np.testing.assert_allclose(
        bar, scipy.stats.t.interval(0.95, 3, 3.0, scipy.stats.sem(values)), atol=2e-3
    )


def test_a_chart_shows_the_run_over_its_reference_in_grey():
    fig = plots.chart(a_chart(10), a_chart(5), alt="x")
    loss, accuracy, step = fig.axes
    for axes in fig.axes:
        half = len(axes.lines) // 2
        assert {line.get_color() for line in axes.lines[:half]} == {plots.GREY}
        assert plots.GREY not in {line.get_color() for line in axes.lines[half:]}
        looks = {str((line.get_linestyle(), line.get_marker())) for line in axes.lines}
        assert len(looks) == len(axes.lines) - (axes is accuracy)  # the two marks differ in colour
    np.testing.assert_array_equal(loss.lines[2].get_xydata(), [[0, 2.3], [10, 1e9], [20, np.nan]])
    assert accuracy.lines[-1].get_xydata().tolist() == [[20, 0.8]]
    assert [text.get_text() for text in accuracy.get_legend().get_texts()] == [
        "training",
        "validation",
        "new digits",
    ]
    assert [text.get_text() for text in step.get_legend().get_texts()] == [
        "healthy run",
        "this run",
    ]


def test_charts_of_any_two_runs_have_the_same_heights():
    wild = SimpleNamespace(**{**vars(a_chart(10)), "update": np.array([14.0, 1e4, 1e-9])})
    limits = [
        [axes.get_ylim() for axes in plots.chart(run, a_chart(10), alt="x").axes]
        for run in (wild, a_chart(10))
    ]
    assert limits[0] == limits[1]


def test_a_matrix_says_each_share_in_per_cent_and_refuses_what_is_none():
    labels = {"xlabel": "x", "ylabel": "y", "title": "t", "alt": "x"}
    fig = plots.matrix([[0.123, 0.9], [0.5, 1]], ["a", "b"], ["c", "d"], **labels)
    assert [text.get_text() for text in fig.axes[0].texts] == ["12", "90", "50", "100"]
    assert [label.get_text() for label in fig.axes[0].get_xticklabels()] == ["c", "d"]
    for wrong in (np.nan, -0.1, 12.0):
        with pytest.raises(ValueError, match=f"but one is {wrong:g}"):
            plots.matrix([[0.5, wrong]], ["a"], ["c", "d"], **labels)


ODD = {
    "figure.facecolor": "black",
    "axes.facecolor": "black",
    "savefig.bbox": "tight",
    "savefig.facecolor": "red",
    "font.size": 20,
    "font.family": "monospace",
    "lines.linewidth": 9,
    "text.color": "white",
    "axes.prop_cycle": mpl.cycler(color=["red"]),
    "axes.formatter.useoffset": False,
    "image.cmap": "jet",
    "legend.frameon": True,
}


@pytest.mark.parametrize("style", ["dark_background", "ggplot", "fivethirtyeight", "own"])
def test_a_readers_style_changes_no_picture(style):
    plain = [png(fig) for fig in every_figure()]
    with mpl.style.context(ODD if style == "own" else style):
        found = [png(fig) for fig in every_figure()]
        assert mpl.rcParams["font.size"] != 11 or style != "own"  # and the reader keeps theirs
    assert found == plain


def test_a_readers_style_changes_no_explorer():
    def made():
        return secant(np.sin, 0, 6, start=1.0)._repr_mimebundle_()[0]["image/png"]

    plain = made()
    with mpl.style.context(ODD):
        assert made() == plain


KOREAN = "학습률 기울기"


@pytest.mark.skipif(len(_families()) == 1, reason="no Korean font is installed")
def test_korean_letters_are_drawn_where_a_font_is_installed():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        korean = png(curves([0, 1], {KOREAN: [0, 1]}, xlabel=KOREAN, ylabel=KOREAN, alt="x"))
        assert korean != png(curves([0, 1], {"x": [0, 1]}, xlabel="x", ylabel="x", alt="x"))


def test_more_lines_than_styles_are_refused_not_left_out():
    lines = {f"line {k}": [0, k] for k in range(5)}
    fig = curves([0, 1], lines, xlabel="x", ylabel="y", alt="x")
    assert len(fig.axes[0].lines) == 5
    lines["line 5"] = [0, 5]
    for draw in (
        lambda: curves([0, 1], lines, xlabel="x", ylabel="y", alt="x"),
        lambda: plots.panels({"xs": [0, 1], "lines": lines, "xlabel": "", "ylabel": ""}, alt="x"),
        lambda: plots.fits([0, 1], [0, 1], dict.fromkeys(lines, (1.0, 0.0)), alt="x"),
    ):
        with pytest.raises(ValueError, match="6 lines, but only 5 can be told apart"):
            draw()

    class Five:
        minima, bounds = np.zeros((5, 2)), np.array([[0, 1], [0, 1]])

        def __call__(self, x):
            return x[..., 0]

    with pytest.raises(ValueError, match="5 valleys, but only 4"):
        plots.endings(Five(), np.zeros((2, 2)), np.array([0, 4]), np.array([0, 4]), alt="x")
    with pytest.raises(ValueError, match="'long' has 3 values, but xs only 2"):
        curves([0, 1], {"long": [1, 2, 3]}, xlabel="x", ylabel="y", alt="x")


@pytest.mark.parametrize(
    "height",
    [
        lambda x: np.full(x.shape[:-1], 3.0),
        lambda x: np.log(x[..., 0]),
        lambda x: 1 / np.abs(x[..., 0]),
        lambda x: np.where(x[..., 0] > 0, 1.0, np.nan),
    ],
)
def test_a_plain_or_a_hole_is_drawn(height):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        slope = np.zeros_like
        png(plots.gradient_field(height, slope, [[-1, 1], [-1, 1]], alt="x"))


def test_what_cannot_be_drawn_is_said():
    window = [[-1, 1], [-1, 1]]
    with pytest.raises(ValueError, match="no finite value in the window"):
        plots.gradient_field(lambda x: x[..., 0] * np.nan, np.zeros_like, window, alt="x")
    with pytest.raises(ValueError, match="one height for each point"):
        plots.gradient_field(lambda x: x[0], np.zeros_like, window, alt="x")
    for values, words in (([[50.0, 10.0]], "shares from 0 to 1"), ([[0.5]], "2 columns")):
        with pytest.raises(ValueError, match=words):
            plots.matrix(values, ["a"], ["b", "c"], xlabel="", ylabel="", title="", alt="x")
    for alt in (None, "", " ", 5):
        with pytest.raises(ValueError, match="what the figure shows"):
            figure(alt=alt)
