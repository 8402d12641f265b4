"""The engine that diagnoses: a mistake is a wrong implementation and the sentence that names it.

The learner's function runs on fresh random inputs beside the reference. Where
it differs, it runs beside each known mistake: the one that it equals on every
input names the error. Otherwise the smallest input that fails is shown, with
what was expected and what came. All lessons with a "your turn" use this, and
homework does: there the results of reference and mistakes are known beforehand
(`course_utils.exercises.table`), so that no code of a solution is handed out.
"""

from __future__ import annotations

import copy
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, redirect_stdout
from dataclasses import dataclass, field, replace
from io import StringIO
from time import perf_counter
from typing import Any

import numpy as np

from course_utils.exercises.edits import Edit, edited
from course_utils.exercises.values import is_tensor, plain

__all__ = ["Diagnosis", "Exercise", "Trial"]

TRIES = 24  # fresh inputs for each check
PATIENCE = 5.0  # seconds; a lesson tries a slow function on fewer inputs, but on three at least
LONGEST = 600  # characters of a result, or of an error's message, in a sentence
SHOWN = 20  # parts of a result
LEVELS = 4  # of parts in parts
CLOSE = 1e-3  # results this close are no accident: the method is right, the arithmetic is not exact


@dataclass(frozen=True)
class Diagnosis:
    """What a check found: `kind` is one of the words below, `sentence` says it to the learner.

    correct, not done, mistake, close, wrong, raised, changed argument, no result, wrong type,
    wrong shape. `mistake` is the name of the known mistake, where there is one. `unseen` says
    the same as `sentence` where that holds anything of an input, or of what the learner's code
    made of one: a result, its shape, a count, the name of an error may be chosen to tell.
    """

    kind: str
    sentence: str
    mistake: str | None = None
    unseen: str | None = None

    @property
    def correct(self) -> bool:
        return self.kind == "correct"

    def discreet(self) -> Diagnosis:
        """The diagnosis without anything that would give the inputs away."""
        return replace(self, sentence=self.unseen or self.sentence, unseen=None)

    def __str__(self) -> str:
        mark = {"correct": "✓", "not done": "○"}.get(self.kind, "✗")
        return f"{mark} {self.sentence}"


