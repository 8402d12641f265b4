"""The engine that diagnoses: a mistake is a wrong implementation and the sentence that names it.

The learner's function runs on fresh random inputs beside the reference. Where
it differs, it runs beside each known mistake: the one that it equals on every
input names the error. Otherwise the smallest input that fails is shown, with
what was expected and what came. All lessons with a "your turn" use this.
"""

from __future__ import annotations

import copy
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["Diagnosis", "Exercise"]

TRIES = 24  # fresh inputs for each check
CLOSE = 1e-3  # results this close are no accident: the method is right, the arithmetic is not exact


@dataclass(frozen=True)
class Diagnosis:
    """What a check found: `kind` is one of the words below, `sentence` says it to the learner.

    correct, not done, mistake, close, wrong, raised, changed argument, no result, wrong type,
    wrong shape. `mistake` is the name of the known mistake, where there is one.
    """

    kind: str
    sentence: str
    mistake: str | None = None

    @property
    def correct(self) -> bool:
        return self.kind == "correct"

    def __str__(self) -> str:
        mark = {"correct": "✓", "not done": "○"}.get(self.kind, "✗")
        return f"{mark} {self.sentence}"


@dataclass(frozen=True)
class Exercise:
    """A function for the learner to write.

    name : the function's name in the notebook.
    reference : a right implementation.
    inputs : ``inputs(rng)`` draws the arguments of one call, a tuple; rounded numbers
        are easier to read when an input is shown.
    mistakes : ``{name: (wrong implementation, sentence)}``. The sentence says what the
        learner did and what that does; it must not say the solution.
    tolerance : how far a result may be from the reference, relative to its largest entry.
    """

    name: str
    reference: Callable
    inputs: Callable[[np.random.Generator], tuple]
    mistakes: Mapping[str, tuple[Callable, str]] = field(default_factory=dict)
    tolerance: float = 1e-6

    def check(self, function: Callable, rng: np.random.Generator | None = None) -> None:
        """Print the diagnosis of `function`. Nothing is raised: the notebook goes on."""
        print(self.diagnose(function, rng))

    def diagnose(self, function: Callable, rng: np.random.Generator | None = None) -> Diagnosis:
        """Run `function` on fresh inputs and say what it does.

        Parameters
        ----------
        function : the learner's.
        rng : draws the inputs; a fresh one where not given.
        """
        if not callable(function):
            return Diagnosis("not done" if function is ... else "wrong type",
                             f"{self.name}: expected a function, got {_show(function)}.")
        rng = np.random.default_rng() if rng is None else rng
        cases = sorted((self.inputs(rng) for _ in range(TRIES)), key=_size)
        results = []
        for case in cases:
            trouble, result = self._call(function, case)
            if trouble:
                return trouble
            results.append(result)
        wanted = [self._run(self.reference, case) for case in cases]
        wrong = [not self._same(got, want) for got, want in zip(results, wanted)]
        if not any(wrong):
            return Diagnosis("correct", f"{self.name}: right on {TRIES} fresh inputs.")
        for name, (mistaken, sentence) in self.mistakes.items():
            if all(self._same(got, self._run(mistaken, case))
                   for got, case in zip(results, cases)):
                return Diagnosis("mistake", f"{self.name}: {sentence}", name)
        if all(_equal(got, want, CLOSE) for got, want in zip(results, wanted)):
            return Diagnosis("close", f"{self.name}: right to three digits or more, but not exact. "
                             "Did you nudge where a formula is asked for, or round?")
        first = wrong.index(True)
        return self._differs(cases[first], results[first], wanted[first], sum(wrong))

    def _call(self, function: Callable, case: tuple) -> tuple[Diagnosis | None, Any]:
        """One call of the learner's function, and what is to be said of it at once."""
        given = copy.deepcopy(case)
        try:
            with np.errstate(all="ignore"):
                result = function(*given)
        except NotImplementedError:
            return self._not_done(), None
        except Exception as error:  # a learner's function may raise anything
            return Diagnosis("raised", f"{self.name}{_show(case)} raised "
                             f"{type(error).__name__}: {error}{_line_of(error)}"), None
        if result is ... or (isinstance(result, tuple) and any(part is ... for part in result)):
            return self._not_done(), None
        if result is None:
            return Diagnosis("no result", f"{self.name} gives nothing back: "
                             "its last line must be `return` and the result."), None
        if not _equal(given, case, 0.0):
            return Diagnosis("changed argument", f"{self.name} changes an argument it was given "
                             "(`+=`, `-=` or `x[i] = …` work on the caller's own array): "
                             "make a new array instead."), None
        return None, result

    def _not_done(self) -> Diagnosis:
        return Diagnosis("not done", f"{self.name}: not done yet. Replace the dots and run "
                         "the cell again.")

    def _run(self, function: Callable, case: tuple) -> Any:
        with np.errstate(all="ignore"):
            return function(*copy.deepcopy(case))

    def _same(self, got: Any, want: Any) -> bool:
        return _equal(got, want, self.tolerance)

    def _differs(self, case: tuple, got: Any, want: Any, failures: int) -> Diagnosis:
        call = f"{self.name}{_show(case)}"
        if _parts(got) is None:
            return Diagnosis("wrong type", f"{call} gives {_show(got)}, "
                             f"a {type(got).__name__}: numbers are expected.")
        have, need = _shapes(got), _shapes(want)
        if have != need:
            return Diagnosis("wrong shape", f"{call} gives {_describe(have)}, "
                             f"expected {_describe(need)}.")
        return Diagnosis("wrong", f"{call}: expected {_show(want)}, got {_show(got)}. "
                         f"{failures} of {TRIES} inputs differ.")


