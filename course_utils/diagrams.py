"""Drawings of how networks are built: circles, boxes and arrows, without data. Lesson 06."""

from __future__ import annotations

from itertools import pairwise

from matplotlib.axes import Axes

from course_utils.pictures import BLUE, GREY, ORANGE, Picture, figure, in_own_style

__all__ = ["residual_layer", "two_ways"]

CIRCLE = {"boxstyle": "circle,pad=0.35", "facecolor": "white", "edgecolor": "black"}
BOX = {"boxstyle": "round,pad=0.45", "facecolor": "white", "edgecolor": "black"}


def _empty(axes: Axes, width: float, height: float) -> None:
    axes.set(xlim=(0, width), ylim=(0, height), xticks=[], yticks=[])
    axes.grid(False)
    axes.spines[:].set_visible(False)


def _arrow(axes, start, end, color, style="-", width=1.6, bend=0.0, margin=15.0):
    look = {"color": color, "linestyle": style, "linewidth": width}
    look |= {"connectionstyle": f"arc3,rad={bend}", "shrinkA": margin, "shrinkB": margin}
    axes.annotate("", end, start, arrowprops={"arrowstyle": "-|>", **look}, zorder=1)


@in_own_style
def two_ways(*, alt: str) -> Picture:
    """A layer with two inputs and two units: its four weights on the way forwards, and back.

    The arrows that end in one unit, or leave one input, are drawn thick.
    """
    fig, [row] = figure(2, alt=alt, width=8.8, height=3.1)
    before, behind = [(1.0, 2.4), (1.0, 0.6)], [(4.0, 2.4), (4.0, 0.6)]
    for axes, back in zip(row, (False, True)):
        _empty(axes, 5.0, 3.1)
        for i, left in enumerate(before):
            for j, right in enumerate(behind):
                thick = i == 0 if back else j == 0
                color, style = (ORANGE, "--") if back else (BLUE, "-")
                ends = (right, left) if back else (left, right)
                _arrow(axes, *ends, color if thick else GREY, style, 2.6 if thick else 1.0)
                # A third of the way from the left, where the arrows do not cross.
                x, y = (start + (end - start) * 0.3 for start, end in zip(left, right))
                place = {"ha": "center", "va": "center", "fontsize": 10}
                name = f"$W_{{{i}{j}}}$"
                axes.text(x, y, name, backgroundcolor="white", zorder=2, **place)
        names = [("slope\nof $a_0$", "slope\nof $a_1$"), ("$\\delta_0$", "$\\delta_1$")]
        names = names if back else [("$a_0$", "$a_1$"), ("$z_0$", "$z_1$")]
        for place, name in zip(before + behind, sum(names, ())):
            small = 8.5 if "slope" in name else 12
            axes.text(*place, name, ha="center", va="center", fontsize=small, bbox=CIRCLE)
        sums = "slope of $a_0 = W_{00}\\,\\delta_0 + W_{01}\\,\\delta_1$"
        sums = sums if back else "$z_0 = a_0\\,W_{00} + a_1\\,W_{10}$"
        axes.set_title(f"{'back' if back else 'forwards'}: {sums}", fontsize=11)
    return fig


@in_own_style
def residual_layer(*, alt: str) -> Picture:
    """A layer with a residual connection: its input goes through, and past, weights and bend."""
    fig, [[axes]] = figure(alt=alt, width=7.6, height=2.5)
    _empty(axes, 10.0, 2.8)
    middle = 1.0
    # Each box: its place, its name, and half its width.
    boxes = [(1.0, "$a$", 0.3), (3.4, "times $W$", 0.7), (5.6, "bend $\\phi$", 0.6)]
    boxes += [(7.6, "+", 0.3), (9.3, "$a_{next}$", 0.45)]
    for x, name, half in boxes:
        style = BOX if half > 0.5 else CIRCLE
        axes.text(x, middle, name, ha="center", va="center", fontsize=12, bbox=style, zorder=3)
    for (start, _, left), (end, _, right) in pairwise(boxes):
        _arrow(axes, (start + left, middle), (end - right, middle), BLUE, margin=0)
    _arrow(axes, (1.0, middle), (7.6, middle), ORANGE, "--", 2.2, bend=-0.32, margin=18)
    words = {"ha": "center", "fontsize": 11}
    around = "$a$, unchanged: on the way back, the slope is taken times 1"
    through = "$f(a)$: on the way back, the slope is taken times weights and slope of the bend"
    axes.text(4.3, 2.35, around, color=ORANGE, **words)
    axes.text(4.8, 0.15, through, color=BLUE, **words)
    return fig
