"""What a lesson says to its reader: predictions, observations, verdicts, and whether all works.

A lesson is a chain of questions. For each the reader first commits to a guess
(`predict`), then runs the experiment, says what was seen (`observe`), and reads
a `verdict`: the claim, asserted on the numbers just computed. A claim that does
not hold stops the notebook, in a lesson as in the tests. All lessons use this
module.
"""

from __future__ import annotations

import html
import importlib
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from course_utils._text import printed

__all__ = [
    "verdict",
    "VerdictFailed",
    "predict",
    "Prediction",
    "observe",
    "Observation",
    "check_environment",
]


class VerdictFailed(AssertionError):
    """A claim of a lesson does not hold on the numbers that were computed."""


def verdict(claim: str, holds: Any, **evidence: Any) -> None:
    """Print ``✓ claim (evidence)``, or raise with the same words if it does not hold.

    Parameters
    ----------
    claim
        the sentence that is put to the test.
    holds
        True or False, computed from the experiment.
    **evidence
        numbers, short arrays or words that the claim rests on; numbers are printed with three
        significant digits, whole numbers in full.

    Raises
    ------
    VerdictFailed
        `holds` is False.
    TypeError
        `holds` is not one truth value (an array needs ``.all()`` or ``.any()``).
    """
    holds = _truth("verdict: holds", holds)
    shown = ", ".join(f"{name.replace('_', ' ')} = {printed(v)}" for name, v in evidence.items())
    sentence = f"{claim} ({shown})" if shown else claim
    if not holds:
        raise VerdictFailed(f"✗ {sentence}")
    print(f"✓ {sentence}")


@dataclass(frozen=True)
class Prediction:
    """A question whose options open to tell what is right or tempting about them."""

    question: str
    options: Mapping[str, str]
    answer: str

    def __repr__(self) -> str:
        options = "\n".join(f"  ○ {option}" for option in self.options)
        return f"Predict: {self.question}\n{options}"

    def _repr_mimebundle_(self, **kwargs):
        return {"text/plain": repr(self), "text/html": self._html()}

    def _html(self) -> str:
        return _folded(
            "de-predict",
            f"<strong>Predict.</strong> {_inline(self.question)} <em>Choose, then read.</em>",
            {o: ("Yes." if o == self.answer else None, why) for o, why in self.options.items()},
        )


@dataclass(frozen=True)
class Observation:
    """Statements about what was just seen, each of which opens to tell whether it holds.

    Attributes
    ----------
    question
        where to look.
    statements
        ``{statement: (holds, why)}``.
    """

    question: str
    statements: Mapping[str, tuple[bool, str]]

    def __repr__(self) -> str:
        statements = "\n".join(f"  ○ {statement}" for statement in self.statements)
        return f"Observe: {self.question}\n{statements}"

    def _repr_mimebundle_(self, **kwargs):
        return {"text/plain": repr(self), "text/html": self._html()}

    def _html(self) -> str:
        return _folded(
            "de-predict de-observe",
            f"<strong>Observe.</strong> {_inline(self.question)} "
            "<em>Does it hold? Decide for each, then read.</em>",
            {
                s: ("So it is." if holds else None, why)
                for s, (holds, why) in self.statements.items()
            },
        )


def _folded(css: str, question: str, each: Mapping[str, tuple[str | None, str]]) -> str:
    """A question above lines that open; ``{line: (what confirms it, why)}``."""
    # <details> needs neither kernel nor script: it answers in a saved page as well.
    edge = "#cc79a7" if css == "de-predict" else "#007a5a"
    parts = [f'<div class="{css}" style="border-left: 4px solid {edge}; {_BOX}"><p>{question}</p>']
    for line, (yes, why) in each.items():
        mark = f"✓ {yes}" if yes else "✗ Not so."
        parts.append(
            f'<details class="de-option" style="{_OPTION}">'
            f'<summary data-lm-suppress-shortcuts="true">{_inline(line)}</summary>'
            f"<p><strong>{mark}</strong> {_inline(why)}</p></details>"
        )
    return "\n".join([*parts, "</div>"])


_BOX = "padding: 2px 12px 6px 12px; max-width: 46em"
_OPTION = "margin: 4px 0px 4px 12px"