@dataclass(frozen=True)
class Exercise:
    """A function for the learner to write.

    Attributes
    ----------
    name
        the function's name in the notebook.
    reference
        a right implementation.
    inputs
        ``inputs(rng)`` draws the arguments of one call, a tuple; rounded numbers are easier to read
        when an input is shown.
    mistakes
        ``{name: (wrong implementation, sentence)}``, or ``{name: Edit(sentence, …)}``. The sentence
        says what the learner did and what that does; it must not say the solution. Of two that give
        the same, the first is named.
    tolerance
        how far a result may be from the reference, relative to its largest entry.
    parts
        kinds of input that have points of their own where homework is graded: ``{words: holds}``.
        ``holds(*arguments)`` says whether a call is of this kind, and the words end the sentence
        "Right where …". A call counts for the first kind that holds.
    """

    name: str
    reference: Callable
    inputs: Callable[[np.random.Generator], tuple]
    mistakes: Mapping[str, Any] = field(default_factory=dict)
    tolerance: float = 1e-6
    parts: Mapping[str, Callable[..., bool]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known = {
            name: (edited(self.reference, *mistake.changes), mistake.sentence)
            if isinstance(mistake, Edit)
            else mistake
            for name, mistake in self.mistakes.items()
        }
        object.__setattr__(self, "mistakes", known)

    def check(self, function: Callable, rng: np.random.Generator | None = None) -> None:
        """Print the diagnosis of `function`. Whatever it raises, the notebook goes on.

        Only KeyboardInterrupt passes: who stops a cell wants it to stop.
        """
        print(self.diagnose(function, rng))

    def diagnose(self, function: Callable, rng: np.random.Generator | None = None) -> Diagnosis:
        """Run `function` on fresh inputs and say what it does.

        What it prints is seen for the first input alone.

        Parameters
        ----------
        function
            the learner's.
        rng
            draws the inputs; a fresh one where not given.
        """
        return self.trial(rng).diagnose(function)

    def trial(self, rng: np.random.Generator | None = None, tries: int = TRIES) -> Trial:
        """Fresh inputs, and what reference and mistakes make of them, computed where asked for."""
        rng = np.random.default_rng() if rng is None else rng
        cases = sorted((self.inputs(rng) for _ in range(tries)), key=_size)

        def results_of(function):
            return lambda index: _run(function, cases[index])

        mistakes = {
            name: (results_of(wrong), sentence) for name, (wrong, sentence) in self.mistakes.items()
        }
        return Trial(self.name, cases, results_of(self.reference), mistakes, self.tolerance)


@dataclass(frozen=True)
class Trial:
    """One check of a function: the inputs, and the results to compare with.

    Attributes
    ----------
    name
        the function's name.
    cases
        the arguments of each call, small ones first.
    expected
        ``expected(i)`` is the right result for case i.
    mistakes
        ``{name: (results, sentence)}``, where ``results(i)`` is what the known mistake gives for
        case i.
    tolerance
        as in `Exercise`.
    inputs
        what the inputs are called in a sentence.
    patience
        seconds after which a slow function is tried on the largest input alone. Where points hang
        on it, infinite: how many inputs are tried is not for the function to decide.
    """

    name: str
    cases: Sequence[tuple]
    expected: Callable[[int], Any]
    mistakes: Mapping[str, tuple[Callable[[int], Any], str]]
    tolerance: float
    inputs: str = "fresh inputs"
    patience: float = PATIENCE

    def diagnose(self, function: Callable) -> Diagnosis:
        """Run `function` on the inputs and say what it does; see `Exercise.diagnose`."""
        if function is ...:
            return self._not_done("the dots")
        if not callable(function):
            return Diagnosis(
                "wrong type",
                f"{self.name}: expected a function, got {_show(function)}.",
                unseen=f"{self.name} is no function.",
            )
        tried: list[int] = []
        results: list[Any] = []
        start = perf_counter()
        for index in range(len(self.cases)):
            late = len(tried) >= 2 and perf_counter() - start > self.patience
            if late:  # end with the largest: small inputs alone hide many mistakes
                index = len(self.cases) - 1
            # Lines printed to find a mistake help once; 24 times they bury the diagnosis.
            with redirect_stdout(StringIO()) if tried else nullcontext():
                trouble, result = self._call(function, self.cases[index])
            if trouble:
                return trouble
            tried.append(index)
            results.append(result)
            if late:
                break
        wanted = [self.expected(index) for index in tried]
        wrong = [not self._same(got, want) for got, want in zip(results, wanted)]
        if not any(wrong):
            return Diagnosis("correct", f"{self.name}: right on {len(tried)} {self.inputs}.")
        for name, (mistaken, sentence) in self.mistakes.items():
            if all(self._same(got, mistaken(index)) for got, index in zip(results, tried)):
                return Diagnosis("mistake", f"{self.name}: {sentence}", name)
        if all(_equal(got, want, CLOSE) for got, want in zip(results, wanted)):
            return Diagnosis(
                "close",
                f"{self.name}: right to three digits or more, but not exact. "
                "Did you nudge where a formula is asked for, round, or compute in "
                "float32 (PyTorch's default) where float64 is needed?",
            )
        first = wrong.index(True)
        return self._differs(self.cases[tried[first]], results[first], wanted[first], wrong)

    def _call(self, function: Callable, case: tuple) -> tuple[Diagnosis | None, Any]:
        """One call of the learner's function, and what is to be said of it at once."""
        given = copy.deepcopy(case)
        try:
            with np.errstate(all="ignore"):
                result = _kept(function(*given))
        except NotImplementedError:
            return self._not_done("`raise NotImplementedError`"), None
        except (Exception, SystemExit) as error:  # a learner's function may raise anything
            return Diagnosis(
                "raised",
                f"{self.name}{_show(case)} raised {_message(error)}{_line_of(error)}",
                unseen=f"{self.name} raises an error.",
            ), None
        parts = result if isinstance(result, tuple) else (result,)
        if any(part is ... for part in parts):
            return self._not_done("the dots"), None
        if result is None:
            return Diagnosis(
                "no result",
                f"{self.name} gives nothing back: its last line must be `return` and the result.",
            ), None
        if parts and all(part is None for part in parts):
            return Diagnosis(
                "no result",
                f"{self.name} gives back {_show(result)}, and None is "
                "nothing. It comes from calls that give nothing back, "
                "like `print(…)` or `x.sort()`.",
                unseen=f"{self.name} gives back None, which is nothing.",
            ), None
        # A grader's stand-in for a learner's function gets copies, and tells what became of them.
        if getattr(function, "changed_arguments", False) or not _equal(given, case, 0.0):
            return Diagnosis(
                "changed argument",
                f"{self.name} changes an argument it was given "
                "(`+=`, `-=` or `x[i] = …` work on the caller's own array): "
                "make a new array instead.",
            ), None
        return None, result

    def _not_done(self, stub: str) -> Diagnosis:
        return Diagnosis(
            "not done", f"{self.name}: not done yet. Replace {stub} and run the cell again."
        )

    def _same(self, got: Any, want: Any) -> bool:
        return _equal(got, want, self.tolerance)

    def _differs(self, case: tuple, got: Any, want: Any, wrong: list[bool]) -> Diagnosis:
        call, shown = f"{self.name}{_show(case)}", _show(got)
        if _parts(got) is None:
            kind = "" if shown == _type_of(got) else f", {_type_of(got)}"
            wish = "a smaller number is" if isinstance(got, int) else "real numbers are"
            return Diagnosis(
                "wrong type",
                f"{call} gives {shown}{kind}: {wish} expected.",
                unseen=f"{self.name} does not give real numbers.",
            )
        have, need = _describe(got), _describe(want)
        if have != need:
            return Diagnosis(
                "wrong shape",
                f"{call} gives {have}, expected {need}.",
                unseen=f"{self.name} gives a result of the wrong shape.",
            )
        return Diagnosis(
            "wrong",
            f"{call}: expected {_show(want)}, got {shown}. "
            f"{sum(wrong)} of {len(wrong)} inputs differ.",
            unseen=f"{self.name} is wrong on {'all' if all(wrong) else 'some'} {self.inputs}.",
        )


# --------------------------------------------------------------------- helpers


def _run(function: Callable, case: tuple) -> Any:
    with np.errstate(all="ignore"):
        return function(*copy.deepcopy(case))


def _kept(value: Any) -> Any:
    """A copy of a result: a function may fill one buffer of its own again and again."""
    if isinstance(value, (tuple, list)):
        return (tuple if isinstance(value, tuple) else list)(_kept(part) for part in value)
    if is_tensor(value):
        return value.detach().clone()
    return value.copy() if isinstance(value, np.ndarray) else value


def _parts(value: Any) -> list[np.ndarray] | None:
    """A result as a list of float arrays (a tuple has one each); None if it holds no numbers."""
    try:
        arrays = [np.asarray(plain(v)) for v in (value if isinstance(value, tuple) else (value,))]
        # NumPy would read "1.5" as a number and drop the imaginary part of another.
        numeric = all(array.dtype.kind in "biuf" for array in arrays)
        return [array.astype(float) for array in arrays] if numeric else None
    except Exception:  # a learner's object may raise anything when it is looked at
        return None


def _equal(a: Any, b: Any, tolerance: float) -> bool:
    if callable(b):
        return callable(a)
    if isinstance(a, tuple) != isinstance(b, tuple):  # `return x,` is no x
        return False
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


def _describe(value: Any) -> str:
    shapes = [part.shape for part in _parts(value) or []]
    names = ["one number" if shape == () else f"an array of shape {shape}" for shape in shapes]
    if not isinstance(value, tuple):
        return names[0]
    many = "1 result" if len(names) == 1 else f"{len(names)} results"
    names = [*names[:SHOWN], *(["…"] if len(names) > SHOWN else [])]
    return f"a tuple of {many} ({', '.join(names)})"


def _size(case: tuple) -> tuple[int, float]:
    """Small inputs first: fewer entries, then smaller numbers."""
    arrays = [np.asarray(part, float) for part in case if not callable(part)]
    return sum(a.size for a in arrays), float(sum(np.abs(a).sum() for a in arrays))


def _type_of(value: Any) -> str:
    name = type(value).__name__
    return f"{'an' if name.startswith((*'aeiou', 'nd')) else 'a'} {name}"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _show(value: Any, levels: int = LEVELS) -> str:
    """A value as words of a sentence: short, and never with an address."""
    try:
        text = _text(value, levels)
    except Exception:  # the repr of a learner's object may raise, too
        return _type_of(value)
    return _type_of(value) if " at 0x" in text else text


def _text(value: Any, levels: int) -> str:
    if isinstance(value, (tuple, list)):
        if levels == 0:
            return "…"
        parts = [_show(part, levels - 1) for part in value[:SHOWN]]
        text = _cut(", ".join([*parts, *(["…"] if len(value) > SHOWN else [])]), LONGEST)
        return f"({text})" if isinstance(value, tuple) else f"[{text}]"
    if callable(value):
        return getattr(value, "__name__", "function")
    if isinstance(value, (float, np.floating)):
        return f"{float(value):.6g}"
    value = plain(value)
    if isinstance(value, np.ndarray):
        if value.size > SHOWN and value.ndim > 3:  # its corners alone would fill pages
            return f"an array of shape {value.shape}"
        return np.array2string(value, precision=4, separator=", ", threshold=12)
    return _cut(repr(value), 80)


def _message(error: BaseException) -> str:
    try:
        text = _cut(str(error), LONGEST)
    except Exception:  # an exception of the learner's own may raise when it is shown
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _line_of(error: BaseException) -> str:
    """The line of the learner's code that raised, if it can be seen."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename != __file__]
    line = frames[-1].line if frames else None
    return f" (in the line `{line}`)" if line else ""
