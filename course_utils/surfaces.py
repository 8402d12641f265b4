"""Landscapes in two dimensions to walk down on, with everything known about them.

A `Surface` is a loss with two parameters: its value, its gradient by hand, where its minima are,
the window to draw, a point to start from and the learning rates worth trying. All of them take
points of shape (..., 2), so that a whole grid of points is one call::

    RAVINE([-7.0, 2.0])            # 6.45
    RAVINE.gradient([-7.0, 2.0])   # array([-0.7,  4. ])

Lesson 00 walks on HIMMELBLAU; 01 uses it, BOWL, RAVINE and SADDLE; 04 and 05 use all of them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from course_utils._given import number

__all__ = [
    "Surface",
    "SURFACES",
    "BOWL",
    "RAVINE",
    "ROSENBROCK",
    "BEALE",
    "HIMMELBLAU",
    "SADDLE",
    "DOUBLE_WELL",
    "PLATEAU",
    "valley",
]


@dataclass(frozen=True, eq=False)
class Surface:
    """A function of n parameters and what one needs to know to walk on it.

    A surface is called like its function: ``surface(x)``. The arrays are read-only.

    Raises ValueError if the shapes do not fit together, the start is out of bounds, or the rates
    are not 0 < low < high; TypeError if function or gradient cannot be called.

    Attributes
    ----------
    name
        what to call it in a menu
    function
        points (..., n) → values (...)
    gradient
        points (..., n) → gradients (..., n)
    minima
        (k, n): every local minimum inside the bounds, the lowest first; k may be 0
    bounds
        (n, 2): the window to draw, lowest and highest value of each coordinate
    start
        (n,): a good first start inside the bounds
    rates
        (low, high): learning rates for plain gradient descent from `start`, from "crawls" to
        "bounces, or worse"
    """

    name: str
    function: Callable[[ArrayLike], np.ndarray]
    gradient: Callable[[ArrayLike], np.ndarray]
    minima: np.ndarray
    bounds: np.ndarray
    start: np.ndarray
    rates: tuple[float, float]

    def __post_init__(self):
        for name in ("minima", "bounds", "start"):
            array = np.array(getattr(self, name), dtype=np.float64)
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        n = self.start.size
        for name, shape in {"start": (n,), "bounds": (n, 2)}.items():
            if getattr(self, name).shape != shape:
                raise ValueError(
                    f"Surface {self.name}: {name} has shape {getattr(self, name).shape}, "
                    f"expected {shape}"
                )
        if self.minima.ndim != 2 or self.minima.shape[1] != n:
            raise ValueError(
                f"Surface {self.name}: minima has shape {self.minima.shape}, expected (k, {n}): "
                f"one row for each minimum, np.empty((0, {n})) for none"
            )
        low, high = self.bounds.T
        if not np.all((low <= self.start) & (self.start <= high) & (low < high)):
            raise ValueError(
                f"Surface {self.name}: start {self.start} is not inside the bounds "
                f"{self.bounds.tolist()}; each row of bounds is (lowest, highest)"
            )
        if not 0 < self.rates[0] < self.rates[1]:
            raise ValueError(
                f"Surface {self.name}: rates must be (low, high) with 0 < low < high, "
                f"not {self.rates}"
            )
        if not (callable(self.function) and callable(self.gradient)):
            raise TypeError(f"Surface {self.name}: function and gradient must be callable")

    def __call__(self, x: ArrayLike) -> np.ndarray:
        """The height at points x of shape (..., n), an array of shape (...)."""
        return self.function(x)

    @property
    def default_rate(self) -> float:
        """The rate to show first: the geometric middle of `rates`; from `start` it is safe."""
        low, high = self.rates
        return float(np.sqrt(low * high))


def _pair(x):
    """Split points (..., 2) into their two coordinates; whole numbers become floats."""
    x = np.asarray(x)
    if x.dtype.kind in "iub":
        x = x.astype(np.float64)
    # Complex points are welcome: the complex-step derivative asks for them.
    if x.dtype.kind not in "fc":
        raise TypeError(f"a surface takes points of numbers, not of dtype {x.dtype}")
    if x.ndim == 0 or x.shape[-1] != 2:
        raise ValueError(
            f"a surface takes points of shape (..., 2), but got shape {x.shape}; put the two "
            "coordinates into the last axis: np.stack([x0, x1], axis=-1)"
        )
    return x[..., 0], x[..., 1]


def _join(g0, g1):
    return np.stack([g0, g1], axis=-1)


# ---------------------------------------------------------------------------------------------
# Quadratics: the whole story of rates and condition numbers
# ---------------------------------------------------------------------------------------------


def _bowl(x):
    x0, x1 = _pair(x)
    return x0**2 + x1**2


def _bowl_gradient(x):
    x0, x1 = _pair(x)
    return _join(2 * x0, 2 * x1)


def _ravine(x):
    x0, x1 = _pair(x)
    return x0**2 / 20 + x1**2


def _ravine_gradient(x):
    x0, x1 = _pair(x)
    return _join(x0 / 10, 2 * x1)


def _saddle(x):
    x0, x1 = _pair(x)
    return x0**2 - x1**2


def _saddle_gradient(x):
    x0, x1 = _pair(x)
    return _join(2 * x0, -2 * x1)


# Curvature 2 in every direction: plain descent bounces for ever at the rate 2/2 = 1.
BOWL = Surface(
    "bowl",
    _bowl,
    _bowl_gradient,
    minima=[[0, 0]],
    bounds=[[-5, 5], [-5, 5]],
    start=[3, 4],
    rates=(0.01, 1.1),
)

# Curvatures 1/10 and 2, condition number 20: the steep wall allows no rate above 1, and the
# floor then needs many steps.
RAVINE = Surface(
    "ravine",
    _ravine,
    _ravine_gradient,
    minima=[[0, 0]],
    bounds=[[-10, 10], [-5, 5]],
    start=[-7, 2],
    rates=(0.02, 1.1),
)


def valley(kappa: float) -> Surface:
    """x₀² / κ + x₁²: curvature 2/κ along x₀ and 2 along x₁, so its condition number is `kappa`.

    RAVINE is the one of 20. Its start is (−7, 2), its minimum (0, 0). Raises ValueError unless
    kappa is a finite number, 1 or more.
    """
    kappa = number("valley", "kappa", kappa)
    if kappa < 1:
        raise ValueError(f"valley: kappa is a quotient of curvatures, 1 or more, not {kappa}")

    def height(x):
        x0, x1 = _pair(x)
        return x0**2 / kappa + x1**2

    def slope(x):
        x0, x1 = _pair(x)
        return _join(2 * x0 / kappa, 2 * x1)

    return Surface(
        f"valley, κ = {kappa:g}",
        height,
        slope,
        minima=[[0, 0]],
        bounds=[[-8, 8], [-3, 3]],
        start=[-7, 2],
        rates=(0.02, 1.1),
    )


# No minimum: at the origin the slope is zero, but the way down goes on. The start lies almost on
# the ridge, so that a run seems to arrive before it leaves. Whoever waits leaves the window.
SADDLE = Surface(
    "saddle",
    _saddle,
    _saddle_gradient,
    minima=np.empty((0, 2)),
    bounds=[[-2, 2], [-2, 2]],
    start=[-1.5, 0.01],
    rates=(0.005, 0.1),
)


# ---------------------------------------------------------------------------------------------
# Test functions of the optimization literature
# ---------------------------------------------------------------------------------------------


def _rosenbrock(x):
    x0, x1 = _pair(x)
    return (1 - x0) ** 2 + 100 * (x1 - x0**2) ** 2


def _rosenbrock_gradient(x):
    x0, x1 = _pair(x)
    return _join(-2 * (1 - x0) - 400 * x0 * (x1 - x0**2), 200 * (x1 - x0**2))


def _beale(x):
    x0, x1 = _pair(x)
    return (
        (1.5 - x0 * (1 - x1)) ** 2
        + (2.25 - x0 * (1 - x1**2)) ** 2
        + (2.625 - x0 * (1 - x1**3)) ** 2
    )


def _beale_gradient(x):
    x0, x1 = _pair(x)
    g0, g1 = 0, 0
    for k, c in (1, 1.5), (2, 2.25), (3, 2.625):
        r = c - x0 * (1 - x1**k)
        g0 = g0 - 2 * r * (1 - x1**k)
        g1 = g1 + 2 * r * k * x0 * x1 ** (k - 1)
    return _join(g0, g1)


def _himmelblau(x):
    x0, x1 = _pair(x)
    return (x0**2 + x1 - 11) ** 2 + (x0 + x1**2 - 7) ** 2


def _himmelblau_gradient(x):
    x0, x1 = _pair(x)
    a, b = x0**2 + x1 - 11, x0 + x1**2 - 7
    return _join(4 * x0 * a + 2 * b, 2 * a + 4 * x1 * b)


# A bent valley whose floor is nearly flat: Rosenbrock (1960). Condition number 2,508 at (1, 1).
ROSENBROCK = Surface(
    "Rosenbrock",
    _rosenbrock,
    _rosenbrock_gradient,
    minima=[[1, 1]],
    bounds=[[-2, 2], [-1, 3]],
    start=[-1.2, 1],
    rates=(3e-4, 5e-3),
)

# A flat plain between walls that rise to 10⁵: Beale (1958).
BEALE = Surface(
    "Beale",
    _beale,
    _beale_gradient,
    minima=[[3, 0.5]],
    bounds=[[-4.5, 4.5], [-4.5, 4.5]],
    start=[1, 1.5],
    rates=(1e-3, 5e-2),
)

# Four minima, all of height 0: Himmelblau (1972). They solve x1 = 11 − x0² and
# x0⁴ − 22 x0² + x0 + 114 = 0.
HIMMELBLAU = Surface(
    "Himmelblau",
    _himmelblau,
    _himmelblau_gradient,
    minima=[
        [3.0, 2.0],
        [-2.805118086952745, 3.131312518250573],
        [-3.779310253377747, -3.283185991286169],
        [3.584428340330492, -1.848126526964404],
    ],
    bounds=[[-6, 6], [-6, 6]],
    start=[0, 0],
    rates=(2e-4, 4e-2),
)


# ---------------------------------------------------------------------------------------------
# Where descent ends in the wrong place, or hardly starts
# ---------------------------------------------------------------------------------------------


def _double_well(x):
    x0, x1 = _pair(x)
    return x0**4 - 2.48 * x0**2 + 0.96 * x0 + 2.6496 + x1**2


def _double_well_gradient(x):
    x0, x1 = _pair(x)
    return _join(4 * (x0 + 1.2) * (x0 - 0.2) * (x0 - 1), 2 * x1)


def _plateau(x):
    x0, x1 = _pair(x)
    r2 = x0**2 + x1**2
    return r2 / (1 + r2)


def _plateau_gradient(x):
    x0, x1 = _pair(x)
    scale = 2 / (1 + x0**2 + x1**2) ** 2
    return _join(scale * x0, scale * x1)


# Wells at x0 = −1.2 (height 0) and x0 = 1 (height 2.1296), a pass at x0 = 0.2 between them. Built
# from the roots of its slope, 4 (x0 + 1.2)(x0 − 0.2)(x0 − 1). The start leads to the upper well.
DOUBLE_WELL = Surface(
    "double well",
    _double_well,
    _double_well_gradient,
    minima=[[-1.2, 0], [1, 0]],
    bounds=[[-2, 2], [-2, 2]],
    start=[1.8, 1.2],
    rates=(2e-3, 0.2),
)

# r² / (1 + r²): far out the slope falls like 2/r³, so that the first steps are tiny.
PLATEAU = Surface(
    "plateau",
    _plateau,
    _plateau_gradient,
    minima=[[0, 0]],
    bounds=[[-4, 4], [-4, 4]],
    start=[-3, 2],
    rates=(0.05, 5.0),
)

SURFACES: dict[str, Surface] = {
    surface.name: surface
    for surface in (BOWL, RAVINE, ROSENBROCK, BEALE, HIMMELBLAU, SADDLE, DOUBLE_WELL, PLATEAU)
}
