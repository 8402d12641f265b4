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
from course_utils.explore import Control, Explorer, On, explorer
from course_utils.pictures import in_own_style
from course_utils.plots import BLUE, GREEN, GREY, ORANGE, arrow, contours, figure
from course_utils.surfaces import Surface

__all__ = ["secant", "secant_at", "compass", "compass_at", "line_fit", "line_fit_at", "LineFit"]


# ------------------------------------------------------------------ secant → tangent


def _elementwise(f: Callable) -> Callable:
    """f for arrays, also if it takes single numbers alone; where it has no value it is NaN."""
    if not callable(f):
        raise TypeError(
            f"secant: f is {type(f).__name__}, which cannot be called; pass the function itself"
        )

    def one(x: float) -> float:
        try:
            y = f(x)
        except (ArithmeticError, ValueError):  # outside its domain
            return np.nan
        if y is None:
            raise TypeError("secant: f returned None; is its return statement missing?")
        if np.ndim(y) or np.asarray(y).dtype.kind not in "biuf":
            raise TypeError(f"secant: f returned {y!r} for one number, expected one number")
        return float(y)

    def values(x):
        x = np.asarray(x, float)
        with np.errstate(all="ignore"):
            try:
                found = np.asarray(f(x.copy()))
                if found.shape == x.shape and found.dtype.kind in "iuf":
                    return found.astype(float)
            except (TypeError, ValueError, ArithmeticError):
                pass
            return np.vectorize(one, otypes=[float])(x)

    return values


def _slope_at(f: Callable, x: float) -> float:
    """The slope of f at x; NaN in a hole or at a jump."""
    try:
        return float(derivative(f, x))
    except ValueError:
        return np.nan


def secant_at(f: Callable, x, h) -> tuple[np.ndarray, np.ndarray]:
    """The change of f from x to x + h, and the slope of f at x; x and h broadcast."""
    x, h = np.broadcast_arrays(np.asarray(x, float), np.asarray(h, float))
    return f(x + h) - f(x), derivative(f, x)


@in_own_style
def secant(f: Callable, low: float, high: float, *, start: float, name: str = "f") -> Explorer:
    """Nudge x by h and watch the secant of f turn into the tangent as h shrinks.

    f takes arrays or single numbers; [low, high] is the window of x; `start` is where x stands at
    first. Places at which f, or its slope, has no finite value are left out.

    Raises TypeError for an f that is no function or returns no numbers, ValueError for a window or
    a start in which there is nothing to see.
    """
    f = _elementwise(f)
    nudges, places = _steps(f, low, high, start, name)
    X, H = np.meshgrid(places, nudges, indexing="ij")
    change, slope = secant_at(f, X, H)
    ratio = change / H
    fig, curve, lines = _secant_stage(f, low, high, name, nudges, ratio, slope)
    tangent_line, secant_line, rise, dots, level, trail = lines

    both, ends = "x h", np.array([low, high])
    x, h, y = X[..., None], H[..., None], f(X)[..., None]
    x0, y0, slope0 = x[:, 0], y[:, 0], slope[:, :1]  # what does not depend on h
    return explorer(
        fig,
        {
            "x": Control(places, "position x", start=start),
            "h": Control(nudges, "nudge h", start=nudges[0], play=True),
        },
        {
            tangent_line: (ends, On(y0 + slope0 * (ends - x0), "x")),
            secant_line: (ends, On(y + ratio[..., None] * (ends - x), both)),
            rise: (
                On(np.concatenate([x, x + h, x + h], -1), both),
                On(np.concatenate([y, y, y + change[..., None]], -1), both),
            ),
            dots: (
                On(np.concatenate([x, x + h], -1), both),
                On(np.concatenate([y, y + change[..., None]], -1), both),
            ),
            level: (level.axes.get_xlim(), On(slope0 + [0.0, 0.0], "x")),
            trail: (nudges, On(ratio, "x"), "h"),
        },
        says={"change": On(change, both), "ratio": On(ratio, both), "slope": On(slope, both)},
        status="x = {x}, nudge h = {h}: the result changes by {change}, "
        "rise ÷ run = {ratio} (the tangent's slope: {slope})",
        drag={curve: ("x", None)},
        alt=fig.alt,
    )


