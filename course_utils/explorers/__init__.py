"""The explorers of the course: compute every position, draw the stage, let the reader move.

Each has a pure function ``settings → numbers`` (its name ends in `_at`), which the tests call,
and a function of the explorer's name, which a lesson calls: ``explorers.secant(…)``. There is one
module for each lesson, and all their names stand here:

    lesson00  valley_walk                  a walk downhill
    lesson01  secant, compass, line_fit    slopes: of a curve, in each direction, of a loss
    lesson02  precision                    the best nudge
    lesson03  likelihood                   a bell over seven numbers
    lesson04  learning_rate                too small, good, critical, divergent
    lesson05  race                         seven optimizers on four surfaces
    lesson06  xray                         what each layer of a deep network gets
    lesson07  polynomial                   too simple, about right, memorised
    lesson08  learning_curves              rate, batch and first weights in a training run
"""

from course_utils.explorers.lesson00 import valley_walk, valley_walk_at
from course_utils.explorers.lesson01 import (
    LineFit,
    compass,
    compass_at,
    line_fit,
    line_fit_at,
    secant,
    secant_at,
)
from course_utils.explorers.lesson02 import SCHEMES, precision, precision_at
from course_utils.explorers.lesson03 import NOISES, likelihood, likelihood_at
from course_utils.explorers.lesson04 import learning_rate, learning_rate_at
from course_utils.explorers.lesson05 import RULES, good_rate, race, race_at
from course_utils.explorers.lesson06 import xray, xray_at
from course_utils.explorers.lesson07 import (
    PolynomialFit,
    polynomial,
    polynomial_at,
    polynomial_data,
)
from course_utils.explorers.lesson08 import (
    LearningCurves,
    learning_curves,
    learning_curves_at,
)

__all__ = [
    "valley_walk",
    "valley_walk_at",
    "secant",
    "secant_at",
    "compass",
    "compass_at",
    "line_fit",
    "line_fit_at",
    "LineFit",
    "SCHEMES",
    "precision",
    "precision_at",
    "NOISES",
    "likelihood",
    "likelihood_at",
    "learning_rate",
    "learning_rate_at",
    "RULES",
    "race",
    "race_at",
    "good_rate",
    "xray",
    "xray_at",
    "polynomial",
    "polynomial_at",
    "polynomial_data",
    "PolynomialFit",
    "learning_curves",
    "learning_curves_at",
    "LearningCurves",
]
