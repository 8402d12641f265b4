"""The polynomial: too simple, about right, memorised; judged on data it has not seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.polynomial import legendre

from course_utils.data import noisy_curve
from course_utils.explore import Lookup, lookup
from course_utils.plots import BLUE, GREEN, GREY, ORANGE, figure

__all__ = ["polynomial", "polynomial_at", "polynomial_data", "PolynomialFit"]

VALIDATION, TEST = 30, 1000  # numbers of points


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


def polynomial(seed: int = 0) -> Lookup:
    """Choose a degree, and see the training error fall while the error on new data rises."""
    degrees, noises, counts = np.arange(16), [0.05, 0.1, 0.3, 0.6], [8, 12, 20, 40, 100]
    alt = (
        "Left: training and validation points around a wave, and the polynomial fitted to the "
        "training points. Right: training, validation and test error against the degree, with "
        "the chosen degree marked."
    )
    fig, [[world, errors]] = figure(2, alt=alt, width=8.8, height=4.3)
    xs = np.linspace(-1, 1, 241)
    world.plot(xs, np.sin(np.pi * xs), color=GREEN, linestyle="-.", label="truth: sin(πx)")
    world.set(
        xlim=(-1.03, 1.03),
        ylim=(-2.3, 2.3),
        xlabel="input x",
        ylabel="target y",
        title="the polynomial",
    )
    errors.set(
        yscale="log",
        xlim=(-0.4, 15.4),
        ylim=(5e-3, 50),
        xlabel="degree of the polynomial",
        ylabel="error, root mean square",
        title="how wrong it is",
        xticks=range(0, 16, 3),
    )
    errors.set_yticks([0.01, 0.1, 1, 10], ["0.01", "0.1", "1", "10"])
    (validation_dots,) = world.plot(
        [],
        [],
        color="black",
        marker="o",
        markersize=5,
        markerfacecolor="white",
        linestyle="none",
        label="validation points",
    )
    (dots,) = world.plot(
        [], [], color="black", marker="o", markersize=6, linestyle="none", label="training points"
    )
    (fitted,) = world.plot([], [], color=BLUE, linestyle="-", linewidth=2.2, label="polynomial")
    (here,) = errors.plot([], [], color=GREY, linestyle="-", linewidth=1, label="this degree")
    (floor,) = errors.plot([], [], color=GREY, linestyle=":", linewidth=2, label="noise")
    looks = [
        ("training", BLUE, "--", "o"),
        ("validation", ORANGE, "-", "s"),
        ("test", GREEN, "-.", "^"),
    ]
    lines = [
        errors.plot([], [], color=color, linestyle=style, label=name)[0]
        for name, color, style, _ in looks
    ]
    marks = [
        errors.plot(
            [],
            [],
            color=color,
            marker=marker,
            markersize=8,
            linestyle="none",
            label=f"{name} error here",
        )[0]
        for name, color, _, marker in looks
    ]
    below = {
        "loc": "upper center",
        "bbox_to_anchor": (0.5, -0.17),
        "ncols": 2,
        "frameon": False,
        "columnspacing": 1,
    }
    world.legend(**below)
    errors.legend(handles=[*lines, floor], **below)

    # Axes of the grid: degree, noise, number of points.
    fits = [
        [[polynomial_at(int(degree), noise, n, seed) for n in counts] for noise in noises]
        for degree in degrees
    ]
    level = {
        name: np.array([[[getattr(fit, name) for fit in row] for row in layer] for layer in fits])
        for name, *_ in looks
    }
    curves = np.array([[[fit(xs) for fit in row] for row in layer] for layer in fits])
    parts = [[polynomial_data(noise, n, seed) for n in counts] for noise in noises]
    train, val = (
        np.array(
            [
                [_padded(parts[i][j][k], max(counts)) for j in range(len(counts))]
                for i in range(len(noises))
            ]
        )[None]
        for k in (0, 1)
    )
    noise = np.array(noises)[None, :, None, None]
    drawn = [np.maximum(level[name], 1e-4) for name, *_ in looks]
    moving = {line: (degrees, np.moveaxis(ys, 0, -1)[None]) for line, ys in zip(lines, drawn)}
    moving |= {
        mark: (degrees[:, None, None, None], ys[..., None]) for mark, ys in zip(marks, drawn)
    }
    return lookup(
        fig,
        {
            validation_dots: (val[..., 0, :], val[..., 1, :]),
            dots: (train[..., 0, :], train[..., 1, :]),
            fitted: (xs, curves),
            here: (degrees[:, None, None, None] + np.zeros(2), np.array([1e-4, 1e3])),
            floor: (np.array([-1, 16]), noise + np.zeros(2)),
            **moving,
        },
        values=level
        | {
            "training": np.where(level["training"] < 1e-9, 0.0, level["training"]),
            "what": _what(degrees, counts, level["validation"]),
        },
        status="degree {degree}, {points} points: training error {training}, validation "
        "{validation}, test {test}; {what}",
        drag={errors: ("degree", None)},
        play="degree",
        alt=alt,
        start={"degree": 1, "noise": 0.3, "points": 12},
        labels={
            "degree": "degree",
            "noise": "noise (standard deviation)",
            "points": "training points",
        },
        degree=degrees,
        noise=noises,
        points=counts,
    )


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
