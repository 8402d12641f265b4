"""The explorers of the course: compute every position, draw the stage, let the reader move.

Each has a pure function ``settings → numbers`` (its name ends in `_at`), which the tests call,
and a function of the explorer's name, which a lesson calls. Lesson 00 uses `valley_walk`, 01
`secant`, `compass` and `line_fit`, 02 `precision`, 03 `likelihood`, 04 `learning_rate`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from matplotlib.collections import PolyCollection

from course_utils.descent import descend, diverged_at
from course_utils.differentiation import derivative
from course_utils.explore import Live, Lookup, live, lookup
from course_utils.optimizers import SGD
from course_utils.plots import BLUE, GREEN, GREY, ORANGE, arrow, contours, figure
from course_utils.surfaces import HIMMELBLAU, Surface

__all__ = [
    "valley_walk", "valley_walk_at", "secant", "secant_at", "compass", "compass_at",
    "line_fit", "line_fit_at", "LineFit", "precision", "precision_at",
    "likelihood", "likelihood_at", "learning_rate", "learning_rate_at",
]


# ------------------------------------------------------------------ lesson 00: a walk downhill


def valley_walk_at(surface: Surface, x0, x1, learning_rate, steps: int) -> np.ndarray:
    """Walks of plain gradient descent, shape (*grid, steps + 1, 2), from starts (x0, x1).

    x0, x1 and learning_rate broadcast to the grid. A walk has diverged, and is NaN from there
    on, when it is further out than three times the map.
    """
    x0, x1, rate = np.broadcast_arrays(*(np.asarray(v, float) for v in (x0, x1, learning_rate)))
    path = descend(surface, SGD(lr=rate[..., None]), np.stack([x0, x1], -1), steps)
    far = ~(np.abs(path) < 3 * np.abs(surface.bounds).max()).all(axis=-1)  # NaN is far as well
    path[np.logical_or.accumulate(far)] = np.nan
    return np.moveaxis(path, 0, -2)


def valley_walk(surface: Surface = HIMMELBLAU, steps: int = 40) -> Lookup:
    """Drag the start over the map, set the stride, and play the walk step by step."""
    (left, right), (low, high) = surface.bounds
    x0 = np.linspace(left, right, 17).round(2)[1:-1]
    x1 = np.linspace(low, high, 17).round(2)[1:-1]
    rates = np.array([0.001, 0.003, 0.006, 0.01, 0.015, 0.02, 0.025, 0.03])
    alt = (f"Left: map of the {surface.name} landscape with a walker's path from a start that "
           "can be dragged. Right: the walker's height at each step.")
    fig, [[land, height]] = figure(2, alt=alt, width=8.4, height=3.7, width_ratios=[1.2, 1])
    contours(land, surface, surface.bounds, power=0.4)
    land.plot(*surface.minima.T, color="black", marker="+", markersize=9, linestyle="none")
    path_line, = land.plot([], [], color=ORANGE, linewidth=1.6, marker="o", markersize=8,
                           markevery=[-1], label="path")
    start_dot, = land.plot([], [], color="black", marker="s", markersize=6, linestyle="none",
                           label="start")
    height_line, = height.plot([], [], color=ORANGE, marker="o", markersize=6, markevery=[-1],
                               label="height")
    height.set(xlim=(0, steps), ylim=(-5, 200), xlabel="step", ylabel="height")

    grid = np.meshgrid(x0, x1, rates, indexing="ij")
    paths = valley_walk_at(surface, *grid, steps)[..., None, :, :]
    heights = surface(paths)
    now = np.moveaxis(heights, -1, -2)[..., 0]  # (x0, x1, rate, step): one height for each step
    gone = diverged_at(np.moveaxis(paths[..., 0, :, :], -2, 0))[..., None]
    step = np.arange(steps + 1)
    now = np.where((gone >= 0) & (step >= gone), np.nan, now)
    what = np.where(np.isnan(now), np.char.add("diverged at step ", gone.astype(str)),
                    np.where(now < 0.01, "arrived in a valley", "on the way"))
    return lookup(
        fig,
        {path_line: (paths[..., 0], paths[..., 1]),
         start_dot: (grid[0][..., None, None], grid[1][..., None, None]),
         height_line: (np.arange(steps + 1.0), heights)},
        reveal={path_line: "step", height_line: "step"}, drag={land: ("x0", "x1")}, play="step",
        values={"height": now, "what": what}, status="step {step}: height {height}, {what}",
        alt=alt, start={"x0": x0[9], "x1": x1[7], "learning_rate": 0.01, "step": steps},
        labels={"x0": "start x₀", "x1": "start x₁", "learning_rate": "learning rate η"},
        x0=x0, x1=x1, learning_rate=rates, step=range(steps + 1),
    )


# ------------------------------------------------------------------ lesson 01: secant → tangent


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
    alt = (f"Left: the curve of {name}, the line through the points at x and x + h, and the "
           "tangent at x. Right: the slope of that line against h; it approaches the tangent's.")
    fig, [[curve, slopes]] = figure(2, alt=alt, width=8.4, height=3.7, width_ratios=[1.2, 1])
    curve.plot(xs, f(xs), color=BLUE, linestyle="-")
    curve.set(xlim=(low, high), ylim=(bottom, top), xlabel="x", ylabel=f"{name}")
    tangent_line, = curve.plot([], [], color=GREEN, linestyle="-.", linewidth=1.8, label="tangent")
    secant_line, = curve.plot([], [], color=ORANGE, linestyle="-", linewidth=1.8, label="secant")
    rise, = curve.plot([], [], color=ORANGE, linestyle=":", linewidth=1.8, label="run and rise")
    dots, = curve.plot([], [], color="black", marker="o", linestyle="none", label="points")

    X, H = np.meshgrid(places, nudges, indexing="ij")
    change, slope = secant_at(f, X, H)
    ratio = change / H
    spread = np.abs(ratio - slope).max() * 1.1
    level, = slopes.plot([], [], color=GREEN, linestyle="-.", label="of the tangent")
    trail, = slopes.plot([], [], color=ORANGE, linestyle="-", marker="o", markevery=[-1],
                         label="of the secant")
    slopes.set(xscale="log", xlim=(nudges[0] * 1.2, nudges[-1] * 0.8), xlabel="h (shrinks →)",
               ylabel="slope = rise ÷ run", ylim=(slope.min() - spread / 4, slope.max() + spread))
    above = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "ncols": 2, "frameon": False}
    curve.legend(handles=[secant_line, tangent_line], **above)
    slopes.legend(handles=[trail, level], **above)

    ends = np.array([low, high])
    x, h, y = X[..., None], H[..., None], f(X)[..., None]
    return lookup(
        fig,
        {tangent_line: (ends, y[:, :1] + slope[:, :1, None] * (ends - x[:, :1])),
         secant_line: (ends, y + ratio[..., None] * (ends - x)),
         rise: (np.concatenate([x, x + h, x + h], -1),
                np.concatenate([y, y, y + change[..., None]], -1)),
         dots: (np.concatenate([x, x + h], -1), np.concatenate([y, y + change[..., None]], -1)),
         level: (slopes.get_xlim() + 0 * x[:, :1], slope[:, :1, None] + [0.0, 0.0]),
         trail: (nudges + 0 * x[:, :1], ratio[:, None, :])},
        reveal={trail: "h"}, play="h", drag={curve: ("x", None)}, alt=alt,
        values={"change": change, "ratio": ratio, "slope": slope},
        status="x = {x}, nudge h = {h}: the result changes by {change}, "
               "rise ÷ run = {ratio} (the tangent's slope: {slope})",
        start={"x": start, "h": nudges[0]}, labels={"x": "position x", "h": "nudge h"},
        x=places, h=nudges,
    )


# ------------------------------------------------------------------ lesson 01: the steepest way


def compass_at(surface: Surface, x0: float, x1: float, angles) -> tuple[np.ndarray, np.ndarray]:
    """The gradient (2,) at (x0, x1), and the slope in each direction of `angles` in degrees."""
    gradient = surface.gradient(np.array([x0, x1], float))
    radians = np.deg2rad(np.asarray(angles, float))
    return gradient, gradient[0] * np.cos(radians) + gradient[1] * np.sin(radians)


def compass(surface: Surface) -> Live:
    """Stand anywhere on a map, look in any direction, and read how steep it is there."""
    alt = (f"Left: map of the {surface.name} with the gradient at a point and a direction to look "
           "in. Right: the slope in every direction, with the chosen one marked.")
    fig, [[land, rose]] = figure(2, alt=alt, width=8.4, height=3.7, width_ratios=[1, 1.15])
    contours(land, surface, surface.bounds)
    land.set_aspect("equal")
    (left, right), (low, high) = surface.bounds
    length = 0.22 * min(right - left, high - low)
    needle, = land.plot([], [], color=ORANGE, linewidth=2.5, label="gradient")
    look, = land.plot([], [], color=BLUE, linewidth=2, linestyle="--", label="direction")
    spot, = land.plot([], [], color="black", marker="o", linestyle="none", label="you")
    angles = np.arange(0, 361, 3)
    corners = np.array([[left, low], [left, high], [right, low], [right, high]])
    steepest = np.linalg.norm(surface.gradient(corners), axis=-1).max()
    slopes, = rose.plot([], [], color=ORANGE, label="slope in each direction")
    here, = rose.plot([], [], color=BLUE, marker="o", markersize=8, linestyle="none",
                      label="the direction you look in")
    rose.axhline(0, color=GREY, linewidth=1)
    rose.set(xlim=(0, 360), ylim=(-1.05 * steepest, 1.5 * steepest), xlabel="direction in degrees",
             ylabel="slope", xticks=range(0, 361, 90))
    land.legend(handles=[needle, look], loc="upper left")
    rose.legend(handles=[slopes, here], loc="upper right")

    def update(x0, x1, angle):
        gradient, every = compass_at(surface, x0, x1, angles)
        _, [slope] = compass_at(surface, x0, x1, [angle])
        size = np.linalg.norm(gradient)
        unit = gradient / size if size > 0 else np.zeros(2)
        radians = np.deg2rad(angle)
        needle.set_data(*arrow(x0, x1, *(length * unit)))
        look.set_data(*arrow(x0, x1, length * np.cos(radians), length * np.sin(radians)))
        spot.set_data([x0], [x1])
        slopes.set_data(angles, every)
        here.set_data([angle], [slope])
        # + 0.0 turns −0 into 0, so that the line of text is the same on every machine
        g0, g1, felt = np.round([*gradient, slope], 2) + 0.0
        toward = np.rad2deg(np.arctan2(g1, g0)) % 360
        pointing = f"pointing to {toward:.0f}°" if size > 0 else "no direction: level ground"
        return (f"gradient ({g0:.2f}, {g1:.2f}), size {size:.2f}, {pointing}; "
                f"slope towards {angle:.0f}°: {felt:.2f}")

    def on_click(x, y, axes):
        if axes is land:
            return {"x0": float(np.clip(x, left, right)), "x1": float(np.clip(y, low, high))}
        return {"angle": float(np.clip(x, 0, 360))}

    return live(
        fig, update, [needle, look, spot, slopes, here], on_click=on_click, play="angle", alt=alt,
        start={"x0": left + 0.75 * (right - left), "x1": low + 0.7 * (high - low), "angle": 120},
        labels={"x0": "position x₀", "x1": "position x₁", "angle": "direction in degrees"},
        x0=np.linspace(left, right, 41), x1=np.linspace(low, high, 41), angle=angles,
    )


# ------------------------------------------------------------------ lesson 01: two slopes


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
    alt = ("Three linked views of one line. Left: the line among the data, with the square of "
           "each error. Middle: the same line as a point (w, b) on the map of the loss, with an "
           "arrow against the gradient. Right: the loss along w, with its tangent.")
    fig, [[data, land, cut]] = figure(3, alt=alt, width=9.6, height=3.9, width_ratios=[1.2, 0.8, 1])

    data.plot(x, y, color="black", marker="o", markersize=5, linestyle="none")
    squares = PolyCollection([], facecolors=ORANGE + "26", edgecolors=ORANGE, linewidths=1.0,
                             label="squared errors")
    data.add_collection(squares)
    line, = data.plot([], [], color=BLUE, label="line")
    middle = y.mean().round(1)
    data.set(xlim=(-0.2, 5.6), ylim=(middle - 2.9, middle + 2.9), xlabel="input x",
             ylabel="target y", title="data: the line")
    data.set_aspect("equal")

    window = [[ws[0], ws[-1]], [bs[0], bs[-1]]]
    contours(land, lambda p: line_fit_at(x, y, p[..., 0], p[..., 1]).loss, window, power=0.45,
             labels=("slope w of the line", "intercept b"))
    land.set_aspect("equal")  # so that the arrow stands at a right angle to the height lines
    land.plot(best_w, best_b, color="black", marker="+", markersize=10, linestyle="none")
    land.set_title("all lines: this is one point")
    slice_line, = land.plot([], [], color=GREY, linestyle="--", linewidth=1.4, label="slice")
    way, = land.plot([], [], color=ORANGE, linewidth=2.2, label="against the gradient")
    dot, = land.plot([], [], color=BLUE, marker="o", markersize=9, linestyle="none", label="(w, b)")

    W, B = np.meshgrid(ws, bs, indexing="ij")
    fit = line_fit_at(x, y, W, B)
    fine = np.linspace(ws[0], ws[-1], 61)
    curve, = cut.plot([], [], color=GREY, linestyle="--", linewidth=1.8, label="loss along w")
    tangent, = cut.plot([], [], color=ORANGE, linewidth=2.4, label="tangent")
    cut_dot, = cut.plot([], [], color=BLUE, marker="o", markersize=9, linestyle="none",
                        label="loss of this line")
    cut.set(xlim=(ws[0], ws[-1]), ylim=(-2, 26), xlabel="slope w of the line", ylabel="loss L",
            title="slice: the loss along w")

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
    advice = np.select([fit.dw > 0.25, fit.dw < -0.25],
                       ["uphill to the right: a smaller w lowers the loss",
                        "downhill to the right: a larger w lowers the loss"],
                       "flat: w is best for this b")
    return lookup(
        fig,
        {squares: (corners_x, corners_y), line: (ends, w * ends + b),
         slice_line: (np.array([ws[0], ws[-1]]) + 0 * b[:1], b[:1] + [0.0, 0.0]),
         way: arrow(W, B, -shrink * fit.dw, -shrink * fit.db, head=0.28),
         dot: (w, b),
         curve: (fine, line_fit_at(x, y, fine, b[:1]).loss),
         tangent: (w + reach, fit.loss[..., None] + fit.dw[..., None] * reach),
         cut_dot: (w, fit.loss[..., None])},
        values={"loss": fit.loss, "dw": fit.dw, "advice": advice},
        status="slope of the line: w = {w}   |   loss L = {loss}   |   "
               "slope of the loss along w: {dw}, {advice}",
        drag={land: ("w", "b"), cut: ("w", None)}, play="w", alt=alt,
        start={"w": ws[10], "b": bs[17]},
        labels={"w": "slope of the line w", "b": "intercept b"}, w=ws, b=bs,
    )


# ------------------------------------------------------------------ lesson 02: the best nudge

SCHEMES = ["forward", "backward", "central", "complex"]


def precision_at(scheme: str, dtype: str, h) -> tuple[np.ndarray, np.ndarray]:
    """The slope of sin at 1 by one scheme with nudges h, all in one dtype, and its error."""
    x, h = np.asarray(1.0, dtype), np.asarray(h, dtype)
    with np.errstate(all="ignore"):  # float32 has no 1e-50: h is 0 then, and 0 / 0 is NaN
        slope = {
            "forward": lambda: (np.sin(x + h) - np.sin(x)) / h,
            "backward": lambda: (np.sin(x) - np.sin(x - h)) / h,
            "central": lambda: (np.sin(x + h) - np.sin(x - h)) / (2 * h),
            "complex": lambda: np.sin(x + 1j * h).imag / h,
        }[scheme]()
    return slope, np.abs(slope.astype(float) - np.cos(1.0))


def precision() -> Lookup:
    """Drag h over 16 decades and see which of the two errors rules, for each scheme and dtype."""
    nudges = 10.0 ** np.linspace(0, -16, 49)
    dtypes = ["float64", "float32"]
    alt = ("Left: sin around 1 under a magnifier of width h, as the computer sees it, with the "
           "secant of the chosen scheme. Right: the error against h, falling with truncation and "
           "rising with rounding.")
    fig, [[lens, valley]] = figure(2, alt=alt, width=8.8, height=4.0)
    lens.set(xlim=(-1.6, 1.6), ylim=(-1.5, 1.5), xlabel="(place − 1) ÷ h",
             ylabel="(sin(place) − sin(1)) ÷ h", title="sin near 1, magnified by 1 ÷ h")
    valley.set(xscale="log", yscale="log", xlim=(2, 5e-17), ylim=(1e-17, 10),
               xticks=[1, 1e-4, 1e-8, 1e-12, 1e-16], yticks=[1, 1e-4, 1e-8, 1e-12, 1e-16],
               xlabel="nudge h (shrinks →)", ylabel="error of the slope", title="error against h")
    computed, = lens.plot([], [], color=BLUE, label="what the computer computes")
    true, = lens.plot([], [], color=GREEN, linestyle="-.", label="true slope")
    secant_line, = lens.plot([], [], color=ORANGE, linewidth=2.2, linestyle="--", marker="o",
                             label="secant")
    truncation, = valley.plot([], [], color=GREEN, linestyle="-.", label="truncation")
    rounding, = valley.plot([], [], color=GREY, linestyle=":", label="rounding")
    error_line, = valley.plot([], [], color=BLUE, label="error")
    dot, = valley.plot([], [], color=ORANGE, marker="o", markersize=9, linestyle="none",
                       label="this h")
    below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.2), "ncols": 3, "columnspacing": 1,
             "frameon": False}
    lens.legend(handles=[computed, true, secant_line], **{**below, "ncols": 2})
    valley.legend(handles=[error_line, truncation, rounding], **below)

    # Axes of the grid: scheme, dtype, h. The curve in the lens does not depend on the scheme.
    sides = np.linspace(-1.6, 1.6, 161)
    seen = []
    for dtype in dtypes:
        one, h = np.asarray(1.0, dtype), nudges.astype(dtype)[:, None]
        seen.append((np.sin(one + sides.astype(dtype) * h) - np.sin(one)).astype(float))
    seen = np.stack(seen)[None] / nudges[:, None]
    result = [[precision_at(scheme, dtype, nudges) for dtype in dtypes] for scheme in SCHEMES]
    slope, error = np.moveaxis(np.array(result, float), 2, 0)
    eps = np.array([np.finfo(dtype).eps for dtype in dtypes])[:, None]
    order = np.array([1, 1, 2, 2])[:, None, None]
    factor = np.array([np.sin(1) / 2, np.sin(1) / 2, np.cos(1) / 6, np.cos(1) / 6])
    cut = factor[:, None, None] * nudges**order + 0 * eps
    noise = np.where(np.arange(4)[:, None, None] < 3, eps * np.sin(1) / nudges / 2, eps / 2)
    noise = np.minimum(noise, 1.0) + 0 * cut  # at worst the slope is lost altogether
    ends = np.array([[0, 1], [-1, 0], [-1, 1], [np.nan, np.nan]])
    at_ends = np.stack([seen[0][..., [80 + 50 * int(k) for k in np.nan_to_num(pair)]]
                        for pair in ends]) + 0 * ends[:, None, None]
    what = np.select(
        [slope == 0, cut > 4 * noise, noise > 4 * cut],
        ["x + h is rounded to x, nothing is left", "truncation rules: a smaller h helps",
         "rounding rules: a smaller h does not help"], "near the bottom: both errors are alike")
    shown = np.maximum(error, 1e-17)
    return lookup(
        fig,
        {computed: (sides, seen), true: (np.array([[[[-1.6, 1.6]]]]),
                                         np.cos(1) * np.array([[[[-1.6, 1.6]]]])),
         secant_line: (ends[:, None, None], at_ends),
         truncation: (nudges, cut[..., None, :]), rounding: (nudges, noise[..., None, :]),
         error_line: (nudges, shown[..., None, :]), dot: (nudges[:, None], shown[..., None])},
        values={"slope": slope, "error": error, "what": what}, play="h", alt=alt,
        status="{scheme}, {dtype}, h = {h}: slope {slope}, error {error}; {what}",
        start={"scheme": "central", "h": 0.1}, labels={"h": "nudge h", "dtype": "numbers"},
        scheme=SCHEMES, dtype=dtypes, h=nudges,
    )


# ------------------------------------------------------------------ lesson 03: likelihood and loss

NOISES = ["Gaussian", "Laplace"]


def likelihood_at(noise: str, values, centre) -> tuple[np.ndarray, np.ndarray]:
    """The density of each of `values` (..., N) around `centre` (...), and the mean of its −log.

    "Gaussian" is the normal distribution of standard deviation 1, "Laplace" that of scale 1.
    """
    distance = np.asarray(values, float) - np.asarray(centre, float)[..., None]
    if noise == "Gaussian":
        surprise = distance**2 / 2 + np.log(2 * np.pi) / 2
    else:
        surprise = np.abs(distance) + np.log(2)
    return np.exp(-surprise), surprise.mean(-1)


def likelihood() -> Lookup:
    """Move a bell over seven numbers: how likely they are, and the loss that says the same."""
    fixed = np.array([-1.6, -0.9, -0.4, 0.1, 0.5, 0.9])
    last = np.linspace(1.4, 9, 20).round(1)
    centres = np.linspace(-2, 4, 61).round(1)
    alt = ("Three linked views. Left: seven numbers under a bell that can be moved, with a stick "
           "for the likelihood of each. Middle: the likelihood of all seven together, for every "
           "position of the bell. Right: the loss, minus its logarithm; it is lowest there.")
    fig, [[data, product, loss]] = figure(3, alt=alt, width=9.6, height=3.7,
                                          width_ratios=[1.3, 1, 1])
    data.set(xlim=(-4, 9.5), ylim=(0, 0.6), xlabel="value", ylabel="likelihood of each value",
             title="data: seven values")
    product.set(xlim=(-2, 4), ylim=(0, 1.08), xlabel="centre of the bell",
                ylabel="likelihood of all (best = 1)", title="multiplied: likelihood")
    loss.set(xlim=(-2, 4), ylim=(0.8, 5.5), xlabel="centre of the bell",
             ylabel="loss: mean of −log(likelihood)", title="minus logarithm: loss")
    bell, = data.plot([], [], color=BLUE, label="bell")
    sticks, = data.plot([], [], color=ORANGE, linestyle="-", linewidth=2.5,
                        label="likelihood of a value")
    dots, = data.plot([], [], color="black", marker="o", linestyle="none", label="values",
                      clip_on=False)
    rise, = product.plot([], [], color=GREY, linestyle="--", label="likelihood of all")
    rise_dot, = product.plot([], [], color=BLUE, marker="o", markersize=9, linestyle="none",
                             label="likelihood here")
    fall, = loss.plot([], [], color=GREY, linestyle="--", label="loss")
    fall_dot, = loss.plot([], [], color=BLUE, marker="o", markersize=9, linestyle="none",
                          label="loss here")

    # Axes of the grid: noise, position of the last value, centre.
    xs = np.linspace(-4, 9.5, 181)
    values = np.concatenate([np.tile(fixed, (len(last), 1)), last[:, None]], axis=1)
    every = [likelihood_at(noise, values[:, None], centres) for noise in NOISES]
    density, level = (np.stack(both) for both in zip(*every))
    bells = np.stack([likelihood_at(noise, xs, centres)[0] for noise in NOISES])[:, None]
    gap = np.full(values.shape, np.nan)
    stick_x = np.stack([values, values, gap], -1).reshape(len(last), 1, -1)
    stick_y = np.stack([0 * density, density, 0 * density], -1).reshape(*density.shape[:3], -1)
    share = np.exp(-7 * (level - level.min(-1, keepdims=True)))
    best = np.stack([values.mean(1), np.median(values, axis=1)])[..., None]
    name = np.array(["mean", "median"])[:, None, None]
    return lookup(
        fig,
        {bell: (xs, bells), sticks: (stick_x, stick_y), dots: (values[None, :, None], 0.0),
         rise: (centres, share[..., None, :]), rise_dot: (centres[:, None], share[..., None]),
         fall: (centres, level[..., None, :]), fall_dot: (centres[:, None], level[..., None])},
        values={"share": share, "loss": level, "best": best, "name": name},
        status="centre {centre}: likelihood {share} of the best, loss {loss}; "
               "the best centre is the {name}, {best}",
        drag={data: ("centre", None), product: ("centre", None), loss: ("centre", None)},
        play="centre", alt=alt, start={"last": last[0], "centre": -1.0},
        labels={"noise": "shape of the bell", "last": "position of the last value",
                "centre": "centre of the bell"},
        noise=NOISES, last=last, centre=centres,
    )


# ------------------------------------------------------------------ lesson 04: the learning rate


def learning_rate_at(curvature, rate, steps: int, start: float = 1.0) -> np.ndarray:
    """Gradient descent on ½ λ x² from `start`: (*grid, steps + 1), for λ and η that broadcast.

    Each step multiplies x by 1 − η λ (Nesterov 2004, section 1.2.3).
    """
    curvature, rate = np.broadcast_arrays(np.asarray(curvature, float), np.asarray(rate, float))

    def slope(x):
        return curvature[..., None] * x

    path = descend(slope, SGD(lr=rate[..., None]), np.full((*rate.shape, 1), start), steps)
    return np.moveaxis(path[..., 0], 0, -1)


def learning_rate(steps: int = 20) -> Lookup:
    """Too small, good, critical, divergent: one valley, one rate, and the border 2/λ."""
    curvatures = [1.0, 2.0, 4.0]
    shares = np.array([0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0, 1.02,
                       1.05, 1.1, 1.2])
    rates = np.unique((shares[:, None] * 2 / np.array(curvatures)).round(3))
    alt = ("Left: a valley with the steps of gradient descent in it. Middle: the loss after each "
           "step. Right: by how much a step multiplies the distance, against the rate, with the "
           "border 2/λ.")
    fig, [[valley, loss, factor]] = figure(3, alt=alt, width=9.6, height=3.8)
    xs = np.linspace(-2.2, 2.2, 121)
    valley.set(xlim=(-2.2, 2.2), ylim=(-0.1, 4.2), xlabel="weight x", ylabel="loss",
               title="the valley")
    loss.set(yscale="log", xlim=(0, steps), ylim=(1e-8, 1e3), xlabel="step", ylabel="loss",
             title="after each step")
    factor.set(xlim=(0, rates[-1]), ylim=(0, 1.5), xlabel="learning rate η",
               ylabel="distance after ÷ before", title="factor of a step")
    factor.axhline(1, color=GREY, linewidth=1)
    bowl, = valley.plot([], [], color=BLUE, linestyle="-", label="valley")
    walk, = valley.plot([], [], color=ORANGE, linestyle="-", linewidth=1.4, marker="o",
                        markersize=5, label="walk")
    fall, = loss.plot([], [], color=ORANGE, linestyle="-", marker="o", markersize=5,
                      label="loss on the way")
    curve, = factor.plot([], [], color=BLUE, linestyle="-", label="factor")
    border, = factor.plot([], [], color=GREEN, linestyle="-.", label="2/λ")
    dot, = factor.plot([], [], color=ORANGE, marker="o", markersize=9, linestyle="none",
                       label="this rate")
    factor.legend(handles=[border], loc="upper right", frameon=False)

    # Axes of the grid: λ, η, step.
    lam, eta = np.meshgrid(curvatures, rates, indexing="ij")
    path = learning_rate_at(lam, eta, steps)[:, :, None]
    height = lam[..., None, None] / 2 * path**2
    product = (lam * eta)[..., None]
    what = np.select(
        [product > 2.0001, product > 1.9999, product > 1, product > 0.3],
        ["diverges: beyond 2/λ each step makes it worse",
         "critical: exactly 2/λ, it swings for ever",
         "overshoots, and comes closer all the same", "good"], "slow: tiny steps")
    ends = 2 / np.array(curvatures)[:, None, None, None]
    every = np.abs(1 - np.array(curvatures)[:, None] * rates)[:, None, None]
    return lookup(
        fig,
        {bowl: (xs, np.array(curvatures)[:, None, None, None] / 2 * xs**2), walk: (path, height),
         fall: (np.arange(steps + 1.0), np.maximum(height, 1e-12)), curve: (rates, every),
         border: (ends + np.zeros(2), np.array([0, 1.5])),
         dot: (rates[:, None, None], np.abs(1 - product)[..., None])},
        values={"loss": height[:, :, 0], "what": what, "border": ends[..., 0]},
        reveal={walk: "step", fall: "step"}, play="step", alt=alt,
        status="η = {rate}, border 2/λ = {border}: {what}; step {step}: loss {loss}",
        start={"curvature": 2.0, "rate": 0.4, "step": steps},
        labels={"curvature": "curvature λ", "rate": "learning rate η"},
        curvature=curvatures, rate=rates, step=range(steps + 1),
    )
