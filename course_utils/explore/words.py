"""The line under the picture: a template, and what stands in its fields at each position."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from course_utils._text import rounded, shown
from course_utils.explore.controls import known, on_grid
from course_utils.explore.packing import Block

__all__ = ["Line"]


class Line:
    """A template such as ``"slope {slope}"``, whose names are controls or fields.

    Raises ValueError for a name that is neither, and for a field that does not fit its controls.
    """

    def __init__(
        self, template: str, says: Mapping[str, Any], controls: Mapping[str, Sequence[Any]]
    ) -> None:
        self.template, self.controls = template, controls
        self.fields = {name: on_grid(name, given, controls) for name, given in says.items()}
        for name, array in self.fields.items():
            if array.ndim > len(controls):
                raise ValueError(f"{name}: shape {array.shape} has an axis that follows no control")
        if re.search(r"[{}]", re.sub(r"{[^{}]*}", "", template)):
            raise ValueError(
                f"status: {template!r} has a brace without its partner; a name stands in {{name}}"
            )
        known("status", re.findall(r"{(.*?)}", template), self.fields | dict(controls))

    def at(self, index: Sequence[int]) -> str:
        """The line where the controls stand at these places."""
        words = {
            name: shown(values[place])
            for (name, values), place in zip(self.controls.items(), index)
        }
        for name, array in self.fields.items():
            words[name] = shown(array[clamped(index, array.shape)])
        return self.template.format(**words)

    def pack(self, block: Block) -> dict[str, list[str]]:
        """Put the fields into `block`; return what the codes of those that hold words mean."""
        words: dict[str, list[str]] = {}
        for name, array in self.fields.items():
            if array.dtype.kind in "bUS":
                texts = np.vectorize(shown, otypes=[object])(array).astype(str)
                found, codes = np.unique(texts, return_inverse=True)
                words[name] = list(map(str, found))
                block.add(f"value:{name}", codes.reshape(array.shape).astype("<u2"))
            else:  # rounded here, so that the browser shows the same digits
                block.add(f"value:{name}", np.vectorize(rounded, otypes=["<f8"])(array))
        return words


def clamped(index: Sequence[int], shape: Sequence[int]) -> tuple[int, ...]:
    """The place in an array whose axes may have length 1."""
    return tuple(0 if n == 1 else i for i, n in zip(index, shape))