def _steps(f, low, high, start, name) -> tuple[np.ndarray, np.ndarray]:
    """The nudges, and the places of x at which there is something to see."""
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise ValueError(f"secant: the window must be from low to high, not {low} to {high}")
    nudges = np.concatenate([np.linspace(1.0, 0.2, 17), np.geomspace(0.17, 0.001, 16)]).round(4)
    nudges = nudges * (high - low) / 5
    places = np.linspace(low + 0.02 * (high - low), high - 0.25 * (high - low), 38)
    places = np.unique(np.append(places, start))
    good = np.isfinite([_slope_at(f, x) + np.sum(f(x + np.append(nudges, 0))) for x in places])
    if not good[places == start].all():
        raise ValueError(f"secant: {name} has no value or no slope near start = {start}")
    return nudges, places[good]


def _secant_stage(f, low, high, name, nudges, ratio, slope):
    alt = (
        f"Left: the curve of {name}, the line through the points at x and x + h, and the "
        "tangent at x. Right: the slope of that line against h; it approaches the tangent's."
    )
    fig, [[curve, slopes]] = figure(2, alt=alt, width=8.4, height=3.7, width_ratios=[1.2, 1])
    xs = np.linspace(low, high, 201)
    ys = f(xs)
    seen = ys[np.isfinite(ys)]
    room = 0.08 * (np.ptp(seen) or 1.0)
    curve.plot(xs, ys, color=BLUE, linestyle="-")
    curve.set(xlim=(low, high), ylim=(seen.min() - room, seen.max() + room))
    curve.set(xlabel="x", ylabel=f"{name}")
    (tangent_line,) = curve.plot(
        [], [], color=GREEN, linestyle="-.", linewidth=1.8, label="tangent"
    )
    (secant_line,) = curve.plot([], [], color=ORANGE, linestyle="-", linewidth=1.8, label="secant")
    (rise,) = curve.plot([], [], color=ORANGE, linestyle=":", linewidth=1.8, label="run and rise")
    (dots,) = curve.plot([], [], color="black", marker="o", linestyle="none", label="points")
    (level,) = slopes.plot([], [], color=GREEN, linestyle="-.", label="of the tangent")
    (trail,) = slopes.plot(
        [], [], color=ORANGE, linestyle="-", marker="o", markevery=[-1], label="of the secant"
    )
    spread = (np.abs(ratio - slope).max() or 1.0) * 1.1
    slopes.set(xscale="log", xlim=(nudges[0] * 1.2, nudges[-1] * 0.8))
    slopes.set(ylim=(slope.min() - spread / 4, slope.max() + spread))
    slopes.set(xlabel="h (shrinks →)", ylabel="slope = rise ÷ run")
    above = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "ncols": 2, "frameon": False}
    curve.legend(handles=[secant_line, tangent_line], **above)
    slopes.legend(handles=[trail, level], **above)
    return fig, curve, (tangent_line, secant_line, rise, dots, level, trail)


# ------------------------------------------------------------------ the steepest way


def compass_at(surface: Surface, x0, x1, angles) -> tuple[np.ndarray, np.ndarray]:
    """The gradient (..., 2) at (x0, x1), and the slope towards `angles`, in degrees."""
    places = np.stack(np.broadcast_arrays(np.asarray(x0, float), np.asarray(x1, float)), -1)
    gradient, radians = surface.gradient(places), np.deg2rad(angles)
    return gradient, gradient[..., 0] * np.cos(radians) + gradient[..., 1] * np.sin(radians)