# --------------------------------------------------------------------- helpers


def _parts(value: Any) -> list[np.ndarray] | None:
    """A result as a list of float arrays (a tuple has one each); None if it holds no numbers."""
    values = value if isinstance(value, tuple) else (value,)
    if any(isinstance(part, str) for part in values):  # NumPy would read "1.5" as a number
        return None
    try:
        return [np.asarray(v.detach() if hasattr(v, "detach") else v, dtype=float) for v in values]
    except (TypeError, ValueError, AttributeError):
        return None


def _equal(a: Any, b: Any, tolerance: float) -> bool:
    if callable(b):
        return callable(a)
    if isinstance(b, tuple) and any(callable(part) for part in b):
        return len(a) == len(b) and all(_equal(x, y, tolerance) for x, y in zip(a, b))
    left, right = _parts(a), _parts(b)
    if left is None or right is None or len(left) != len(right):
        return False
    for x, y in zip(left, right):
        if x.shape != y.shape:
            return False
        room = tolerance * max(1e-300, float(np.max(np.abs(y), initial=0.0, where=np.isfinite(y))))
        if not np.allclose(x, y, rtol=0.0, atol=room, equal_nan=True):
            return False
    return True


def _shapes(value: Any) -> tuple:
    return tuple(part.shape for part in _parts(value))


def _describe(shapes: tuple) -> str:
    names = ["one number" if shape == () else f"an array of shape {shape}" for shape in shapes]
    many = len(names) > 1
    return f"{len(names)} results ({', '.join(names)})" if many else names[0]


def _size(case: tuple) -> tuple[int, float]:
    """Small inputs first: fewer entries, then smaller numbers."""
    arrays = [np.asarray(part, float) for part in case if not callable(part)]
    return sum(a.size for a in arrays), float(sum(np.abs(a).sum() for a in arrays))


def _show(value: Any) -> str:
    if isinstance(value, tuple):
        return "(" + ", ".join(_show(part) for part in value) + ")"
    if callable(value):
        return getattr(value, "__name__", "function")
    if isinstance(value, (float, np.floating)):
        return f"{float(value):.6g}"
    if hasattr(value, "detach"):
        value = value.detach().numpy()
    if isinstance(value, np.ndarray):
        return np.array2string(value, precision=4, separator=", ", threshold=12)
    return repr(value)


def _line_of(error: Exception) -> str:
    """The line of the learner's code that raised, if it can be seen."""
    frames = traceback.extract_tb(error.__traceback__)
    line = frames[-1].line if len(frames) > 1 else None
    return f" (in the line `{line}`)" if line else ""
