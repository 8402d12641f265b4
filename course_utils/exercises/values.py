"""Plain values as a tree of JSON, and back: numbers, text, lists, arrays, public functions.

Tables of checks are made of such trees (`table`), and what graders and a student's functions say to
each other (`grading.inside.channel`). Types, shapes and dtypes are kept, and nan, inf and −0.0 too.
Whoever reads a tree may not trust who wrote it: every value is built afresh from a short list of
kinds, nothing is ever unpickled, and depth and number are limited.

A `Writer` says here how an array is written, with its numbers in the tree, and refuses what is no
plain data; a `Reader` is its counterpart. The channel's own are classes of these.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from course_utils.exercises import functions

__all__ = ["DEEPEST", "MOST", "Reader", "Writer", "is_tensor", "plain"]

DEEPEST = 40  # lists in lists
MOST = 200_000  # values in a tree; an array counts as one
EXACT = 2**53  # larger whole numbers are not read exactly by everybody who reads JSON
REAL = "biuf"  # kinds of NumPy's real numbers


def is_tensor(value: Any) -> bool:
    """Whether a value is one of PyTorch's; PyTorch need not be imported to know."""
    return hasattr(value, "requires_grad") and hasattr(value, "detach")


def plain(value: Any) -> Any:
    """The tensors in a result as NumPy arrays; all else as it is."""
    if isinstance(value, (tuple, list)):
        return [plain(part) for part in value]
    if not is_tensor(value):
        return value
    value = value.detach().cpu()
    try:
        return value.numpy()
    except TypeError:  # NumPy has no bfloat16
        return value.float().numpy()


class Writer:
    """Makes trees. A class of this says otherwise how arrays, tensors and others are written."""

    def tree(self, value: Any, depth: int = DEEPEST) -> Any:
        """The tree of a value.

        Raises TypeError for what is no plain data, such as a function without a public name,
        ValueError for lists in lists beyond `DEEPEST`.
        """
        if depth == 0:
            raise ValueError(f"lists within lists within lists, more than {DEEPEST} deep")
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, np.generic | np.ndarray):
            return self.array(value)
        if isinstance(value, int):
            return int(value) if abs(value) < EXACT else {"int": hex(value)}
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else {"float": str(float(value))}
        if isinstance(value, str):
            return str.__str__(value)
        if isinstance(value, list | tuple):
            parts = [self.tree(part, depth - 1) for part in value]
            return {"tuple": parts} if isinstance(value, tuple) else parts
        if is_tensor(value):
            return self.tensor(value)
        name = getattr(value, "__name__", "")
        if name in functions.__all__ and getattr(functions, name) is value:
            return {"function": name}
        return self.other(value, depth)

    def array(self, array: np.generic | np.ndarray) -> Any:
        if isinstance(array, np.generic):
            return self.tree(array.item())
        if array.dtype.kind not in REAL:
            return self.other(array, 0)
        flat = array.ravel().tolist()
        entries = [entry if math.isfinite(entry) else str(entry) for entry in flat]
        return {"array": entries, "shape": list(array.shape), "dtype": array.dtype.name}

    def tensor(self, tensor: Any) -> Any:
        return self.array(plain(tensor))

    def other(self, value: Any, depth: int) -> Any:
        """The tree of what is none of the above: here there is none."""
        raise TypeError(
            f"encode: {type(value).__name__} is no plain data; expected numbers, text, None, "
            "lists, tuples, arrays of real numbers, or a function of "
            "course_utils.exercises.functions"
        )


class Reader:
    """Makes values of one tree. A class of this reads what its own `Writer` wrote otherwise."""

    def __init__(self) -> None:
        self.left = MOST

    def value(self, node: Any, depth: int = DEEPEST + 5) -> Any:
        """The value of a tree. Raises ValueError for whatever `Writer.tree` does not make."""
        self.left -= 1
        if self.left < 0 or depth < 0:
            raise ValueError("too many values, or too deep")
        if node is None or type(node) in (bool, int, float):
            return node
        if type(node) is str:  # half a character (a lone surrogate) could be written nowhere
            return node.encode("utf-8", "replace").decode()
        if type(node) is list:
            return [self.value(part, depth - 1) for part in node]
        match node:
            case {"tuple": list(parts)}:
                return tuple(self.value(part, depth - 1) for part in parts)
            case {"float": "nan" | "inf" | "-inf" as text}:
                return float(text)
            case {"int": str(digits)}:
                return int(digits, 16)
            case {"function": str(name)}:
                return self.function(name)
            case dict():
                return self.other(node, depth)
        raise ValueError(f"expected a tree of plain values, got {str(node)[:80]}")

    def function(self, name: str) -> Any:
        if name not in functions.__all__:
            raise ValueError(f"no public function has the name {name[:80]!r}")
        return getattr(functions, name)

    def other(self, node: dict[str, Any], depth: int) -> Any:
        """What this kind of tree holds besides: here arrays, with their numbers in the tree."""
        match node:
            case {"array": list(flat), "shape": list(shape), "dtype": str(dtype)}:
                entries = [float(entry) if isinstance(entry, str) else entry for entry in flat]
                if np.dtype(dtype).kind in REAL:
                    return np.array(entries, dtype=dtype).reshape(shape)
        raise ValueError(f"expected a tree of plain values, got {str(node)[:80]}")
