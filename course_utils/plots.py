"""One call for each figure of the lessons; drawing code stays out of the notebooks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np

from course_utils.pictures import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PADDING,
    PINK,
    STYLES,
    Picture,
    figure,
    in_own_style,
    use_style,
)
from course_utils.uncertainty import confidence_interval

__all__ = [
    "BLUE",
    "ORANGE",
    "GREEN",
    "GREY",
    "Picture",
    "figure",
    "use_style",
    "arrow",
    "contours",
    "curves",
    "panels",
    "fits",
    "landscape",
    "gradient_field",
    "slope_under_curve",
    "three_flat_points",
    "two_directions",
    "endings",
    "intervals",
    "intervals_beside",
    "repeated",
    "matrix",
    "chart",
    "pictures",
]

AWAY = "#D0D7DE"  # where a method does not get closer
LAND = "Blues"  # pale Blues under a path of ORANGE keeps its contrast for colour-blind eyes


# ------------------------------------------------------------------ pieces


def arrow(x, y, dx, dy, head: float = 0.2):
    """The five points of an arrow from (x, y) along (dx, dy), as (xs, ys) of shape (..., 5).

    The head takes the share `head` of the length. Made for axes of equal scale, and for a
    moving `Line2D`: inputs broadcast.
    """
    x, y, dx, dy = np.broadcast_arrays(*(np.asarray(v, float) for v in (x, y, dx, dy)))
    tip_x, tip_y = x + dx, y + dy
    back_x, back_y = tip_x - head * dx, tip_y - head * dy
    side_x, side_y = -0.5 * head * dy, 0.5 * head * dx
    xs = np.stack([x, tip_x, back_x + side_x, tip_x, back_x - side_x], axis=-1)
    ys = np.stack([y, tip_y, back_y + side_y, tip_y, back_y - side_y], axis=-1)
    return xs, ys


@in_own_style
def contours(axes, function, bounds, *, power: float = 1.0, labels=("x₀", "x₁")):
    """Height lines of ``function((..., 2)) → (...)`` in the window `bounds` (2, 2).

    `power` below 1 puts more lines near the lowest point.
    """
    (left, right), (low, high) = np.asarray(bounds, float)
    grid = np.stack(np.meshgrid(np.linspace(left, right, 161), np.linspace(low, high, 161)), -1)
    with np.errstate(all="ignore"):  # a hole in its domain stays white
        z = np.asarray(function(grid), float)
    if z.shape != grid.shape[:-1]:
        raise ValueError(
            f"contours: the function gives shape {z.shape} for points of shape {grid.shape}, "
            "expected one height for each point; does it use x[0] where x[..., 0] is meant?"
        )
    z = np.ma.masked_invalid(z)
    if z.count() == 0:
        raise ValueError(
            "contours: the function has no finite value in the window "
            f"{np.asarray(bounds).tolist()}"
        )
    bottom, top = float(z.min()), float(z.max())
    if bottom < top:
        at = bottom + (top - bottom) * np.linspace(0, 1, 15) ** (1 / power)
        axes.contourf(grid[..., 0], grid[..., 1], z, at, cmap=LAND, alpha=0.65)
        axes.contour(grid[..., 0], grid[..., 1], z, at, colors="#7F97B2", linewidths=0.5)
    else:  # a plain has no height lines
        axes.set_facecolor(mpl.colormaps[LAND](0.3, alpha=0.65))
    axes.set(xlim=(left, right), ylim=(low, high), xlabel=labels[0], ylabel=labels[1])
    axes.grid(False)


# ------------------------------------------------------------------ figures


@in_own_style
def curves(
    xs, lines: Mapping[str, Sequence], *, xlabel: str, ylabel: str, alt: str, log: str = "", **size
) -> Picture:
    """One line for each entry of `lines` over `xs`, each in its own colour and line style.

    `log` names the logarithmic axes ("", "x", "y", "xy"). Lines may be shorter than xs.
    With xs None each line is a pair (xs, ys) of its own.
    """
    fig, [[axes]] = figure(alt=alt, **size)
    _draw_curves(axes, xs, lines, xlabel=xlabel, ylabel=ylabel, log=log)
    return fig


@in_own_style
def panels(*each: Mapping, alt: str, height: float = 3.4, width: float = 8.8) -> Picture:
    """Figures like those of `curves` side by side: one mapping of its arguments for each.

    ``title`` is one more argument, ``legend`` another: "below" puts it under the axes.
    """
    fig, [row] = figure(len(each), alt=alt, width=width, height=height)
    for axes, one in zip(row, each):
        axes.set_title(one.get("title", ""))
        _draw_curves(axes, **{name: value for name, value in one.items() if name != "title"})
    return fig


def _styled(owner: str, lines: Mapping[str, Any]):
    """(name, line, colour, style) of each line. Raises ValueError where there are too many."""
    if len(lines) > len(STYLES):
        raise ValueError(
            f"{owner}: {len(lines)} lines, but only {len(STYLES)} can be told apart in one picture "
            "by every eye; draw fewer, or several pictures with `panels`"
        )
    return [(name, line, *style) for (name, line), style in zip(lines.items(), STYLES)]


def _draw_curves(axes, xs, lines, *, xlabel, ylabel, log="", legend="inside"):
    for name, line, color, style in _styled("curves", lines):
        if xs is not None and len(line) > len(xs):
            raise ValueError(
                f"curves: the line {name!r} has {len(line)} values, but xs only {len(xs)}"
            )
        at, ys = line if xs is None else (np.asarray(xs)[: len(line)], line)
        axes.plot(at, np.asarray(ys, float), color=color, linestyle=style, label=name)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    if "x" in log:
        axes.set_xscale("log")
    if "y" in log:
        axes.set_yscale("log")
    if legend == "below":  # where every place inside lies on a curve
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2, frameon=False)
    elif len(lines) > 1:
        axes.legend(frameon=False)


@in_own_style
def fits(x, y, lines: Mapping[str, tuple[float, float]], *, alt: str) -> Picture:
    """Data points (N,) and one straight line (w, b) for each entry of `lines`."""
    fig, [[axes]] = figure(alt=alt)
    axes.plot(x, y, color="black", marker="o", markersize=5, linestyle="none", label="data")
    ends = np.array([np.min(x), np.max(x)])
    for name, (w, b), color, style in _styled("fits", lines):
        axes.plot(ends, w * ends + b, color=color, linestyle=style, label=name)
    axes.set(xlabel="input x", ylabel="target y")
    axes.legend(frameon=False)
    return fig


@in_own_style
def landscape(surface, path, *, alt: str, power: float = 0.4, log: bool = False, **size) -> Picture:
    """A map of `surface` with a walk (steps + 1, 2) on it, and the height at each step.

    With `log` the height has a logarithmic axis, and a step on the map is as long as it is: both
    its axes have one scale.
    """
    size = {"height": 3.6, "width_ratios": [1.6 if log else 1.25, 1], **size}
    fig, [[left, right]] = figure(2, alt=alt, **size)
    contours(left, surface, surface.bounds, power=power)
    left.plot(*path.T, color=ORANGE, marker="o", markersize=3, linewidth=1.5)
    left.plot(*path[0], color="black", marker="s", linestyle="none", label="start")
    left.plot(*path[-1], color="black", marker="*", markersize=13, linestyle="none", label="end")
    left.legend(loc="lower right" if log else "upper left", frameon=True, ncols=2 if log else 1)
    right.plot(surface(path), color=ORANGE, marker="o", markersize=3)
    right.set(xlabel="step", ylabel="height")
    if log:
        left.set_aspect("equal")
        right.set_yscale("log")
    return fig


@in_own_style
def endings(surface, starts, valleys, nearest, *, alt: str) -> Picture:
    """Every start (m, 2) with the mark of the valley it ended in, an index into the minima.

    A start that did not end in the nearest valley gets a ring.
    """
    fig, [[axes]] = figure(alt=alt, width=5.6, height=4.6)
    contours(axes, surface, surface.bounds, power=0.4)
    looks = list(zip([BLUE, ORANGE, GREEN, PINK], ["o", "^", "s", "D"]))
    if len(surface.minima) > len(looks):
        raise ValueError(
            f"endings: {len(surface.minima)} valleys, but only {len(looks)} can be told apart"
        )
    for k, (minimum, (color, marker)) in enumerate(zip(surface.minima, looks)):
        axes.plot(
            *starts[valleys == k].T,
            color=color,
            marker=marker,
            markersize=3.5,
            markeredgecolor="white",
            markeredgewidth=0.3,
            linestyle="none",
        )
        axes.plot(*minimum, color=color, marker="*", markersize=17, markeredgecolor="black")
    axes.plot(
        *starts[valleys != nearest].T,
        color="black",
        marker="o",
        markersize=9,
        fillstyle="none",
        linestyle="none",
    )
    axes.set_title("star: bottom of a valley; ring: not the nearest valley")
    return fig


@in_own_style
def phase_diagram(rates, momenta, factor, *, best, border, alt: str) -> Picture:
    """By how much a step of momentum shrinks the distance, for every rate and momentum.

    Raises ValueError if the shapes do not fit.

    Parameters
    ----------
    rates
        (R,) and momenta (M,): the settings, both increasing
    factor
        (R, M): measured; 1 and above, and NaN, is drawn as "does not get closer"
    best
        (rate, momentum): where theory has the smallest factor, marked by a star
    border
        (M,): the rate at which theory sees each momentum diverge, drawn as a line
    """
    rates, momenta, factor, border = (
        np.asarray(v, float) for v in (rates, momenta, factor, border)
    )
    if factor.shape != (rates.size, momenta.size) or border.shape != momenta.shape:
        raise ValueError(
            f"phase_diagram: factor has shape {factor.shape} and border {border.shape}, expected "
            f"({rates.size}, {momenta.size}), rates by momenta, and ({momenta.size},)"
        )
    fig, [[axes]] = figure(alt=alt, width=7.0, height=4.2)
    closer = np.where(factor < 1, factor, np.nan).T  # NaN does not
    lowest = np.nanmin(factor)
    axes.set_facecolor(AWAY)
    colors = axes.pcolormesh(
        rates, momenta, closer, cmap="Blues_r", vmin=lowest, vmax=1, shading="nearest"
    )
    levels = [level for level in (0.6, 0.7, 0.8, 0.9, 0.95) if level > lowest]
    if levels:
        lines = axes.contour(rates, momenta, closer, levels, colors="black", linewidths=0.8)
        axes.clabel(lines, fmt="%g", fontsize=9)
    axes.plot(border, momenta, color=ORANGE, linestyle="--", label="border in theory")
    star = {"color": ORANGE, "marker": "*", "markersize": 17, "markeredgecolor": "white"}
    axes.plot(*best, **star, linestyle="none", label="best in theory")
    away = {"color": AWAY, "marker": "s", "markersize": 11, "linestyle": "none"}
    axes.plot([], [], **away, label="does not get closer")
    bar = fig.colorbar(colors, ax=axes, label="distance after ÷ before a step", pad=0.02)
    bar.outline.set_visible(False)
    axes.set(
        xlim=rates[[0, -1]], ylim=momenta[[0, -1]], xlabel="learning rate η", ylabel="momentum μ"
    )
    axes.grid(False)
    fig.legend(
        *axes.get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False
    )
    return fig


@in_own_style
def slope_under_curve(f, df, low: float, high: float, *, alt: str) -> Picture:
    """A function over its slope, with the places where the slope is zero."""
    xs = np.linspace(low, high, 400)
    fig, [[top], [bottom]] = figure(1, 2, alt=alt, height=4.6, sharex=True)
    slope = df(xs)
    crossing = xs[np.flatnonzero(np.diff(np.sign(slope)) != 0)]
    top.plot(xs, f(xs), color=BLUE, linestyle="-")
    bottom.plot(xs, slope, color=ORANGE, linestyle="--")
    bottom.axhline(0, color=GREY, linewidth=1)
    bottom.fill_between(xs, slope, 0, where=slope > 0, color=ORANGE, alpha=0.15)
    bottom.fill_between(xs, slope, 0, where=slope < 0, color=BLUE, alpha=0.15)
    for x in crossing:
        for axes in (top, bottom):
            axes.axvline(x, color=GREY, linewidth=1.2, linestyle=(0, (2, 2)))
    top.set(ylabel="f(x)")
    bottom.set(xlabel="x", ylabel="slope of f at x")
    return fig


@in_own_style
def gradient_field(function, gradient, bounds, *, alt: str, scale: float | None = None) -> Picture:
    """The gradient at 11 × 11 points of the window, as arrows on the map of the function."""
    fig, [[axes]] = figure(alt=alt, width=5.0, height=4.4)
    contours(axes, function, bounds)
    (left, right), (low, high) = np.asarray(bounds, float)
    inset = 0.06
    xs = np.linspace(left + inset * (right - left), right - inset * (right - left), 11)
    ys = np.linspace(low + inset * (high - low), high - inset * (high - low), 11)
    points = np.stack(np.meshgrid(xs, ys), -1)
    with np.errstate(all="ignore"):
        g = np.ma.masked_invalid(gradient(points))
    if np.any(g):
        axes.quiver(
            points[..., 0],
            points[..., 1],
            g[..., 0],
            g[..., 1],
            color=ORANGE,
            width=0.005,
            angles="xy",
            scale_units="xy",
            scale=scale,
        )
    else:  # arrows of no length: their feet alone
        axes.plot(*points.reshape(-1, 2).T, color=ORANGE, marker=".", linestyle="none")
    axes.set_aspect("equal")
    return fig


@in_own_style
def three_flat_points(
    functions: Mapping[str, Callable], *, alt: str, reach: float = 1.0
) -> Picture:
    """Each function around the point (0, 0), as a surface in space."""
    fig, [row] = figure(
        len(functions), alt=alt, width=7.4, height=2.9, subplot_kw={"projection": "3d"}
    )
    # Room for the last f, which 3-D axes forget.
    fig.set_layout_engine("constrained", rect=(0, 0, 0.96, 1), **PADDING)
    side = np.linspace(-reach, reach, 33)
    grid = np.stack(np.meshgrid(side, side), -1)
    for axes, (name, function) in zip(row, functions.items()):
        axes.plot_surface(
            grid[..., 0],
            grid[..., 1],
            function(grid),
            cmap=LAND,
            linewidth=0.2,
            edgecolor=GREY,
            alpha=0.85,
            rstride=2,
            cstride=2,
        )
        axes.computed_zorder = False  # else the surface hides the point
        axes.scatter(
            [0], [0], [function(np.zeros(2))], color=ORANGE, s=60, zorder=5, depthshade=False
        )
        axes.set(title=name, xlabel="x₀", ylabel="x₁", zlabel="f", xticks=[], yticks=[], zticks=[])
        axes.xaxis.labelpad = axes.yaxis.labelpad = axes.zaxis.labelpad = -12
        axes.set_box_aspect((1, 1, 0.75), zoom=1.0)
    return fig


@in_own_style
def two_directions(surface, point, downhill, target, *, alt: str) -> Picture:
    """At one point of a map: the way straight down, and the way to the lowest point."""
    fig, [[axes]] = figure(alt=alt, width=7.0, height=3.0)
    contours(axes, surface, surface.bounds, power=0.5)
    point, target = np.asarray(point, float), np.asarray(target, float)
    down = np.asarray(downhill, float) / np.linalg.norm(downhill) * 3.0
    axes.plot(*arrow(*point, *down), color=ORANGE, label="against the gradient")
    axes.plot(
        *arrow(*point, *(target - point), head=0.08),
        color="black",
        linestyle="--",
        linewidth=1.5,
        label="to the lowest point",
    )
    axes.plot(*target, color="black", marker="*", markersize=14, linestyle="none")
    axes.plot(*point, color="black", marker="o", linestyle="none")
    axes.set_aspect("equal")
    axes.legend(loc="lower left", frameon=True)
    return fig


@in_own_style
def intervals(
    groups: Mapping[str, Sequence],
    *,
    xlabel: str,
    ylabel: str,
    alt: str,
    baseline: str = "",
    **size,
) -> Picture:
    """One row for each group of runs: every run as a ring, their mean, its 95 % interval as a bar.

    `baseline` names the group whose mean is drawn through all rows. The interval is Student's,
    see `uncertainty.confidence_interval`.
    """
    fig, [[axes]] = figure(alt=alt, **size)
    _draw_intervals(axes, groups, xlabel, ylabel)
    if baseline:
        axes.axvline(np.mean(groups[baseline]), color=ORANGE, linestyle="--", linewidth=1.5)
    return fig


@in_own_style
def intervals_beside(
    each: Mapping[str, Mapping[str, Sequence]],
    *,
    xlabel: str,
    ylabel: str,
    alt: str,
    height: float = 3.2,
    width: float = 8.8,
) -> Picture:
    """The figure of `intervals` for each title of `each`, side by side with equal axes."""
    fig, [row] = figure(len(each), alt=alt, width=width, height=height, sharex=True)
    for axes, (title, groups) in zip(row, each.items()):
        _draw_intervals(axes, groups, xlabel, ylabel)
        axes.set_title(title)
    return fig


def _draw_intervals(axes, groups, xlabel, ylabel):
    rows = np.arange(len(groups))[::-1]  # the first group stands on top
    for row, values in zip(rows, groups.values()):
        mean, half = confidence_interval(np.asarray(values))
        rings = {"marker": "o", "markersize": 5, "fillstyle": "none", "linestyle": "none"}
        axes.plot(values, np.full(len(values), row), color=GREY, **rings)
        bar = {"linewidth": 4, "alpha": 0.55, "linestyle": "-", "solid_capstyle": "butt"}
        axes.plot([mean - half, mean + half], [row, row], color=BLUE, **bar)
        axes.plot(mean, row, color=BLUE, marker="D", markersize=6, linestyle="none")
    axes.set(
        yticks=rows,
        yticklabels=list(groups),
        xlabel=xlabel,
        ylabel=ylabel,
        ylim=(-0.6, len(rows) - 0.4),
    )
    axes.grid(axis="y")


@in_own_style
def repeated(xs, groups: Mapping[str, Any], truth, *, ylim, xlabel, ylabel, alt: str) -> Picture:
    """Fits to many draws of the data side by side: every curve thin, their mean, and the truth.

    xs (N,), each group (draws, N), truth (N,); curves that leave `ylim` leave the picture.
    """
    fig, [row] = figure(len(groups), alt=alt, width=8.8, height=3.4, sharex=True, sharey=True)
    for axes, (title, each) in zip(row, groups.items()):
        thin = {"color": GREY, "linestyle": "-", "linewidth": 0.7, "alpha": 0.6}
        lines = axes.plot(xs, np.transpose(each), **thin)
        lines[0].set_label("one fit for each draw")
        axes.plot(xs, np.mean(each, axis=0), color=ORANGE, linewidth=2.4, linestyle="--")
        axes.lines[-1].set_label("mean of the fits")
        axes.plot(xs, truth, color=BLUE, linewidth=2, label="the wave itself")
        axes.set(title=title, ylim=ylim, xlabel=xlabel)
    row[0].set(ylabel=ylabel)
    fig.legend(handles=[row[0].lines[k] for k in (0, -2, -1)], loc="outside lower center", ncols=3)
    return fig


@in_own_style
def chart(chart, reference, *, alt: str) -> Picture:
    """The symptoms of a training run beside those of a healthy one, in grey: `patients.Chart`.

    Loss, accuracy and the length of a step, against the number of steps. The axes are the same
    for every run, so a curve may leave them.
    """
    fig, [[loss, accuracy, step]] = figure(3, alt=alt, width=8.8, height=3.9)
    pale = {"color": GREY, "linewidth": 1.2}
    one = [{**pale, "linestyle": ":"}, {"color": BLUE, "linestyle": "-"}]
    two = [{**pale, "linestyle": "-."}, {"color": ORANGE, "linestyle": "--"}]
    mark = {"marker": "D", "markersize": 7, "linestyle": "none", "clip_on": False, "zorder": 3}
    for k, run in enumerate([reference, chart]):
        loss.plot(run.steps, run.loss, **one[k], label="all training digits")
        loss.plot(run.one_batch, **two[k], label="ten digits alone, 100 steps")
        accuracy.plot(run.steps, run.accuracy, **one[k], label="training")
        accuracy.plot(run.steps, run.val_accuracy, **two[k], label="validation")
        accuracy.plot(
            run.steps[-1], run.new_accuracy, **mark, color=[GREY, GREEN][k], label="new digits"
        )
        step.plot(run.steps, run.update, **one[k], label=["healthy run", "this run"][k])
    loss.set(title="loss (grey: healthy run)", ylabel="loss", yscale="log", ylim=(4e-3, 400))
    accuracy.set(title="accuracy (grey: healthy)", ylabel="share of digits read", ylim=(0, 1.03))
    step.set(title="length of a step", ylabel="step ÷ weights", yscale="log", ylim=(4e-4, 40))
    for axes, first in [(loss, 2), (accuracy, 3), (step, 0)]:  # grey lines are named once
        axes.set(xlabel="steps taken", xlim=(0, chart.steps[-1]))
        axes.legend(
            handles=axes.lines[first:],
            loc="upper center",
            bbox_to_anchor=(0.5, -0.24),
            frameon=False,
        )
    return fig


@in_own_style
def pictures(images, titles: Sequence[Any], *, alt: str, columns: int = 10) -> Picture:
    """Small pictures in rows, each with its title: features (N, 64) of digits, 8 by 8 pixels.

    Raises ValueError if there are not as many titles, or no picture.
    """
    images = np.asarray(images, float)
    if images.ndim != 2 or images.shape[1] != 64 or not 0 < len(images) == len(titles):
        raise ValueError(
            f"pictures: give features (N, 64) and N titles, not {images.shape} and {len(titles)}"
        )
    rows = -(-len(images) // columns)
    fig, grid = figure(columns, rows, alt=alt, width=8.8, height=1.15 * rows)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, image, title in zip(grid.flat, images, titles):
        axes.imshow(image.reshape(8, 8), cmap="Greys", vmin=0, vmax=1)
        axes.set_title(str(title), fontsize=10)
    return fig


@in_own_style
def matrix(
    values,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    ylabel: str,
    xlabel: str,
    title: str,
    alt: str,
    every: int = 0,
    **size,
) -> Picture:
    """Shares from 0 to 1, (rows, columns), as a table of coloured fields with the number in each.

    With `every` a gap parts the columns into groups of so many.
    """
    values = np.asarray(values, float)
    if values.shape != (len(rows), len(columns)):
        raise ValueError(
            f"matrix: values have shape {values.shape}, but there are {len(rows)} rows and "
            f"{len(columns)} columns"
        )
    shares = (values >= 0) & (values <= 1)  # NaN is none
    if not shares.all():
        raise ValueError(
            f"matrix: values are shares from 0 to 1, but one is {values[~shares][0]:g}; "
            "per cent ÷ 100"
        )
    fig, [[axes]] = figure(alt=alt, **size)
    axes.pcolormesh(values, cmap=LAND, vmin=0, vmax=1, edgecolors="white", linewidth=2)
    for border in range(every, len(columns), every) if every else ():
        axes.axvline(border, color="white", linewidth=9)
    for (row, column), value in np.ndenumerate(values):
        axes.text(
            column + 0.5,
            row + 0.5,
            f"{100 * value:.0f}",
            ha="center",
            va="center",
            color="white" if value > 0.6 else "black",
        )
    axes.set(
        xticks=np.arange(len(columns)) + 0.5,
        xticklabels=columns,
        xlabel=xlabel,
        yticks=np.arange(len(rows)) + 0.5,
        yticklabels=rows,
        ylabel=ylabel,
        title=title,
    )
    axes.invert_yaxis()
    axes.grid(False)
    return fig
