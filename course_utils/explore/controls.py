"""What a reader moves, and which numbers follow it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Control", "On", "known", "nearest", "on_grid", "values_of"]

Values = Sequence[Any] | np.ndarray


@dataclass(frozen=True, eq=False)
class Control:
    """A slider (numbers) or a menu (words).

    Attributes
    ----------
    values
        where it can stand, two or more.
    label
        what stands beside it; its name where not given.
    start
        where it stands at first; where not given, a slider in the middle and a menu at its first
        entry. Of numbers the nearest value is taken.
    play
        whether the play button runs through it.
    """

    values: Values
    label: str | None = None
    start: Any = None
    play: bool = False

    @property
    def menu(self) -> bool:
        return not is_numeric(self.values)

    def first(self) -> int:
        """The place at which it stands at first. Raises ValueError for an unknown word."""
        if self.start is not None:
            return nearest(self.values, self.start)
        return 0 if self.menu else len(self.values) // 2


@dataclass(frozen=True, eq=False)
class On:
    """An array whose first axes belong to controls.

    Attributes
    ----------
    array
        shape ``(*controls, ...)``.
    follows
        the names of those controls, with blanks between them, in the order of its axes.
    """

    array: Any
    follows: str = ""


def values_of(name: str, control: Control) -> list[Any]:
    """A control's values as Python's own. Raises ValueError where it could not stand at them."""
    values = np.asarray(control.values).tolist()
    if not isinstance(values, list) or len(values) < 2:
        raise ValueError(f"control {name}: needs at least two values, got {values!r}")
    if any(value != value for value in values):
        raise ValueError(f"control {name}: nan is no value that a control can stand at")
    return values


def on_grid(what: str, given: Any, controls: Mapping[str, Sequence[Any]]) -> np.ndarray:
    """The array of an `On` with an axis for each control, of length 1 where it does not follow.

    What is no `On` follows no control. Raises ValueError for an unknown name, and where an axis
    has not the length of its control.
    """
    on = given if isinstance(given, On) else On(given)
    array, names = np.asarray(on.array), on.follows.split()
    known(what, names, controls)
    lengths = tuple(len(controls[name]) for name in names)
    if array.shape[: len(names)] != lengths:
        wanted = ", ".join(f"{name} ({n})" for name, n in zip(names, lengths))
        raise ValueError(
            f"{what}: shape {array.shape} does not fit the controls {wanted}; "
            "its first axes must have their lengths, in this order"
        )
    order = sorted(range(len(names)), key=lambda axis: list(controls).index(names[axis]))
    rest = range(len(names), array.ndim)
    array = array.transpose(*order, *rest)
    return array.reshape(
        *(len(values) if name in names else 1 for name, values in controls.items()),
        *array.shape[len(names) :],
    )


def nearest(values: Values, wanted: Any) -> int:
    """The place of `wanted` among a control's values; for numbers, of the nearest one.

    Raises ValueError for a word that is not among them.
    """
    if is_numeric(values):
        return int(np.argmin(np.abs(np.asarray(values, float) - float(wanted))))
    if wanted not in list(values):
        raise ValueError(f"{wanted!r} is not one of {list(values)}")
    return list(values).index(wanted)


def is_numeric(values: Values) -> bool:
    return all(isinstance(v, (int, float, np.number)) and not isinstance(v, bool) for v in values)


def known(what: str, names: Iterable[str], valid: Iterable[str]) -> None:
    """Raise ValueError for a name that is not among the valid ones."""
    for name in names:
        if name not in valid:
            raise ValueError(f"{what}: there is no {name!r}; there are {', '.join(valid)}")
