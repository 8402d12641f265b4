"""Drawings without data: what they say is what the code does."""

import numpy as np
import pytest

from course_utils import diagrams


def texts(fig):
    return [text.get_text() for axes in fig.axes for text in axes.texts]


def test_the_sums_in_the_titles_are_a_products_entries():
    forwards, back = (axes.get_title() for axes in diagrams.two_ways(alt="x").axes)
    a, delta, W = np.array([2.0, 3.0]), np.array([5.0, 7.0]), np.array([[11.0, 13.0], [17.0, 19.0]])
    assert "a_0\\,W_{00} + a_1\\,W_{10}" in forwards
    assert (a @ W)[0] == a[0] * W[0, 0] + a[1] * W[1, 0]
    assert "W_{00}\\,\\delta_0 + W_{01}\\,\\delta_1" in back
    assert (delta @ W.T)[0] == W[0, 0] * delta[0] + W[0, 1] * delta[1]


def test_every_weight_is_written_at_its_arrow_both_ways():
    for axes in diagrams.two_ways(alt="x").axes:
        shown = [text.get_text() for text in axes.texts if "W" in text.get_text()]
        assert shown == [f"$W_{{{i}{j}}}$" for i in (0, 1) for j in (0, 1)]


def test_the_way_past_the_layer_is_drawn():
    words = " ".join(texts(diagrams.residual_layer(alt="x")))
    assert "+" in words and "unchanged" in words and "W" in words


@pytest.mark.parametrize("draw", [diagrams.two_ways, diagrams.residual_layer])
def test_nothing_is_cut_off_and_alt_text_is_asked_for(draw):
    fig = draw(alt="a drawing")
    fig.canvas.draw()
    inside = fig.bbox
    for axes in fig.axes:
        for text in axes.texts:
            box = text.get_window_extent()
            assert inside.x0 <= box.x0 and box.x1 <= inside.x1, text.get_text()
            assert inside.y0 <= box.y0 and box.y1 <= inside.y1, text.get_text()
    with pytest.raises(ValueError, match="alt"):
        draw(alt="")
