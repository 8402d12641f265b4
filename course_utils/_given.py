"""What was given: the checks of arguments, in one place and one voice.

Each says who asks, what was expected and what came instead; a wrong kind is a TypeError, a wrong
value a ValueError. A check returns the value in the form in which it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

__all__ = [
    "DECAY",
    "FINITE",
    "NOT_NEGATIVE",
    "POSITIVE",
    "SHARE",
    "floats",
    "generator",
    "number",
    "numbers",
    "one_of",
    "switch",
    "whole",
    "wholes",
]

# (what is allowed, in words; the test). NaN fails every comparison, so NaN is never allowed.
Rule = tuple[str, Callable[[np.ndarray], Any]]
FINITE: Rule = "finite", np.isfinite
NOT_NEGATIVE: Rule = "finite and at least 0", lambda value: (value >= 0) & np.isfinite(value)
POSITIVE: Rule = "finite and above 0", lambda value: (value > 0) & np.isfinite(value)
SHARE: Rule = "between 0 and 1", lambda value: (value >= 0) & (value <= 1)
DECAY: Rule = "at least 0 and below 1", lambda value: (value >= 0) & (value < 1)


def number(owner: str, name: str, value: Any, rule: Rule = FINITE) -> Any:
    """One number that `rule` allows, as it is."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise TypeError(f"{owner}: {name} must be one number, not {value!r}")
    words, allowed = rule
    if not allowed(np.asarray(value)):
        raise ValueError(f"{owner}: {name} must be {words}, not {value}")
    return value


def numbers(owner: str, name: str, value: Any, rule: Rule) -> Any:
    """A number or an array of numbers that `rule` allows: a float, or a read-only float64 array.

    With a Python float NumPy computes in float32 for float32 points, as PyTorch does; a 0-d
    float64 array would raise the whole formula to float64.
    """
    array = np.asarray(value)
    if array.dtype.kind not in "iuf":
        raise TypeError(f"{owner}: {name} must be a number or an array of numbers, not {value!r}")
    words, allowed = rule
    good = np.asarray(allowed(array))
    if not good.all():
        raise ValueError(f"{owner}: {name} must be {words}, but {name} = {array[~good].flat[0]}")
    array = array.astype(np.float64)  # a copy
    array.flags.writeable = False
    return array if array.ndim else float(array)


def whole(owner: str, name: str, value: Any, least: int = 1) -> int:
    """One whole number that is at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{owner}: {name} must be a whole number, not {value!r}")
    if value < least:
        raise ValueError(f"{owner}: {name} must be at least {least}, not {value}")
    return int(value)


def wholes(name: str, value: Any, least: int = 0) -> np.ndarray:
    """Counts of steps: a whole number or an array of them, each at least `least`."""
    array = np.asarray(value)
    if array.dtype.kind not in "iu":
        raise TypeError(
            f"{name} counts steps and must be a whole number or an array of them "
            f"(np.arange, not np.linspace), not {array.dtype}"
        )
    if np.any(array < least):
        raise ValueError(f"{name} must be at least {least}, but {name} = {array.min()}")
    return array


def floats(owner: str, name: str, value: Any) -> np.ndarray:
    """An array of floats. Whole numbers are refused: they would round what is computed."""
    array = np.asarray(value)
    if array.dtype.kind in "iub":
        raise TypeError(
            f"{owner}: {name} has dtype {array.dtype}, which would round every step to a whole "
            f"number; pass floats: np.asarray({name}, dtype=float), or write 3.0 for 3"
        )
    if array.dtype.kind != "f":
        raise TypeError(f"{owner}: {name} must be an array of floats, not of dtype {array.dtype}")
    return array


def switch(owner: str, name: str, value: Any) -> bool:
    """True or False, one of them alone."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(
            f"{owner}: {name} must be True or False, not {value!r}; "
            "to compare both, run one after the other"
        )
    return bool(value)


def one_of(owner: str, name: str, value: Any, known: Iterable[str]) -> str:
    """One of the known words."""
    choices = list(known)
    if not isinstance(value, str) or value not in choices:
        named = ", ".join(f'"{choice}"' for choice in choices)
        value = str(value) if isinstance(value, str) else value  # NumPy's words, too
        raise ValueError(f"{owner}: {name} must be one of {named}; not {value!r}")
    return value


def generator(owner: str, name: str, value: Any) -> np.random.Generator:
    """A random generator, so that the draw can be repeated."""
    if not isinstance(value, np.random.Generator):
        raise TypeError(
            f"{owner}: {name} must be a random generator, so that the draw can be "
            f"repeated: rng = np.random.default_rng(SEED), not {value!r}"
        )
    return value
