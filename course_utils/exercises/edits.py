"""A mistake as an edit of the reference: what the learner wrote in place of what.

For example::

    Edit("v averages |g|. It averages g².", ("g**2", "np.abs(g)"))

reads better than a switch in the reference for each mistake, where the mistake is a slip in one
place. Others stay functions of their own.
"""

from __future__ import annotations

import inspect
import linecache
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, update_wrapper
from typing import Any

__all__ = ["Edit", "edited"]

Change = tuple[str, str]  # what stands in the reference, and what in its place


@dataclass(frozen=True)
class Edit:
    """A known mistake: the sentence that names it, and the changes that make it."""

    sentence: str
    changes: tuple[Change, ...]

    def __init__(self, sentence: str, *changes: Change) -> None:
        object.__setattr__(self, "sentence", sentence)
        object.__setattr__(self, "changes", changes)


def edited(reference: Callable, *changes: Change) -> Callable:
    """The reference with these changes of its source, each of one place.

    It is made when it is first called, so that exercises import fast; it sees the names of the
    reference's module.

    Raises
    ------
    ValueError
        When it is called: a change finds its place not once but never or several times, changes
        nothing, or leaves no Python; the reference is no plain function of a module.
    """

    @cache
    def made() -> Callable:
        source = _source(reference)
        for old, new in changes:
            source = _changed(reference.__name__, source, old, new)
        return _compiled(reference, source, changes)

    def wrong(*arguments: Any, **keywords: Any) -> Any:
        return made()(*arguments, **keywords)

    return update_wrapper(wrong, reference)


def _source(reference: Callable) -> str:
    code = getattr(reference, "__code__", None)
    if code is None or code.co_name == "<lambda>" or code.co_freevars or not code.co_filename:
        raise ValueError(
            f"edited: {reference!r} is no plain function of a module: it needs a `def` of its own, "
            "outside of other functions"
        )
    return textwrap.dedent(inspect.getsource(reference))


def _changed(name: str, source: str, old: str, new: str) -> str:
    found = source.count(old)
    if found != 1:
        raise ValueError(
            f"edited: {old!r} stands {found or 'no'} times in {name}; a change has one place: "
            "give more of its line"
        )
    if old == new:
        raise ValueError(f"edited: {old!r} in {name} is put in its own place")
    return source.replace(old, new)


def _compiled(reference: Callable, source: str, changes: tuple[Change, ...]) -> Callable:
    file = f"<{reference.__module__}.{reference.__name__}, edited: {changes}>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    made: dict[str, Any] = {}
    try:
        exec(compile(source, file, "exec"), reference.__globals__, made)
    except SyntaxError as error:
        raise ValueError(f"edited: {changes} leave no Python of {reference.__name__}") from error
    return made[reference.__name__]
