"""The hidden tests: the same exercises as the visible checks, on inputs that only graders know.

In a source notebook, between HIDDEN TESTS marks:

    from course_utils.grading.hidden import hidden
    hidden("hw02_numerical", "hessian_vector", hessian_vector)

The environment variable DESCENT_GRADING names a file, ``{"sources": folder, "seed": number}``,
which `grade` sets for the kernel that runs the tests. What is said about a result never shows an
input. Instructors only.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np

from course_utils.exercises import homework
from course_utils.exercises.engine import Diagnosis, Exercise
from course_utils.grading.course import GradingError, exercises_in

__all__ = ["VARIABLE", "diagnose", "hidden"]

VARIABLE = "DESCENT_GRADING"


def hidden(notebook: str, name: str, function: Callable) -> None:
    """Print that `function` is right on hidden inputs, or raise NotRight.

    Raises GradingError where there is no grading configuration: students run no hidden tests.
    """
    if VARIABLE not in os.environ:
        raise GradingError(
            f"hidden tests run where {VARIABLE} names a grading configuration: "
            "use `run.py homework grade`"
        )
    given = json.loads(Path(os.environ[VARIABLE]).read_text(encoding="utf-8"))
    exercise = exercises_in(Path(given["sources"]) / notebook)[name]
    homework.tell(lambda: diagnose(exercise, function, given["seed"]))


def diagnose(exercise: Exercise, function: Callable, seed: int) -> Diagnosis:
    """What `function` does on hidden inputs, in words that give none of them away.

    The inputs are the same for each student and each run: they follow from seed and name.
    """
    digest = hashlib.sha256(f"{seed} {exercise.name}".encode()).digest()
    trial = exercise.trial(np.random.default_rng(int.from_bytes(digest)))
    with redirect_stdout(StringIO()):  # what the function prints may be an input
        found = replace(trial, inputs="hidden inputs").diagnose(function)
    return found.discreet()
