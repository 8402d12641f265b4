"""The narrow channel between the checker and a student's functions: plain data, nothing else.

A message is a tree of JSON (`course_utils.exercises.values`) and, behind it, the bytes of its
arrays. What comes from the student's side is read as what a stranger sent: limits on size, depth
and number, types built afresh from a short list, never a pickle. Numbers keep type and value (nan,
inf and -0.0, too), arrays dtype and shape. Functions go only towards the student, by the name of a
public one.
"""

from __future__ import annotations

import json
import math
import socket
import struct
import sys
import time
from typing import Any

import numpy as np

from course_utils.exercises.values import Reader, Writer

__all__ = ["BadMessage", "Foreign", "pack", "receive", "unpack"]

LARGEST = 64 * 1024**2  # bytes of a message
LONGEST_MESSAGE = 2_000  # characters of an exception's text

_HEAD = struct.Struct(">II")  # bytes of JSON, bytes of arrays
_KINDS = "biufc"
_TENSORS = {
    "float32",
    "float64",
    "float16",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "bool",
    "complex64",
    "complex128",
}


class BadMessage(ValueError):
    """What came over the channel is no message; its text says why."""


class Foreign:
    """Stands for a value that the channel does not carry. It equals nothing, itself included."""

    __hash__ = None  # pyright: ignore[reportAssignmentType]  # how Python says unhashable

    def __eq__(self, other):
        return False

    def __repr__(self):
        return f"<{type(self).__name__}>"


def named(base: type, name: str) -> type:
    """A class like `base` with a name given by a stranger, if that can be a name."""
    plain = name[:60] if isinstance(name, str) and name[:60].isidentifier() else "Unnamed"
    return type(plain, (base,), {"__module__": "student"})


# ------------------------------------------------------------------ to bytes


def pack(value: Any) -> bytes:
    """A message with this value. Raises ValueError where it is too large or too deep."""
    sender = _Sender()
    try:
        tree = json.dumps(sender.tree(value), ensure_ascii=True).encode()
    except RecursionError:
        raise ValueError("lists within lists, too deep to be sent") from None
    body = b"".join(sender.arrays)
    if len(tree) + len(body) > LARGEST:
        raise ValueError(f"a result of more than {LARGEST // 1024**2} MB")
    return _HEAD.pack(len(tree), len(body)) + tree + body


class _Sender(Writer):
    """Writes an array as the place where its bytes begin, and what is not carried by its name."""

    def __init__(self) -> None:
        self.arrays: list[bytes] = []
        self.length = 0

    def array(self, array: np.generic | np.ndarray) -> Any:
        is_scalar, name = isinstance(array, np.generic), type(array).__name__
        array = np.asarray(array)
        if array.dtype.kind == "U":  # text: as Python's own
            words = self.tree(array.tolist())
            return words if is_scalar else {"words": words, "shape": list(array.shape)}
        if array.dtype.char in "gG":  # no two machines agree on more digits than a double has
            array = array.astype(float if array.dtype.char == "g" else complex)
        if array.dtype.kind not in _KINDS:
            return {"foreign": name}
        array = array.astype(array.dtype.newbyteorder("<"))
        start, part = self.length, array.tobytes()
        self.arrays.append(part)
        self.length += len(part)
        dtype = array.dtype.str.lstrip("<|")
        if is_scalar:
            return {"scalar": start, "dtype": dtype}
        return {"array": start, "shape": list(array.shape), "dtype": dtype}

    def tensor(self, tensor: Any) -> Any:
        try:
            kept = tensor.detach().cpu()
            name = str(kept.dtype).removeprefix("torch.")
            if name not in _TENSORS:  # bfloat16 and others that NumPy has not
                kept = kept.float()
            array = self.array(kept.resolve_conj().resolve_neg().numpy())
        except Exception:  # sparse ones, and what only looks like a tensor
            return {"foreign": type(tensor).__name__}
        return {"tensor": array, "requires_grad": bool(tensor.requires_grad)}

    def other(self, value: Any, depth: int) -> Any:
        if isinstance(value, complex):
            return {"complex": [self.tree(value.real), self.tree(value.imag)]}
        if isinstance(value, dict):
            pairs = [[self.tree(part, depth - 1) for part in pair] for pair in value.items()]
            return {"dict": pairs}
        if value is ...:
            return {"ellipsis": True}
        try:  # what NumPy reads as numbers is numbers to the engine, too: a deque, an array.array
            array = np.asarray(value)
            if array.dtype.kind in _KINDS:
                return self.array(array)
        except Exception:  # a stranger's object may raise anything when it is looked at
            pass
        return {"foreign": type(value).__name__}