def predict(question: str, options: Mapping[str, str], answer: str) -> Prediction:
    """Ask for a guess before the cell that answers it.

    Parameters
    ----------
    question
        one sentence. ``code`` between backticks is set as code.
    options
        ``{option: why}``, two or more: for the right one why it is right, for a wrong one why it
        tempts.
    answer
        the right option, word for word.

    Raises
    ------
    ValueError
        There are fewer than two options, an option is not explained, or the answer is none of them.
    """
    if len(options) < 2:
        raise ValueError("predict: a guess needs at least two options")
    if answer not in options:
        raise ValueError(f"predict: the answer {answer!r} is none of the options {list(options)}")
    for option, why in options.items():
        if not str(why).strip():
            raise ValueError(f"predict: say why {option!r} is right, or why it tempts")
    return Prediction(question, dict(options), answer)


def observe(question: str, statements: Mapping[str, tuple[Any, str]]) -> Observation:
    """Ask what was seen, behind the cell that showed it; the key comes from its numbers.

    Parameters
    ----------
    question
        where to look, in one sentence. ``code`` between backticks is set as code.
    statements
        ``{statement: (holds, why)}``, two or more, of which some hold and some do not: holds is
        computed from what was just drawn or printed, why tells how one sees it.

    Raises
    ------
    ValueError
        There are fewer than two statements, all of them hold or none does, or one is not explained.
    TypeError
        One of the holds is not one truth value.
    """
    if len(statements) < 2:
        raise ValueError("observe: an observation needs at least two statements")
    key = {}
    for statement, (holds, why) in statements.items():
        if not str(why).strip():
            raise ValueError(f"observe: say how one sees whether {statement!r}")
        key[statement] = _truth(f"observe: whether {statement!r}", holds), why
    if len({holds for holds, _ in key.values()}) == 1:
        word = "all" if all(holds for holds, _ in key.values()) else "none"
        raise ValueError(f"observe: {word} of the statements hold, so there is nothing to tell")
    return Observation(question, key)


def check_environment() -> None:
    """Print, for each thing the course needs, that it works, or how to mend it."""
    checks = [
        (
            "Python 3.11 or newer",
            _python,
            "install it from python.org, then run `python3 run.py lab`",
        ),
        ("NumPy computes", _numpy, "in a terminal: `python3 run.py lab`"),
        ("Matplotlib draws", _matplotlib, "in a terminal: `python3 run.py lab`"),
        ("PyTorch differentiates", _torch, "in a terminal: `python3 run.py lab`"),
        (
            "Explorers can be shown",
            _widgets,
            "start JupyterLab with `python3 run.py lab`, not from another installation",
        ),
    ]
    for what, works, fix in checks:
        try:
            works()
            print(f"✓ {what}")
        except Exception as error:  # whatever is broken, the reader gets the fix
            print(f"✗ {what}: {type(error).__name__}: {error}\n  To mend it: {fix}")


# --------------------------------------------------------------------- helpers


def _truth(what: str, holds: Any) -> bool:
    if np.ndim(holds) == 0 and hasattr(holds, "item"):  # of an array or a tensor of one value
        holds = holds.item()
    if not isinstance(holds, bool):
        raise TypeError(
            f"{what} must be True or False, not {type(holds).__name__}; a number has to be "
            "compared, and a comparison of arrays or tensors needs .all() or .any() behind it"
        )
    return holds


def _python() -> None:
    if sys.version_info < (3, 11):  # noqa: UP036, this is what tells the reader
        raise RuntimeError("this is Python " + ".".join(map(str, sys.version_info[:2])))


def _numpy() -> None:
    assert np.allclose(np.array([[2.0, 0.0], [0.0, 3.0]]) @ [1.0, 1.0], [2.0, 3.0])


def _matplotlib() -> None:
    from course_utils.pictures import figure, png

    assert png(figure(alt="an empty test figure")[0]).startswith(b"\x89PNG")


def _torch() -> None:
    torch = importlib.import_module("torch")
    x = torch.tensor(3.0, requires_grad=True)
    (x * x).backward()
    assert x.grad.item() == 6.0


def _widgets() -> None:
    importlib.import_module("anywidget")
    importlib.import_module("jupyterlab_widgets")


def _inline(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text, quote=False))
