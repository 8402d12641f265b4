"""The polynomial: too simple, about right, memorised; judged on data it has not seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.polynomial import legendre

from course_utils.data import noisy_curve
from course_utils.explore import Control, Explorer, On, explorer
from course_utils.pictures import in_own_style
from course_utils.plots import BLUE, GREEN, GREY, ORANGE, figure

__all__ = ["polynomial", "polynomial_at", "polynomial_data", "PolynomialFit"]

VALIDATION, TEST = 30, 1000  # numbers of points
LOOKS = {
    "training": (BLUE, "--", "o"),
    "validation": (ORANGE, "-", "s"),
    "test": (GREEN, "-.", "^"),
}


@dataclass(frozen=True)
class PolynomialFit:
    """Coefficients of the Legendre polynomials P₀ … P_degree, and root mean squared errors."""

    coefficients: np.ndarray
    training: float
    validation: float
    test: float

    def __call__(self, x) -> np.ndarray:
        """The polynomial at x, an array of any shape."""
        return legendre.legval(np.asarray(x, float), self.coefficients)


def polynomial_data(noise: float, points: int, seed: int = 0) -> list[tuple]:
    """Training, validation and test data, each a pair (x, y): y = sin(πx) + noise · N(0, 1).

    There are `points`, 30 and 1,000 of them. Another noise moves the same points up and down,
    and another number of points leaves the validation and test data as they are.
    """
    return [
        noisy_curve(np.random.default_rng([seed, part]), n, noise)
        for part, n in enumerate([points, VALIDATION, TEST])
    ]


def polynomial_at(degree: int, noise: float, points: int, seed: int = 0) -> PolynomialFit:
    """The least-squares polynomial of this degree for the training data of `polynomial_data`.

    Legendre polynomials keep the equations well conditioned on [−1, 1], where all x are. With
    more coefficients than points many polynomials pass through all of them: it is the one of the
    smallest coefficients, in the sum of their squares.
    """
    if degree < 0:
        raise ValueError(f"polynomial_at: a degree is 0, 1, 2, …, not {degree}")
    parts = polynomial_data(noise, points, seed)
    (x, y), *_ = parts
    coefficients, *_ = np.linalg.lstsq(legendre.legvander(x, degree), y, rcond=None)
    errors = [np.sqrt(np.mean((legendre.legval(x, coefficients) - y) ** 2)) for x, y in parts]
    return PolynomialFit(coefficients, *map(float, errors))


@in_own_style
def polynomial(seed: int = 0) -> Explorer:
    """Choose a degree, and see the training error fall while the error on new data rises."""
    degrees, noises, counts = np.arange(16), [0.05, 0.1, 0.3, 0.6], [8, 12, 20, 40, 100]
    xs = np.linspace(-1, 1, 241)
    fig, errors, actors = _stage(xs)
    validation_dots, dots, fitted, here, floor, lines, marks = actors

    every = "degree noise points"
    level, curves = _fits(degrees, noises, counts, seed, xs)
    train, val = _points(noises, counts, seed)
    drawn = {name: np.maximum(ys, 1e-4) for name, ys in level.items()}
    return explorer(
        fig,
        {
            "degree": Control(degrees, start=11, play=True),
            "noise": Control(noises, "noise (standard deviation)", start=0.3),
            "points": Control(counts, "training points", start=12),
        },
        {
            validation_dots: _xy(val),
            dots: _xy(train),
            fitted: (xs, On(curves, every)),
            here: (On(degrees[:, None] + np.zeros(2), "degree"), [1e-4, 1e3]),
            floor: ([-1, 16], On(np.array(noises)[:, None] + np.zeros(2), "noise")),
            **{
                lines[name]: (degrees, On(np.moveaxis(ys, 0, -1), "noise points"))
                for name, ys in drawn.items()
            },
            **{marks[name]: (On(degrees, "degree"), On(ys, every)) for name, ys in drawn.items()},
        },
        says={
            "training": On(np.where(level["training"] < 1e-9, 0.0, level["training"]), every),
            "validation": On(level["validation"], every),
            "test": On(level["test"], every),
            "what": On(_what(degrees, counts, level["validation"]), every),
        },
        status="degree {degree}, {points} points: training error {training}, validation "
        "{validation}, test {test}; {what}",
        drag={errors: ("degree", None)},
        alt=fig.alt,
    )


def _stage(xs):
    alt = (
        "Left: training and validation points around a wave, and the polynomial fitted to the "
        "training points. Right: training, validation and test error against the degree, with "
        "the chosen degree marked."
    )
    fig, [[world, errors]] = figure(2, alt=alt, width=8.8, height=4.3)
    world.plot(xs, np.sin(np.pi * xs), color=GREEN, linestyle="-.", label="truth: sin(πx)")
    world.set(xlim=(-1.03, 1.03), ylim=(-2.3, 2.3), title="the polynomial")
    world.set(xlabel="input x", ylabel="target y")
    errors.set(yscale="log", xlim=(-0.4, 15.4), ylim=(5e-3, 50), title="how wrong it is")
    errors.set(xlabel="degree of the polynomial", ylabel="error, root mean square")
    errors.set(xticks=range(0, 16, 3))
    errors.set_yticks([0.01, 0.1, 1, 10], ["0.01", "0.1", "1", "10"])
    dot = {"color": "black", "marker": "o", "linestyle": "none"}
    hollow = dot | {"markersize": 5, "markerfacecolor": "white"}
    (validation_dots,) = world.plot([], [], **hollow, label="validation points")
    (dots,) = world.plot([], [], **dot, markersize=6, label="training points")
    (fitted,) = world.plot([], [], color=BLUE, linestyle="-", linewidth=2.2, label="polynomial")
    (here,) = errors.plot([], [], color=GREY, linestyle="-", linewidth=1, label="this degree")
    (floor,) = errors.plot([], [], color=GREY, linestyle=":", linewidth=2, label="noise")
    lines = {
        name: errors.plot([], [], color=color, linestyle=style, label=name)[0]
        for name, (color, style, _) in LOOKS.items()
    }
    marks = {}
    for name, (color, _, marker) in LOOKS.items():
        mark = {"color": color, "marker": marker, "markersize": 8, "linestyle": "none"}
        (marks[name],) = errors.plot([], [], **mark, label=f"{name} error here")
    below = {
        "loc": "upper center",
        "bbox_to_anchor": (0.5, -0.17),
        "ncols": 2,
        "frameon": False,
        "columnspacing": 1,
    }
    world.legend(**below)
    errors.legend(handles=[*lines.values(), floor], **below)
    return fig, errors, (validation_dots, dots, fitted, here, floor, lines, marks)


def _fits(degrees, noises, counts, seed, xs):
    """The errors of each fit, by name, (degree, noise, points), and its curve (…, len(xs))."""
    fits = [
        [[polynomial_at(int(degree), noise, n, seed) for n in counts] for noise in noises]
        for degree in degrees
    ]
    level = {
        name: np.array([[[getattr(fit, name) for fit in row] for row in layer] for layer in fits])
        for name in LOOKS
    }
    return level, np.array([[[fit(xs) for fit in row] for row in layer] for layer in fits])


def _points(noises, counts, seed):
    """Training and validation points, both (noise, points, 2, most), NaN at the end."""
    parts = [[polynomial_data(noise, n, seed) for n in counts] for noise in noises]
    return (
        np.array([[_padded(data[part], max(counts)) for data in row] for row in parts])
        for part in (0, 1)
    )


def _xy(points):
    return On(points[..., 0, :], "noise points"), On(points[..., 1, :], "noise points")


def _padded(pair, length):
    """Points (x, y) as an array (2, length), NaN at its end."""
    pair = np.stack(pair)
    return np.pad(pair, ((0, 0), (0, length - pair.shape[1])), constant_values=np.nan)


def _what(degrees, counts, error):
    """In words, how each fit stands beside the best of its row of degrees: (degree, noise, n)."""
    degree = degrees[:, None, None] + 0 * error
    unknowns = degree + 1 - np.array(counts)
    best = np.where(unknowns < 0, error, np.inf).argmin(axis=0)  # with more points than unknowns
    good = 1.25 * np.take_along_axis(error, best[None], axis=0)
    return np.select(
        [unknowns > 0, unknowns == 0, error <= good, degree < best],
        [
            "more coefficients than points: it goes through them all, and so do others",
            "as many coefficients as points: it goes through them all",
            "about as good as it gets with these data",
            "too simple: a higher degree does better on points it has not seen",
        ],
        "it memorises: a lower degree does better on points it has not seen",
    )
