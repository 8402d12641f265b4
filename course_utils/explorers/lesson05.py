"""The race: seven optimizers on four surfaces, each measured in multiples of its own good rate.

A rate of 0.5 is large for one rule and tiny for the next, so rules are not compared at one rate.
`good_rate` finds, for each rule on each surface, the one it does best with; the reader turns that
up and down, and sees plain gradient descent at the same multiple of *its* good rate beside it.
"""

from __future__ import annotations

import numpy as np
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.textpath import TextPath
from matplotlib.ticker import MaxNLocator

from course_utils.descent import descend, diverged_at
from course_utils.explore import Control, Explorer, On, explorer
from course_utils.optimizers import SGD, Adadelta, Adagrad, Adam, RMSprop
from course_utils.pictures import in_own_style
from course_utils.plots import GREY, ORANGE, figure
from course_utils.surfaces import BEALE, RAVINE, ROSENBROCK, SADDLE, Surface

__all__ = ["RULES", "race", "race_at", "good_rate"]

RULES = {
    "SGD": lambda lr, momentum: SGD(lr),
    "Momentum": lambda lr, momentum: SGD(lr, momentum),
    # SGD refuses Nesterov's form without momentum; 1e-300 changes no gradient either.
    "Nesterov": lambda lr, momentum: SGD(lr, np.maximum(momentum, 1e-300), nesterov=True),
    "AdaGrad": lambda lr, momentum: Adagrad(lr),
    "Adadelta": lambda lr, momentum: Adadelta(lr),
    "RMSprop": lambda lr, momentum: RMSprop(lr),
    "Adam": lambda lr, momentum: Adam(lr, betas=(momentum, 0.999)),
}
WITH_MOMENTUM = ["Momentum", "Nesterov", "Adam"]
NOTES = np.where(np.isin(list(RULES), WITH_MOMENTUM), "", "; no momentum in this rule")
CLOSE = 1e-4  # a walk that is this low above the minimum, and stays, has arrived
FONT = 14  # size of the map's numbers in pixels
GAP = np.full((1, 2), np.nan)  # the pen is lifted


def race_at(surface: Surface, optimizer: str, rate, momentum, steps: int) -> np.ndarray:
    """The walk of one of `RULES` from the surface's start: ``(*grid, steps + 1, 2)``.

    rate is the learning rate itself, not a multiple; momentum is μ for Momentum and Nesterov, β₁
    for Adam, and without effect on the other rules. Both broadcast to the grid. A walk that has
    diverged is NaN from there on. Raises ValueError for an unknown optimizer.
    """
    if optimizer not in RULES:
        raise ValueError(f"race: optimizer must be one of {', '.join(RULES)}, not {optimizer!r}")
    rate, momentum = np.broadcast_arrays(np.asarray(rate, float), np.asarray(momentum, float))
    rule = RULES[optimizer](rate[..., None], momentum[..., None])
    return np.moveaxis(descend(surface, rule, surface.start, steps), 0, -2)


