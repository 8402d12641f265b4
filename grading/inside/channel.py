"""The narrow channel between the checker and a student's functions: plain data, nothing else.

A message is a tree of JSON and, behind it, the bytes of its arrays. What comes from the student's
side is read as what a stranger sent: limits on size, depth and number, types built afresh from a
short list, never a pickle. Numbers keep type and value (nan, inf and -0.0, too), arrays dtype and
shape. Functions go only towards the student, by the name of a public one.
"""

from __future__ import annotations

import importlib
import json
import math
import socket
import struct
import sys
import time
from typing import Any

import numpy as np

__all__ = ["BadMessage", "Foreign", "pack", "receive", "unpack"]

LARGEST = 64 * 1024**2  # bytes of a message
DEEPEST = 40  # lists in lists
MOST = 200_000  # values in a tree; arrays count as one
LONGEST_MESSAGE = 2_000  # characters of an exception's text
FUNCTIONS = ("course_utils.exercises.functions",)  # modules whose public functions have names here

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
    arrays: list[bytes] = []
    try:
        tree = json.dumps(_encode(value, arrays, DEEPEST), ensure_ascii=True).encode()
    except RecursionError:
        raise ValueError("lists within lists, too deep to be sent") from None
    body = b"".join(arrays)
    if len(tree) + len(body) > LARGEST:
        raise ValueError(f"a result of more than {LARGEST // 1024**2} MB")
    return _HEAD.pack(len(tree), len(body)) + tree + body


def _encode(value: Any, arrays: list[bytes], depth: int) -> Any:
    if depth == 0:
        raise ValueError(f"lists within lists within lists, more than {DEEPEST} deep")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, np.generic | np.ndarray):
        return _encode_array(value, arrays)
    if isinstance(value, int):
        value = int(value)
        return value if abs(value) < 2**53 else ["int", hex(value)]
    if isinstance(value, float):
        return float(value)
    if isinstance(value, complex):
        return ["complex", value.real, value.imag]
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, list | tuple):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return [kind, [_encode(part, arrays, depth - 1) for part in value]]
    if isinstance(value, dict):
        pairs = [
            [_encode(k, arrays, depth - 1), _encode(v, arrays, depth - 1)] for k, v in value.items()
        ]
        return ["dict", pairs]
    if value is ...:
        return ["..."]
    if hasattr(value, "requires_grad") and hasattr(value, "detach"):
        return _encode_tensor(value, arrays)
    if getattr(value, "__module__", None) in FUNCTIONS and callable(value):
        return ["function", value.__module__, value.__name__]
    return ["foreign", type(value).__name__]


def _encode_array(value: np.generic | np.ndarray, arrays: list[bytes]) -> Any:
    array = np.asarray(value)
    if array.dtype.kind == "U":  # text: as Python's own
        parts = _encode(array.tolist(), arrays, DEEPEST)
        return parts if isinstance(value, np.generic) else ["text array", list(array.shape), parts]
    if array.dtype.kind not in _KINDS or array.dtype.itemsize > 16 or array.dtype.char in "gG":
        return ["foreign", type(value).__name__]
    array = array.astype(array.dtype.newbyteorder("<"))
    arrays.append(array.tobytes())
    kind = "scalar" if isinstance(value, np.generic) else "array"
    return [kind, array.dtype.str.lstrip("<|"), list(array.shape), sum(map(len, arrays[:-1]))]


def _encode_tensor(value: Any, arrays: list[bytes]) -> Any:
    kept = value.detach().cpu()
    name = str(kept.dtype).removeprefix("torch.")
    if name not in _TENSORS:  # bfloat16 and others that NumPy has not
        name, kept = "float32", kept.float()
    coded = _encode_array(kept.resolve_conj().resolve_neg().numpy(), arrays)
    return ["tensor", coded, name, bool(value.requires_grad)]


# ------------------------------------------------------------------ and back


def unpack(tree: bytes, body: bytes, trusted: bool = False) -> Any:
    """The value of a message. Raises BadMessage for whatever `pack` would not have written.

    trusted : it comes from the checker: functions and tensors are made, too.
    """
    try:
        return _Decoder(body, trusted).decode(json.loads(tree), DEEPEST + 5)
    except BadMessage:
        raise
    except (ValueError, TypeError, RecursionError, KeyError, OverflowError, MemoryError) as error:
        raise BadMessage(f"no message: {type(error).__name__}: {str(error)[:200]}") from None


class _Decoder:
    def __init__(self, body: bytes, trusted: bool) -> None:
        self.body, self.trusted, self.left = body, trusted, MOST

    def decode(self, node: Any, depth: int) -> Any:
        self.left -= 1
        if self.left < 0 or depth < 0:
            raise BadMessage("too many values, or too deep")
        if node is None or type(node) in (bool, int, float, str):
            return node
        if type(node) is not list or not node or type(node[0]) is not str:
            raise BadMessage("a node of the tree is not known")
        kind, *rest = node
        return getattr(self, "_" + _READERS[kind])(depth, *rest)

    def _parts(self, depth, parts):
        if type(parts) is not list:
            raise BadMessage("a list was expected")
        return [self.decode(part, depth - 1) for part in parts]

    def _tuple(self, depth, parts):
        return tuple(self._parts(depth, parts))

    def _dict(self, depth, pairs):
        result = {}
        for key, value in pairs:
            result[self.decode(key, depth - 1)] = self.decode(value, depth - 1)
        return result

    def _int(self, depth, text):
        return int(text, 16)

    def _complex(self, depth, real, imaginary):
        return complex(real, imaginary)

    def _ellipsis(self, depth):
        return ...

    def _foreign(self, depth, name):
        return named(Foreign, name)()

    def _text(self, depth, shape, parts):
        array = np.array(self.decode(parts, depth - 1), dtype=str)
        return array.reshape(_shape(shape))

    def _array(self, depth, dtype, shape, start):
        kind = np.dtype(dtype if type(dtype) is str and len(dtype) <= 3 else "none")
        if kind.kind not in _KINDS or kind.hasobject:
            raise BadMessage("an array of a type that is not sent")
        shape = _shape(shape)
        length = math.prod(shape) * kind.itemsize
        if type(start) is not int or start < 0 or start + length > len(self.body):
            raise BadMessage("an array's bytes are missing")
        part = self.body[start : start + length]
        return np.frombuffer(part, kind).reshape(shape).copy()

    def _scalar(self, depth, dtype, shape, start):
        return self._array(depth, dtype, [], start)[()]

    def _tensor(self, depth, coded, name, requires_grad):
        array = self.decode(coded, depth - 1)
        # The checker does not load PyTorch for a tensor alone: an array holds the same numbers.
        if type(array) is not np.ndarray or not (self.trusted or "torch" in sys.modules):
            return array
        import torch

        tensor = torch.from_numpy(array)
        return tensor.requires_grad_(requires_grad is True) if self.trusted else tensor

    def _function(self, depth, module, name):
        if not self.trusted:
            return named(Foreign, "function")()
        if module not in FUNCTIONS or name.startswith("_"):
            raise BadMessage("a function that has no name here")
        return getattr(importlib.import_module(module), name)


_READERS = {
    "list": "parts",
    "tuple": "tuple",
    "dict": "dict",
    "int": "int",
    "complex": "complex",
    "...": "ellipsis",
    "foreign": "foreign",
    "text array": "text",
    "array": "array",
    "scalar": "scalar",
    "tensor": "tensor",
    "function": "function",
}


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