@in_own_style
def compass(surface: Surface) -> Explorer:
    """Stand anywhere on a map, look in any direction, and read how steep it is there."""
    (left, right), (low, high) = surface.bounds
    length = 0.22 * min(right - left, high - low)
    xs, ys = np.linspace(left, right, 41), np.linspace(low, high, 41)
    angles = np.arange(0, 361, 5)
    x0, x1 = np.meshgrid(xs, ys, indexing="ij")
    gradient, slope = compass_at(surface, x0[..., None], x1[..., None], angles)
    gradient = gradient[:, :, 0]
    size = np.linalg.norm(gradient, axis=-1)
    unit = gradient / np.where(size > 0, size, 1)[..., None]
    fig, land, rose, (needle, look, spot, slopes, here) = _compass_stage(surface, size.max())

    place, every = "x0 x1", "x0 x1 angle"
    arrow_x, arrow_y = arrow(x0, x1, length * unit[..., 0], length * unit[..., 1])
    reach, radians = np.array([0, length]), np.deg2rad(angles)[:, None]
    return explorer(
        fig,
        {
            "x0": Control(xs, "position x₀", start=left + 0.75 * (right - left)),
            "x1": Control(ys, "position x₁", start=low + 0.7 * (high - low)),
            "angle": Control(angles, "direction in degrees", start=120, play=True),
        },
        {
            needle: (On(arrow_x, place), On(arrow_y, place)),
            look: (
                On(xs[:, None, None] + reach * np.cos(radians), "x0 angle"),
                On(ys[:, None, None] + reach * np.sin(radians), "x1 angle"),
            ),
            spot: (On(xs, "x0"), On(ys, "x1")),
            slopes: (angles, On(slope, place)),
            here: (On(angles, "angle"), On(slope, every)),
        },
        says={
            # + 0.0 turns −0 into 0, so that the line of text is the same on every machine
            "g0": On(gradient[..., 0].round(2) + 0.0, place),
            "g1": On(gradient[..., 1].round(2) + 0.0, place),
            "size": On(size.round(2), place),
            "slope": On(slope.round(2) + 0.0, every),
            "pointing": On(_pointing(gradient.round(2) + 0.0, size), place),
        },
        status="gradient ({g0}, {g1}), size {size}, {pointing}; slope towards {angle}°: {slope}",
        drag={land: ("x0", "x1"), rose: ("angle", None)},
        alt=fig.alt,
    )


def _compass_stage(surface, steepest):
    alt = (
        f"Left: map of the {surface.name} with the gradient at a point and a direction to look "
        "in. Right: the slope in every direction, with the chosen one marked."
    )
    fig, [[land, rose]] = figure(2, alt=alt, width=8.4, height=3.7, width_ratios=[1, 1.15])
    contours(land, surface, surface.bounds)
    land.set_aspect("equal")
    (needle,) = land.plot([], [], color=ORANGE, linewidth=2.5, label="gradient")
    (look,) = land.plot([], [], color=BLUE, linewidth=2, linestyle="--", label="direction")
    (spot,) = land.plot([], [], color="black", marker="o", linestyle="none", label="you")
    (slopes,) = rose.plot([], [], color=ORANGE, label="slope in each direction")
    mark = {"color": BLUE, "marker": "o", "markersize": 8, "linestyle": "none"}
    (here,) = rose.plot([], [], **mark, label="the direction you look in")
    rose.axhline(0, color=GREY, linewidth=1)
    rose.set(xlim=(0, 360), ylim=(-1.05 * steepest, 1.5 * steepest), xticks=range(0, 361, 90))
    rose.set(xlabel="direction in degrees", ylabel="slope")
    land.legend(handles=[needle, look], loc="upper left")
    rose.legend(handles=[slopes, here], loc="upper right")
    return fig, land, rose, (needle, look, spot, slopes, here)


def _pointing(gradient, size):
    """Where a gradient (..., 2) of this size points, in words."""
    degrees = np.rad2deg(np.arctan2(gradient[..., 1], gradient[..., 0])).round() % 360
    toward = np.char.mod("pointing to %.0f°", degrees)
    return np.where(size > 0, toward, "no direction: level ground")


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


