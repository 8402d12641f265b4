"""The hidden tests: the same exercises as the visible checks, on inputs that only graders know.

In a source notebook, between HIDDEN TESTS marks:

    from grading.inside.hidden import hidden
    hidden("hw02_numerical", "hessian_vector", hessian_vector)

The environment variable DESCENT_GRADING names a file, ``{"sources": folder, "seed": number}``,
which `grade` sets for the kernel that runs the tests. What is said about a result never shows an
input.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import math
import os
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np

from course_utils.exercises import homework
from course_utils.exercises.engine import Diagnosis, Exercise, Trial

__all__ = ["VARIABLE", "GradingError", "PartlyRight", "diagnose", "exercises_in", "hidden"]

VARIABLE = "DESCENT_GRADING"


class GradingError(Exception):
    """Something an instructor has to mend; the message says what, and how."""


class PartlyRight(homework.NotRight):
    """A function is right on some of the kinds of input that an exercise names.

    share : of these kinds, the part on which it is right; below 1.
    """

    def __init__(self, sentence: str, share: float) -> None:
        super().__init__(sentence)
        self.share = share


def hidden(notebook: str, name: str, function: Callable) -> None:
    """Print that `function` is right on hidden inputs, or raise NotRight.

    Raises PartlyRight where it is right on whole kinds of them, if the exercise says what these
    are: the test gives that share of its points. Raises GradingError where there is no grading
    configuration: students run no hidden tests. In nbgrader's own `autograde` it ends the kernel,
    and so the run: an error of a cell would be taken for the student's.
    """
    if VARIABLE not in os.environ:
        why = (
            f"hidden tests run where {VARIABLE} names a grading configuration: "
            "use `run.py homework grade`"
        )
        if os.environ.get("NBGRADER_EXECUTION") == "autograde":
            why += (
                ", or set c.Autograde.autograde_preprocessors in nbgrader_config.py as "
                "`run.py homework` writes it"
            )
            os.write(2, f"\n{why}. Nobody is graded.\n".encode())
            os._exit(70)
        raise GradingError(why)
    given = json.loads(Path(os.environ[VARIABLE]).read_text(encoding="utf-8"))
    exercise = exercises_in(Path(given["sources"]) / notebook)[name]
    found = diagnose(exercise, function, given["seed"])
    if found.correct or not exercise.parts:
        return homework.tell(lambda: found)
    right = _parts(exercise, function, given["seed"])
    share = sum(right.values()) / len(right)
    if not 0 < share < 1:
        return homework.tell(lambda: found)
    where = " and ".join(words for words, holds in right.items() if holds)
    raise PartlyRight(f"{found} It is right where {where}.", share)


def _parts(exercise: Exercise, function: Callable, seed: int) -> dict[str, bool]:
    """For each kind of input that an exercise names, whether `function` is right on all of it."""
    trial = _trial(exercise, seed)
    kinds: dict[str, list[int]] = {}
    for index, case in enumerate(trial.cases):
        words = [words for words, holds in exercise.parts.items() if holds(*case)]
        kinds.setdefault(words[0] if words else "the input is of no such kind", []).append(index)

    def is_right(chosen: list[int]) -> bool:
        cases = [trial.cases[index] for index in chosen]
        part = replace(
            trial, cases=cases, mistakes={}, expected=lambda index: trial.expected(chosen[index])
        )
        return _quietly(part, function).correct

    return {words: is_right(chosen) for words, chosen in kinds.items()}


def diagnose(exercise: Exercise, function: Callable, seed: int) -> Diagnosis:
    """What `function` does on hidden inputs, in words that give none of them away.

    The inputs are the same for each student and each run: they follow from seed and name.
    """
    return _quietly(_trial(exercise, seed), function).discreet()


def _trial(exercise: Exercise, seed: int) -> Trial:
    digest = hashlib.sha256(f"{seed} {exercise.name}".encode()).digest()
    trial = exercise.trial(np.random.default_rng(int.from_bytes(digest)))
    return replace(trial, inputs="hidden inputs", patience=math.inf)


def _quietly(trial: Trial, function: Callable) -> Diagnosis:
    with redirect_stdout(StringIO()):  # what the function prints may be an input
        return trial.diagnose(function)


def exercises_in(folder: Path) -> dict[str, Exercise]:
    """The exercises of ``folder/exercises.py`` by name, in the order of their definition.

    Raises GradingError if the file is missing or has none.
    """
    path = Path(folder) / "exercises.py"
    if not path.is_file():
        raise GradingError(f"{path} is missing: it holds the exercises of {Path(folder).name}")
    spec = importlib.util.spec_from_file_location(f"homework_{path.parent.name}", path)
    assert spec is not None and spec.loader is not None  # it ends in .py
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = {v.name: v for v in vars(module).values() if isinstance(v, Exercise)}
    if not found:
        raise GradingError(f"{path} defines no Exercise")
    return found
