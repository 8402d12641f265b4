import base64
import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest
import scipy.stats

from course_utils import plots, surfaces
from course_utils.plots import arrow, curves, figure


def a_figure():
    return curves(
        range(3), {"a": [1, 2, 3], "b": [3, 2]}, xlabel="step", ylabel="loss", alt="two lines"
    )


def every_figure():
    surface = surfaces.HIMMELBLAU
    starts = np.array([[0.0, 0.0], [1.0, 1.0], [-1.0, 1.0]])
    yield a_figure()
    yield plots.landscape(surface, starts, alt="x")
    yield plots.intervals({"a": [1, 2, 3], "b": [2, 2.5, 4]}, xlabel="loss", ylabel="rule", alt="x",
                          baseline="a")
    yield plots.endings(surface, starts, np.array([0, 1, 0]), np.array([0, 1, 1]), alt="x")
    yield plots.slope_under_curve(np.sin, np.cos, 0, 6, alt="x")
    yield plots.gradient_field(surface, surface.gradient, surface.bounds, alt="x")
    yield plots.three_flat_points({"bowl": surfaces.BOWL, "saddle": surfaces.SADDLE}, alt="x")
    yield plots.two_directions(surface, [-3.0, 2.0], [1.0, -2.0], [0.0, 0.0], alt="x")


def test_every_axis_of_every_figure_has_a_label():
    for fig in every_figure():
        for axes in fig.axes:
            shared = axes.xaxis.get_tick_params().get("labelbottom") is False
            assert (axes.get_xlabel() or shared) and axes.get_ylabel(), fig.alt


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
    np.testing.assert_allclose(bar, scipy.stats.t.interval(0.95, 3, 3.0, scipy.stats.sem(values)),
                               rtol=1e-3)
