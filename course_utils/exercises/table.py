"""An exercise as a table: inputs, right results and the results of known mistakes, but no code.

A student's homework is checked on a few visible inputs without the reference being handed out:
`tabulate` runs reference and mistakes beforehand, `read` gives the table back as the engine's
`Trial`. A table is JSON, and holds plain things alone: numbers, text, lists, tuples, arrays, and
the names of the public functions in `course_utils.exercises.functions`. All homework uses this.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from course_utils.exercises.engine import Exercise, Trial
from course_utils.exercises.values import Reader, Writer

__all__ = ["VISIBLE", "agree", "decode", "encode", "read", "tabulate", "to_text"]

VISIBLE = 12  # inputs of a table
VERSION = 1


def encode(value: Any) -> Any:
    """`value` in terms of JSON; types, shapes, dtypes, nan and infinity are kept.

    Raises TypeError for what is not plain data, such as a function without a public name.
    """
    return Writer().tree(value)


def decode(data: Any) -> Any:
    """The value that `encode` was given. Raises ValueError for anything else."""
    return Reader().value(data)


def tabulate(exercise: Exercise, rng: np.random.Generator) -> dict:
    """The table of one exercise, in terms of JSON. A mistake that raises on an input is refused.

    Raises ValueError if a mistake gives the right results, or those of an earlier one: the
    inputs cannot tell them apart.
    """
    trial = exercise.trial(rng, VISIBLE)
    every = range(len(trial.cases))
    table = {
        "tolerance": trial.tolerance,
        "cases": [encode(case) for case in trial.cases],
        "expected": [encode(trial.expected(index)) for index in every],
        "mistakes": {
            name: {"sentence": sentence, "results": [encode(results(index)) for index in every]}
            for name, (results, sentence) in trial.mistakes.items()
        },
    }
    for name, (wrong, _) in exercise.mistakes.items():
        found = _trial(exercise.name, table).diagnose(wrong)
        if found.mistake != name:
            raise ValueError(
                f"tabulate: on the visible inputs of {exercise.name}, the mistake "
                f"{name!r} is taken for {found.mistake or found.kind!r}; let "
                "`inputs` draw cases that tell them apart"
            )
    return table


def to_text(tables: dict[str, dict]) -> str:
    """The tables of a homework, ``{exercise: table}``, as the text of one file."""
    text = json.dumps(
        {"version": VERSION, "exercises": tables},
        ensure_ascii=False,
        allow_nan=False,
        separators=(",", ":"),
    )
    # A line for each part, so that a diff shows what changed.
    for key in ('"cases":', '"expected":', '"mistakes":', '"sentence":'):
        text = text.replace(key, "\n" + key)
    return text + "\n"


def read(path: Path) -> dict[str, Trial]:
    """The tables in a file, ``{exercise: trial}``. Raises ValueError if it holds none."""
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
        if data["version"] != VERSION:
            raise ValueError(f"it has version {data['version']}, expected {VERSION}")
        return {name: _trial(name, table) for name, table in data["exercises"].items()}
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{Path(path).name} is no table of checks ({error}): "
            "get a fresh copy from where the notebook came from"
        ) from None


def _trial(name: str, table: dict) -> Trial:
    expected = [decode(result) for result in table["expected"]]
    mistakes = {
        mistake: ([decode(result) for result in known["results"]].__getitem__, known["sentence"])
        for mistake, known in table["mistakes"].items()
    }
    cases = [decode(case) for case in table["cases"]]
    return Trial(
        name,
        cases,
        expected.__getitem__,
        mistakes,
        table["tolerance"],
        inputs="visible inputs",
        patience=math.inf,
    )


def agree(one: Any, other: Any, tolerance: float = 1e-9) -> bool:
    """Are two encoded things the same but for rounding, which differs between machines?"""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(agree(one[k], other[k], tolerance) for k in one)
    if isinstance(one, list) and isinstance(other, list):
        if len(one) != len(other):
            return False
        size = _largest(one + other)
        return all(
            _near(a, b, size, tolerance) if _is_float(a, b) else agree(a, b, tolerance)
            for a, b in zip(one, other)
        )
    if isinstance(one, float) and isinstance(other, float):
        return _near(one, other, 0.0, tolerance)
    return one == other


def _is_float(one: Any, other: Any) -> bool:
    return isinstance(one, float) and isinstance(other, float)


def _largest(values: Iterable[Any]) -> float:
    return max((abs(value) for value in values if isinstance(value, float)), default=0.0)


def _near(one: float, other: float, size: float, tolerance: float) -> bool:
    return abs(one - other) <= tolerance * max(size, abs(one), abs(other))
