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
    "array",
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


def array(owner: str, name: str, value: Any) -> np.ndarray:
    """What was given as an array. A mask would be dropped without a word, so it is refused."""
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise ValueError(
            f"{owner}: {name} has {np.ma.count_masked(value)} masked entries, and nobody would "
            f"leave them out; fill or drop them first: {name}.filled(0), {name}.compressed()"
        )
    given = np.asarray(value)
    if given.dtype.isnative or given.dtype.kind not in "iufc":
        return given
    return given.astype(given.dtype.newbyteorder("="))  # of another machine's order of bytes


def numbers(owner: str, name: str, value: Any, rule: Rule) -> Any:
    """A number or an array of numbers that `rule` allows: a float, or a read-only float64 array.

    With a Python float NumPy computes in float32 for float32 points, as PyTorch does; a 0-d
    float64 array would raise the whole formula to float64.
    """
    given = array(owner, name, value)
    if given.dtype.kind not in "iuf":
        raise TypeError(f"{owner}: {name} must be a number or an array of numbers, not {value!r}")
    words, allowed = rule
    good = np.asarray(allowed(given))
    if not good.all():
        raise ValueError(f"{owner}: {name} must be {words}, but {name} = {given[~good].flat[0]}")
    given = given.astype(np.float64)  # a copy
    given.flags.writeable = False
    return given if given.ndim else float(given)


def whole(owner: str, name: str, value: Any, least: int = 1) -> int:
    """One whole number that is at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{owner}: {name} must be a whole number, not {value!r}")
    if value < least:
        raise ValueError(f"{owner}: {name} must be at least {least}, not {value}")
    return int(value)


def wholes(name: str, value: Any, least: int = 0) -> np.ndarray:
    """Counts of steps, each at least `least`: int64, in which no small type overflows."""
    counts = array(name, "this", value)
    if counts.dtype.kind not in "iu":
        raise TypeError(
            f"{name} counts steps and must be a whole number or an array of them "
            f"(np.arange, not np.linspace), not {counts.dtype}"
        )
    if np.any(counts < least):
        raise ValueError(f"{name} must be at least {least}, but {name} = {counts.min()}")
    if np.any(counts > 2**62):
        raise ValueError(f"{name} must be at most 2**62, but {name} = {counts.max()}")
    return counts.astype(np.int64)


def floats(owner: str, name: str, value: Any) -> np.ndarray:
    """An array of floats. Whole numbers are refused: they would round what is computed."""
    given = array(owner, name, value)
    if given.dtype.kind in "iub":
        raise TypeError(
            f"{owner}: {name} has dtype {given.dtype}, which would round every step to a whole "
            f"number; pass floats: np.asarray({name}, dtype=float), or write 3.0 for 3"
        )
    if given.dtype.kind != "f":
        raise TypeError(f"{owner}: {name} must be an array of floats, not of dtype {given.dtype}")
    if given.dtype.itemsize < 4:
        raise TypeError(
            f"{owner}: {name} is {given.dtype}, which has three digits, no number above 65,504 and "
            f"none for an ε of 1e-8; pass {name}.astype(np.float32), or float64"
        )
    return given


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