# ------------------------------------------------------------------ and back


def unpack(tree: bytes, body: bytes, trusted: bool = False) -> Any:
    """The value of a message. Raises BadMessage for whatever `pack` would not have written.

    trusted : it comes from the checker: functions and tensors are made, too.
    """
    try:
        return _Receiver(body, trusted).value(json.loads(tree))
    except BadMessage:
        raise
    except (ValueError, TypeError, RecursionError, KeyError, OverflowError, MemoryError) as error:
        raise BadMessage(f"no message: {type(error).__name__}: {str(error)[:200]}") from None


class _Receiver(Reader):
    """Reads what `_Sender` wrote, or what a stranger says it wrote."""

    def __init__(self, body: bytes, trusted: bool) -> None:
        super().__init__()
        self.body, self.trusted = body, trusted

    def function(self, name: str) -> Any:
        return super().function(name) if self.trusted else named(Foreign, "function")()

    def other(self, node: dict[str, Any], depth: int) -> Any:
        match node:
            case {"array": start, "shape": shape, "dtype": str(dtype)}:
                return self._array(start, _shape(shape), dtype)
            case {"scalar": start, "dtype": str(dtype)}:
                return self._array(start, (), dtype)[()]
            case {"tensor": dict(coded), "requires_grad": bool(requires_grad)}:
                return self._tensor(self.value(coded, depth - 1), requires_grad)
            case {"words": words, "shape": shape}:
                return np.array(self.value(words, depth - 1), dtype=str).reshape(_shape(shape))
            case {"complex": [real, imaginary]}:
                return complex(self.value(real, depth - 1), self.value(imaginary, depth - 1))
            case {"dict": list(pairs)}:
                return {self.value(k, depth - 1): self.value(v, depth - 1) for k, v in pairs}
            case {"ellipsis": True}:
                return ...
            case {"foreign": str(name)}:
                return named(Foreign, name)()
        raise BadMessage("a node of the tree is not known")

    def _array(self, start: Any, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        kind = np.dtype(dtype if len(dtype) <= 3 else "none")
        if kind.kind not in _KINDS or kind.hasobject:
            raise BadMessage("an array of a type that is not sent")
        length = math.prod(shape) * kind.itemsize
        if type(start) is not int or start < 0 or start + length > len(self.body):
            raise BadMessage("an array's bytes are missing")
        part = self.body[start : start + length]
        return np.frombuffer(part, kind).reshape(shape).copy()

    def _tensor(self, array: Any, requires_grad: bool) -> Any:
        # The checker does not load PyTorch for a tensor alone: an array holds the same numbers.
        if type(array) is not np.ndarray or not (self.trusted or "torch" in sys.modules):
            return array
        import torch

        tensor = torch.from_numpy(array)
        return tensor.requires_grad_(requires_grad) if self.trusted else tensor


def _shape(sizes: Any) -> tuple[int, ...]:
    if type(sizes) is not list or len(sizes) > 32:
        raise BadMessage("a shape that is none")
    if any(type(size) is not int or not 0 <= size <= LARGEST for size in sizes):
        raise BadMessage("a shape that is none")
    return tuple(sizes)


# ------------------------------------------------------------------ over a socket


def receive(connection: socket.socket, seconds: float | None = None, trusted: bool = False) -> Any:
    """The next message. Raises TimeoutError after `seconds`, EOFError where the other side ends."""
    end = None if seconds is None else time.monotonic() + seconds
    sizes = _HEAD.unpack(_exactly(connection, _HEAD.size, end))
    if sum(sizes) > LARGEST:
        raise BadMessage(f"a message of more than {LARGEST // 1024**2} MB")
    tree, body = (_exactly(connection, size, end) for size in sizes)
    return unpack(tree, body, trusted)


def _exactly(connection: socket.socket, size: int, end: float | None) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        if end is not None:
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError
            connection.settimeout(left)
        part = connection.recv(min(size - len(parts), 1024**2))
        if not part:
            raise EOFError("the other side ended")
        parts += part
    return bytes(parts)
