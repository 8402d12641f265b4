"""Three views of slope: the secant that becomes the tangent, the steepest way, two slopes.

`secant` shrinks a nudge, `compass` looks in every direction of a map, and `line_fit` holds the
slope of a line against the slope of its loss.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from matplotlib.collections import PolyCollection

from course_utils.differentiation import derivative
from course_utils.explore import Lookup, lookup
from course_utils.plots import BLUE, GREEN, GREY, ORANGE, arrow, contours, figure
from course_utils.surfaces import Surface

__all__ = ["secant", "secant_at", "compass", "compass_at", "line_fit", "line_fit_at", "LineFit"]


# ------------------------------------------------------------------ secant → tangent


def secant_at(f: Callable, x, h) -> tuple[np.ndarray, np.ndarray]:
    """The change of f from x to x + h, and the slope of f at x; x and h broadcast."""
    x, h = np.broadcast_arrays(np.asarray(x, float), np.asarray(h, float))
    return f(x + h) - f(x), derivative(f, x)


def secant(f: Callable, low: float, high: float, *, start: float, name: str = "f") -> Lookup:
    """Nudge x by h and watch the secant of f turn into the tangent as h shrinks.

    f works on arrays; [low, high] is the window of x; `start` is where x stands at first.
    """
    xs = np.linspace(low, high, 201)
    room = 0.08 * (np.ptp(f(xs)) or 1.0)
    bottom, top = f(xs).min() - room, f(xs).max() + room
    nudges = np.concatenate([np.linspace(1.0, 0.2, 17), np.geomspace(0.17, 0.001, 16)]).round(4)
    nudges = nudges * (high - low) / 5
    places = np.linspace(low + 0.02 * (high - low), high - 0.25 * (high - low), 38)
    places = np.unique(np.append(places, start))
    alt = (
        f"Left: the curve of {name}, the line through the points at x and x + h, and the "
        "tangent at x. Right: the slope of that line against h; it approaches the tangent's."
    )
    fig, [[curve, slopes]] = figure(2, alt=alt, width=8.4, height=3.7, width_ratios=[1.2, 1])
    curve.plot(xs, f(xs), color=BLUE, linestyle="-")
    curve.set(xlim=(low, high), ylim=(bottom, top), xlabel="x", ylabel=f"{name}")
    (tangent_line,) = curve.plot(
        [], [], color=GREEN, linestyle="-.", linewidth=1.8, label="tangent"
    )
    (secant_line,) = curve.plot([], [], color=ORANGE, linestyle="-", linewidth=1.8, label="secant")
    (rise,) = curve.plot([], [], color=ORANGE, linestyle=":", linewidth=1.8, label="run and rise")
    (dots,) = curve.plot([], [], color="black", marker="o", linestyle="none", label="points")

    X, H = np.meshgrid(places, nudges, indexing="ij")
    change, slope = secant_at(f, X, H)
    ratio = change / H
    spread = np.abs(ratio - slope).max() * 1.1
    (level,) = slopes.plot([], [], color=GREEN, linestyle="-.", label="of the tangent")
    (trail,) = slopes.plot(
        [], [], color=ORANGE, linestyle="-", marker="o", markevery=[-1], label="of the secant"
    )
    slopes.set(
        xscale="log",
        xlim=(nudges[0] * 1.2, nudges[-1] * 0.8),
        xlabel="h (shrinks →)",
        ylabel="slope = rise ÷ run",
        ylim=(slope.min() - spread / 4, slope.max() + spread),
    )
    above = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "ncols": 2, "frameon": False}
    curve.legend(handles=[secant_line, tangent_line], **above)
    slopes.legend(handles=[trail, level], **above)

    ends = np.array([low, high])
    x, h, y = X[..., None], H[..., None], f(X)[..., None]
    return lookup(
        fig,
        {
            tangent_line: (ends, y[:, :1] + slope[:, :1, None] * (ends - x[:, :1])),
            secant_line: (ends, y + ratio[..., None] * (ends - x)),
            rise: (
                np.concatenate([x, x + h, x + h], -1),
                np.concatenate([y, y, y + change[..., None]], -1),
            ),
            dots: (np.concatenate([x, x + h], -1), np.concatenate([y, y + change[..., None]], -1)),
            level: (slopes.get_xlim() + 0 * x[:, :1], slope[:, :1, None] + [0.0, 0.0]),
            trail: (nudges + 0 * x[:, :1], ratio[:, None, :]),
        },
        reveal={trail: "h"},
        play="h",
        drag={curve: ("x", None)},
        alt=alt,
        values={"change": change, "ratio": ratio, "slope": slope},
        status="x = {x}, nudge h = {h}: the result changes by {change}, "
        "rise ÷ run = {ratio} (the tangent's slope: {slope})",
        start={"x": start, "h": nudges[0]},
        labels={"x": "position x", "h": "nudge h"},
        x=places,
        h=nudges,
    )


# ------------------------------------------------------------------ the steepest way


def compass_at(surface: Surface, x0, x1, angles) -> tuple[np.ndarray, np.ndarray]:
    """The gradient (..., 2) at (x0, x1), and the slope towards `angles`, in degrees."""
    places = np.stack(np.broadcast_arrays(np.asarray(x0, float), np.asarray(x1, float)), -1)
    gradient, radians = surface.gradient(places), np.deg2rad(angles)
    return gradient, gradient[..., 0] * np.cos(radians) + gradient[..., 1] * np.sin(radians)


def compass(surface: Surface) -> Lookup:
    """Stand anywhere on a map, look in any direction, and read how steep it is there."""
    alt = (
        f"Left: map of the {surface.name} with the gradient at a point and a direction to look "
        "in. Right: the slope in every direction, with the chosen one marked."
    )
    fig, [[land, rose]] = figure(2, alt=alt, width=8.4, height=3.7, width_ratios=[1, 1.15])
    contours(land, surface, surface.bounds)
    land.set_aspect("equal")
    (left, right), (low, high) = surface.bounds
    length = 0.22 * min(right - left, high - low)
    (needle,) = land.plot([], [], color=ORANGE, linewidth=2.5, label="gradient")
    (look,) = land.plot([], [], color=BLUE, linewidth=2, linestyle="--", label="direction")
    (spot,) = land.plot([], [], color="black", marker="o", linestyle="none", label="you")
    (slopes,) = rose.plot([], [], color=ORANGE, label="slope in each direction")
    (here,) = rose.plot(
        [],
        [],
        color=BLUE,
        marker="o",
        markersize=8,
        linestyle="none",
        label="the direction you look in",
    )

    controls = {
        "x0": np.linspace(left, right, 41),
        "x1": np.linspace(low, high, 41),
        "angle": np.arange(0, 361, 5),
    }
    x0, x1, angle = np.meshgrid(*controls.values(), indexing="ij", sparse=True)
    gradient, slope = compass_at(surface, x0, x1, angle)
    radians = np.deg2rad(angle)
    size = np.linalg.norm(gradient, axis=-1)
    unit = gradient / np.where(size > 0, size, 1)[..., None]
    # + 0.0 turns −0 into 0, so that the line of text is the same on every machine
    g0, g1 = np.moveaxis(gradient.round(2) + 0.0, -1, 0)
    toward = np.char.mod("pointing to %.0f°", np.rad2deg(np.arctan2(g1, g0)).round() % 360)

    rose.axhline(0, color=GREY, linewidth=1)
    rose.set(
        xlim=(0, 360),
        ylim=(-1.05 * size.max(), 1.5 * size.max()),
        ylabel="slope",
        xlabel="direction in degrees",
        xticks=range(0, 361, 90),
    )
    land.legend(handles=[needle, look], loc="upper left")
    rose.legend(handles=[slopes, here], loc="upper right")
    return lookup(
        fig,
        {
            needle: arrow(x0, x1, *np.moveaxis(length * unit, -1, 0)),
            look: (
                x0[..., None] + [0, length] * np.cos(radians)[..., None],
                x1[..., None] + [0, length] * np.sin(radians)[..., None],
            ),
            spot: (x0[..., None], x1[..., None]),
            slopes: (controls["angle"], slope[:, :, None]),
            here: (angle[..., None], slope[..., None]),
        },
        drag={land: ("x0", "x1"), rose: ("angle", None)},
        play="angle",
        alt=alt,
        values={
            "g0": g0,
            "g1": g1,
            "size": size.round(2),
            "slope": slope.round(2) + 0.0,
            "pointing": np.where(size > 0, toward, "no direction: level ground"),
        },
        status="gradient ({g0}, {g1}), size {size}, {pointing}; slope towards {angle}°: {slope}",
        start={"x0": left + 0.75 * (right - left), "x1": low + 0.7 * (high - low), "angle": 120},
        labels={"x0": "position x₀", "x1": "position x₁", "angle": "direction in degrees"},
        **controls,
    )


# ------------------------------------------------------------------ two slopes


@dataclass(frozen=True)
class LineFit:
    """The mean squared error of the line ŷ = w x + b, and its two partial derivatives."""

    loss: np.ndarray
    dw: np.ndarray
    db: np.ndarray


def line_fit_at(x, y, w, b) -> LineFit:
    """Loss and derivatives for data x, y of shape (N,); w and b broadcast to the grid."""
    x, y = np.asarray(x, float), np.asarray(y, float)
    w, b = np.broadcast_arrays(np.asarray(w, float), np.asarray(b, float))
    error = w[..., None] * x + b[..., None] - y
    return LineFit((error**2).mean(-1), (2 * error * x).mean(-1), (2 * error).mean(-1))


def line_fit(x, y) -> Lookup:
    """One line, seen three times: among the data, as a point on the loss, on a slice of it.

    x and y hold the data, shape (N,), about 0 … 5 both.
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    best_w, best_b = np.polyfit(x, y, 1)
    ws = (np.linspace(-1.8, 1.8, 41) + best_w).round(2)
    bs = (np.linspace(-2.8, 2.8, 29) + best_b).round(2)
    alt = (
        "Three linked views of one line. Left: the line among the data, with the square of "
        "each error. Middle: the same line as a point (w, b) on the map of the loss, with an "
        "arrow against the gradient. Right: the loss along w, with its tangent."
    )
    fig, [[data, land, cut]] = figure(3, alt=alt, width=9.6, height=3.9, width_ratios=[1.2, 0.8, 1])

    data.plot(x, y, color="black", marker="o", markersize=5, linestyle="none")
    squares = PolyCollection(
        [], facecolors=ORANGE + "26", edgecolors=ORANGE, linewidths=1.0, label="squared errors"
    )
    data.add_collection(squares)
    (line,) = data.plot([], [], color=BLUE, label="line")
    middle = y.mean().round(1)
    data.set(
        xlim=(-0.2, 5.6),
        ylim=(middle - 2.9, middle + 2.9),
        xlabel="input x",
        ylabel="target y",
        title="data: the line",
    )
    data.set_aspect("equal")

    window = [[ws[0], ws[-1]], [bs[0], bs[-1]]]
    contours(
        land,
        lambda p: line_fit_at(x, y, p[..., 0], p[..., 1]).loss,
        window,
        power=0.45,
        labels=("slope w of the line", "intercept b"),
    )
    land.set_aspect("equal")  # so that the arrow stands at a right angle to the height lines
    land.plot(best_w, best_b, color="black", marker="+", markersize=10, linestyle="none")
    land.set_title("all lines: this is one point")
    (slice_line,) = land.plot([], [], color=GREY, linestyle="--", linewidth=1.4, label="slice")
    (way,) = land.plot([], [], color=ORANGE, linewidth=2.2, label="against the gradient")
    (dot,) = land.plot(
        [], [], color=BLUE, marker="o", markersize=9, linestyle="none", label="(w, b)"
    )

    W, B = np.meshgrid(ws, bs, indexing="ij")
    fit = line_fit_at(x, y, W, B)
    fine = np.linspace(ws[0], ws[-1], 61)
    (curve,) = cut.plot([], [], color=GREY, linestyle="--", linewidth=1.8, label="loss along w")
    (tangent,) = cut.plot([], [], color=ORANGE, linewidth=2.4, label="tangent")
    (cut_dot,) = cut.plot(
        [], [], color=BLUE, marker="o", markersize=9, linestyle="none", label="loss of this line"
    )
    cut.set(
        xlim=(ws[0], ws[-1]),
        ylim=(-2, 26),
        xlabel="slope w of the line",
        ylabel="loss L",
        title="slice: the loss along w",
    )

    # A square of each error, leaning to the side where there is room, cut apart by NaN.
    error = W[..., None] * x + B[..., None] - y
    side = np.where(x > x.mean(), -1.0, 1.0) * np.abs(error)
    gap = np.full_like(side, np.nan)
    left, low = x + 0 * side, y + 0 * side
    corners_x = np.stack([left, left + side, left + side, left, gap], -1).reshape(*W.shape, -1)
    corners_y = np.stack([low, low, low + error, low + error, gap], -1).reshape(*W.shape, -1)

    # The arrow's length on the page grows with the gradient, but slowly: it stays readable.
    size = np.hypot(fit.dw, fit.db)
    shrink = np.where(size > 0, 1.1 * size / (size + 12) / np.maximum(size, 1e-12), 0.0)
    ends = np.array([-0.2, 5.6])
    w, b = W[..., None], B[..., None]
    reach = np.array([-0.55, 0.55])
    advice = np.select(
        [fit.dw > 0.25, fit.dw < -0.25],
        [
            "uphill to the right: a smaller w lowers the loss",
            "downhill to the right: a larger w lowers the loss",
        ],
        "flat: w is best for this b",
    )
    return lookup(
        fig,
        {
            squares: (corners_x, corners_y),
            line: (ends, w * ends + b),
            slice_line: (np.array([ws[0], ws[-1]]) + 0 * b[:1], b[:1] + [0.0, 0.0]),
            way: arrow(W, B, -shrink * fit.dw, -shrink * fit.db, head=0.28),
            dot: (w, b),
            curve: (fine, line_fit_at(x, y, fine, b[:1]).loss),
            tangent: (w + reach, fit.loss[..., None] + fit.dw[..., None] * reach),
            cut_dot: (w, fit.loss[..., None]),
        },
        values={"loss": fit.loss, "dw": fit.dw, "advice": advice},
        status="slope of the line: w = {w}   |   loss L = {loss}   |   "
        "slope of the loss along w: {dw}, {advice}",
        drag={land: ("w", "b"), cut: ("w", None)},
        play="w",
        alt=alt,
        start={"w": ws[10], "b": bs[17]},
        labels={"w": "slope of the line w", "b": "intercept b"},
        w=ws,
        b=bs,
    )