def good_rate(surface: Surface, optimizer: str, momentum, steps: int) -> np.ndarray:
    """The rate, of one digit, that takes this rule lowest within `steps`: momentum's shape.

    Judged by the highest point of the walk's last quarter, among the walks that stay on the map.
    On a surface without a minimum no rate is best: there it is the upper end of `surface.rates`,
    and 1, Zeiler's (2012), for Adadelta, whose rate is not in units of the others'.
    """
    momentum = np.asarray(momentum, float)
    if not len(surface.minima):
        return np.full(momentum.shape, 1.0 if optimizer == "Adadelta" else surface.rates[1])
    rates = np.array([float(f"{d}e{power}") for power in range(-5, 3) for d in range(1, 10)])
    path = race_at(surface, optimizer, rates, momentum[..., None], steps)
    worst = surface(path[..., -(steps // 4) - 1 :, :]).max(axis=-1)
    inside = (surface.bounds[:, 0] <= path) & (path <= surface.bounds[:, 1])
    return rates[np.where(inside.all((-2, -1)), worst, np.inf).argmin(axis=-1)]


@in_own_style
def race(steps: int = 150) -> Explorer:
    """Choose a surface, a rule, its rate and its momentum, and play it against plain descent."""
    surfaces = [RAVINE, ROSENBROCK, BEALE, SADDLE]
    shares = np.array([0.01, 0.03, 0.1, 0.3, 0.5, 0.7, 1.0, 1.2, 1.5, 2.0, 3.0, 10.0])
    momenta = np.array([0.0, 0.5, 0.8, 0.9, 0.95, 0.99])
    fig, land, actors = _stage(steps)
    low_ground, lines, numbers, begin, goal, plain_walk, plain_fall, walk, fall = actors

    each = "surface optimizer share momentum"
    eta, path, over = _walks(surfaces, shares, momenta, steps)
    shown = np.maximum(over, 1e-12)
    on_map = np.stack([_unit(s, walks) for s, walks in zip(surfaces, path)])
    plain = (slice(None), 0, slice(None), 0)  # plain descent has no momentum
    now = np.arange(steps + 1.0)
    ground, heights, digits, starts, goals = _maps(surfaces, land.get_window_extent().size)
    fate = np.stack([_fate(*both) for both in zip(surfaces, path, over)])
    return explorer(
        fig,
        {
            "surface": Control([s.name for s in surfaces]),
            "optimizer": Control(list(RULES), start="Momentum"),
            "share": Control(shares, "rate ÷ its good rate", start=1.0),
            "momentum": Control(momenta, "momentum μ (Adam: β₁)", start=0.5),
            "step": Control(range(steps + 1), start=steps, play=True),
        },
        {
            low_ground: _xy(ground, "surface"),
            lines: _xy(heights, "surface"),
            numbers: _xy(digits, "surface"),
            begin: _xy(starts, "surface"),
            goal: _xy(goals, "surface"),
            plain_walk: (*_xy(on_map[plain], "surface share"), "step"),
            plain_fall: (now, On(shown[plain], "surface share"), "step"),
            walk: (*_xy(on_map, each), "step"),
            fall: (now, On(shown, each), "step"),
        },
        says={
            "eta": On(eta, each),
            "height": On(over, f"{each} step"),
            "plain": On(over[plain], "surface share step"),
            "fate": On(fate, each),
            "note": On(NOTES, "optimizer"),
        },
        status="η = {eta}{note}. Step {step}: height {height}, plain descent {plain}. "
        "{optimizer} {fate}",
        alt=fig.alt,
    )


def _stage(steps):
    alt = (
        "Left: map of a surface with the walk of an optimizer, and that of plain gradient "
        "descent beside it. Right: the height of both above the minimum at each step."
    )
    fig, [[land, height]] = figure(2, alt=alt, width=8.8, height=4.1, width_ratios=[1.1, 1])
    land.set(xlim=(0, 1), ylim=(0, 1), xticks=[], yticks=[], facecolor="#86B5D9")
    land.set(xlabel="x₀", ylabel="x₁")
    height.set(yscale="log", xlim=(-1, steps + 3), ylim=(1e-10, 1e3))
    height.set(xlabel="step", ylabel="height above the lowest point")
    height.set(yticks=10.0 ** np.arange(-10, 4, 2))
    low_ground = PolyCollection([], facecolors="#FFFFFF2B", edgecolors="none", label="low ground")
    numbers = PolyCollection([], facecolors="#24292F", edgecolors="none", label="numbers")
    for polygons in (low_ground, numbers):
        land.add_collection(polygons)
    (lines,) = land.plot(
        [], [], color="#7F97B2", linestyle="-", linewidth=0.5, label="height lines"
    )
    (goal,) = land.plot(
        [], [], color="black", marker="*", markersize=13, linestyle="none", label="minimum"
    )
    (begin,) = land.plot(
        [], [], color="black", marker="s", markersize=6, linestyle="none", label="start"
    )
    thin = {"color": GREY, "linestyle": "-", "linewidth": 1.2, "marker": "o", "markevery": [-1]}
    strong = thin | {"color": ORANGE, "linewidth": 2.0, "markersize": 8}
    thin |= {"markersize": 6}
    (plain_walk,) = land.plot([], [], **thin, label="plain descent")
    (walk,) = land.plot([], [], **strong, label="this optimizer")
    (plain_fall,) = height.plot([], [], **thin, label="height of plain descent")
    (fall,) = height.plot([], [], **strong, label="height of this optimizer")
    fig.legend(
        handles=[walk, plain_walk, begin, goal], loc="outside upper center", ncols=4, frameon=False
    )
    fig.draw_without_rendering()  # settles how large the map is on the page
    actors = low_ground, lines, numbers, begin, goal, plain_walk, plain_fall, walk, fall
    return fig, land, actors


def _walks(surfaces, shares, momenta, steps):
    """Rates (surface, rule, share, momentum), their walks (…, steps + 1, 2), and the heights."""
    good = np.array([[good_rate(s, rule, momenta, steps) for rule in RULES] for s in surfaces])
    eta = good[:, :, None] * shares[:, None]
    path = np.array(
        [
            [race_at(s, rule, rates, momenta, steps) for rule, rates in zip(RULES, row)]
            for s, row in zip(surfaces, eta)
        ]
    )
    return eta, path, np.stack([_above(s, walks) for s, walks in zip(surfaces, path)])


def _maps(surfaces, size):
    """Low ground, height lines, numbers, start and minima of each surface: (surface, points, 2)."""
    pieces = [
        (*_map(s), _numbers(s, size), _unit(s, s.start[None]), _unit(s, s.minima)) for s in surfaces
    ]
    return [_stacked(each) for each in zip(*pieces)]


def _xy(points, follows):
    """Points (*controls, m, 2) as the two arrays of an artist."""
    return On(points[..., 0], follows), On(points[..., 1], follows)


def _unit(surface, points):
    """Points in shares of the surface's window, so that all maps fit on one pair of axes."""
    return (points - surface.bounds[:, 0]) / np.ptp(surface.bounds, axis=1)


def _grid(surface, n=101):
    sides = [np.linspace(low, high, n) for low, high in surface.bounds]
    return np.stack(np.meshgrid(*sides), -1)


def _above(surface, points):
    """Height above the minimum or, without one, above the lowest point of the map."""
    lowest = surface(surface.minima[0]) if len(surface.minima) else surface(_grid(surface)).min()
    with np.errstate(invalid="ignore"):
        over = surface(points) - lowest
        return np.where(over >= 0, over, np.nan)  # NaN: it left the map, downwards


def _fate(surface, path, over):
    """What becomes of each walk (*grid, steps + 1, 2), in words: (*grid)."""
    gone = diverged_at(path, axis=-2)
    below = np.isnan(over) & ~np.isnan(path[..., 0])
    high = ~(over < CLOSE)
    arrival = high.shape[-1] - high[..., ::-1].argmax(axis=-1)  # the step after the last high one

    def say(words, step):
        return np.char.add(words, step.astype(str))

    return np.select(
        [below.any(axis=-1), gone >= 0, arrival < high.shape[-1]],
        [
            say("leaves the map at step ", below.argmax(axis=-1)),
            say("diverges at step ", gone),
            np.char.add(say(f"is below {CLOSE:g} from step ", arrival), " on"),
        ],
        "does not arrive" if len(surface.minima) else "does not leave the map",
    )


def _map(surface, levels=14):
    """A map as (low ground, height lines), each an array of points (m, 2) in shares of the window.

    Levels have equal areas between them. Low ground is one polygon for each level; they lie one
    upon another, so that the lowest is the palest.
    """
    grid = _grid(surface)
    z = surface(grid)
    at = np.quantile(z, (np.arange(levels) + 0.5) / levels)
    scratch = Figure().subplots()
    ground, lines = [], []
    for level in at:
        area = scratch.contourf(grid[..., 0], grid[..., 1], z, [z.min() - 1, level])
        ground += [_polygon(area.get_paths()[0]), GAP]
        border = scratch.contour(grid[..., 0], grid[..., 1], z, [level])
        lines += [part for ring in _rings(border.get_paths()[0]) for part in (ring, GAP)]
    return _unit(surface, np.vstack(ground)), _unit(surface, np.vstack(lines))


def _numbers(surface, size):
    """The numbers along the map's lower and left edge, inside it, as polygons (m, 2).

    Tick labels stand still, and these have to change with the surface. `size` is the map's on the
    page, (width, height) in pixels.
    """
    pieces = []
    for side, (low, high) in enumerate(surface.bounds):
        for value in MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(low, high):
            share = (value - low) / (high - low)
            if 0.1 < share < 0.95:
                outline = TextPath((0, 0), f"{value:g}".replace("-", "−"), size=FONT)
                glyphs = _polygon(outline)
                middle = (glyphs.max(0) + glyphs.min(0)) / 2
                anchor = [share * size[0], 6 + FONT / 2] if side == 0 else [17, share * size[1]]
                pieces += [(glyphs - middle + anchor) / size, GAP]
    return np.vstack(pieces)


def _rings(path):
    path.should_simplify = False  # Matplotlib would round to pixels, which these are not yet
    return path.to_polygons(closed_only=False)


def _polygon(path):
    """A path with islands and holes as one polygon: each hangs on the first by a bridge."""
    rings = _rings(path)
    return np.vstack([[*ring, rings[0][0]] for ring in rings])


def _stacked(pieces):
    """Points (m, 2) of each surface, padded with NaN to the same m: (surface, m, 2)."""
    longest = max(map(len, pieces))
    padding = [((0, longest - len(piece)), (0, 0)) for piece in pieces]
    return np.stack(
        [np.pad(piece, pad, constant_values=np.nan) for piece, pad in zip(pieces, padding)]
    )