@in_own_style
def line_fit(x, y) -> Explorer:
    """One line, seen three times: among the data, as a point on the loss, on a slice of it.

    x and y hold the data, shape (N,), about 0 … 5 both.
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    best = np.polyfit(x, y, 1)
    ws = (np.linspace(-1.8, 1.8, 41) + best[0]).round(2)
    bs = (np.linspace(-2.8, 2.8, 29) + best[1]).round(2)
    W, B = np.meshgrid(ws, bs, indexing="ij")
    fit = line_fit_at(x, y, W, B)
    fig, land, cut, actors = _line_stage(x, y, best, ws, bs)
    squares, line, slice_line, way, dot, curve, tangent, cut_dot = actors

    both, ends = "w b", np.array([-0.2, 5.6])
    fine = np.linspace(ws[0], ws[-1], 61)
    reach = np.array([-0.55, 0.55])
    corners_x, corners_y = _squares(x, W[..., None] * x + B[..., None] - y, y)
    arrow_x, arrow_y = _downhill(W, B, fit)
    return explorer(
        fig,
        {
            "w": Control(ws, "slope of the line w", start=ws[10], play=True),
            "b": Control(bs, "intercept b", start=bs[17]),
        },
        {
            squares: (On(corners_x, both), On(corners_y, both)),
            line: (ends, On(W[..., None] * ends + B[..., None], both)),
            slice_line: (ws[[0, -1]], On(bs[:, None] + [0.0, 0.0], "b")),
            way: (On(arrow_x, both), On(arrow_y, both)),
            dot: (On(ws, "w"), On(bs, "b")),
            curve: (fine, On(line_fit_at(x, y, fine, bs[:, None]).loss, "b")),
            tangent: (
                On(ws[:, None] + reach, "w"),
                On(fit.loss[..., None] + fit.dw[..., None] * reach, both),
            ),
            cut_dot: (On(ws, "w"), On(fit.loss, both)),
        },
        says={"loss": On(fit.loss, both), "dw": On(fit.dw, both), "advice": On(_advice(fit), both)},
        status="slope of the line: w = {w}   |   loss L = {loss}   |   "
        "slope of the loss along w: {dw}, {advice}",
        drag={land: ("w", "b"), cut: ("w", None)},
        alt=fig.alt,
    )


def _line_stage(x, y, best, ws, bs):
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
    data.set(xlim=(-0.2, 5.6), ylim=(middle - 2.9, middle + 2.9), title="data: the line")
    data.set(xlabel="input x", ylabel="target y")
    data.set_aspect("equal")

    def loss(at):
        return line_fit_at(x, y, at[..., 0], at[..., 1]).loss

    window = [[ws[0], ws[-1]], [bs[0], bs[-1]]]
    names = ("slope w of the line", "intercept b")
    contours(land, loss, window, power=0.45, labels=names)
    land.set_aspect("equal")  # so that the arrow stands at a right angle to the height lines
    land.plot(*best, color="black", marker="+", markersize=10, linestyle="none")
    land.set_title("all lines: this is one point")
    (slice_line,) = land.plot([], [], color=GREY, linestyle="--", linewidth=1.4, label="slice")
    (way,) = land.plot([], [], color=ORANGE, linewidth=2.2, label="against the gradient")
    mark = {"color": BLUE, "marker": "o", "markersize": 9, "linestyle": "none"}
    (dot,) = land.plot([], [], **mark, label="(w, b)")
    (curve,) = cut.plot([], [], color=GREY, linestyle="--", linewidth=1.8, label="loss along w")
    (tangent,) = cut.plot([], [], color=ORANGE, linewidth=2.4, label="tangent")
    (cut_dot,) = cut.plot([], [], **mark, label="loss of this line")
    cut.set(xlim=(ws[0], ws[-1]), ylim=(-2, 26), title="slice: the loss along w")
    cut.set(xlabel="slope w of the line", ylabel="loss L")
    return fig, land, cut, (squares, line, slice_line, way, dot, curve, tangent, cut_dot)


def _squares(x, error, y):
    """A square of each error, leaning to the side where there is room, cut apart by NaN."""
    side = np.where(x > x.mean(), -1.0, 1.0) * np.abs(error)
    gap = np.full_like(side, np.nan)
    left, low = x + 0 * side, y + 0 * side
    xs = np.stack([left, left + side, left + side, left, gap], -1)
    ys = np.stack([low, low, low + error, low + error, gap], -1)
    return xs.reshape(*side.shape[:-1], -1), ys.reshape(*side.shape[:-1], -1)


def _downhill(W, B, fit):
    """An arrow against the gradient. Its length grows with it, but slowly: it stays readable."""
    size = np.hypot(fit.dw, fit.db)
    shrink = np.where(size > 0, 1.1 * size / (size + 12) / np.maximum(size, 1e-12), 0.0)
    return arrow(W, B, -shrink * fit.dw, -shrink * fit.db, head=0.28)


def _advice(fit):
    return np.select(
        [fit.dw > 0.25, fit.dw < -0.25],
        [
            "uphill to the right: a smaller w lowers the loss",
            "downhill to the right: a larger w lowers the loss",
        ],
        "flat: w is best for this b",
    )
