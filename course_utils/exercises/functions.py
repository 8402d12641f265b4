"""Functions that homework hands to a student's function: to differentiate, to walk down.

They have names, so that a check can say for which one a result was wrong, and a student can call
it. All take an array; those of one number take a number as well. They work for complex numbers,
which the complex step needs. Used by hw01 and hw02. The steps at the end are those of optimizers,
for hw05 to examine.
"""

import numpy as np

__all__ = [
    "square",
    "wave",
    "growth",
    "bell",
    "bowl",
    "valley",
    "twisted",
    "hills",
    "bowl_gradient",
    "valley_gradient",
    "twisted_gradient",
    "hills_gradient",
    "circle",
    "spiral",
    "mixed",
    "book_step",
    "momentum_step",
]

# ------------------------------------------------------------------- of one number


def square(x):
    """x²"""
    return x**2


def wave(x):
    """sin 2x + x / 2"""
    return np.sin(2 * x) + x / 2


def growth(x):
    """x eˣ"""
    return x * np.exp(x)


def bell(x):
    """exp(−x²)"""
    return np.exp(-(x**2))


# -------------------------------------------------- of an array of n ≥ 2 numbers, to a number


def bowl(x):
    """Σ (i + 1) xᵢ²"""
    return np.sum((np.arange(len(x)) + 1) * x**2)


def bowl_gradient(x):
    return 2 * (np.arange(len(x)) + 1) * x


def valley(x):
    """Rosenbrock's valley, with 5 in place of 100."""
    return np.sum(5 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def valley_gradient(x):
    across = x[1:] - x[:-1] ** 2
    slopes = np.zeros_like(x)
    slopes[1:] += 10 * across
    slopes[:-1] += -20 * across * x[:-1] - 2 * (1 - x[:-1])
    return slopes


def twisted(x):
    """x₀³ + Σ sin xᵢ + x₀ x₁"""
    return x[0] ** 3 + np.sum(np.sin(x)) + x[0] * x[1]


def twisted_gradient(x):
    slopes = np.cos(x)
    slopes[0] += 3 * x[0] ** 2 + x[1]
    slopes[1] += x[0]
    return slopes


def hills(x):
    """Σ cos xᵢ + x₀² x₁"""
    return np.sum(np.cos(x)) + x[0] ** 2 * x[1]


def hills_gradient(x):
    slopes = -np.sin(x)
    slopes[0] += 2 * x[0] * x[1]
    slopes[1] += x[0] ** 2
    return slopes


# ------------------------------------------------------ of an array of 2 numbers, to an array


def circle(x):
    """(x₀² + x₁², x₀ x₁)"""
    return np.array([x[0] ** 2 + x[1] ** 2, x[0] * x[1]])


def spiral(x):
    """(x₀ cos x₁, x₀ sin x₁)"""
    return np.array([x[0] * np.cos(x[1]), x[0] * np.sin(x[1])])


def mixed(x):
    """(x₀ eˣ¹, sin x₀, x₀ − x₁²)"""
    return np.array([x[0] * np.exp(x[1]), np.sin(x[0]), x[0] - x[1] ** 2])


# ------------------------------- steps of optimizers: place and velocity, to the next two


def momentum_step(x, v, g, rate, mu):
    """Momentum without looking ahead, with the rate within the velocity."""
    v = mu * v - rate * g
    return x + v, v


def book_step(x, v, g, rate, mu):
    """Called Nesterov's in a widely read book, and wrong: homework 05 asks in what."""
    v = mu * v - rate * g
    x = x + mu * mu * v
    x = x - (1 + mu) * rate * g
    return x, v
