"""The channel carries plain data exactly, and nothing but plain data."""

import json
import math
import pickle
import socket

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from course_utils.exercises import functions
from grading.inside import channel
from grading.inside.channel import BadMessage, Foreign, pack, unpack


def split(message):
    head = channel._HEAD
    size, _ = head.unpack(message[: head.size])
    return message[head.size : head.size + size], message[head.size + size :]


def there_and_back(value, trusted=False):
    return unpack(*split(pack(value)), trusted=trusted)


def identical(a, b):
    """Same types, same values, nan and -0.0 included."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray | np.generic):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(identical, a, b))
    if isinstance(a, dict):
        return identical(list(a.items()), list(b.items()))
    if isinstance(a, float):
        return np.float64(a).tobytes() == np.float64(b).tobytes() or (a != a and b != b)
    return a == b


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.complex_numbers(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.just(...),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text("abc"), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(plain)
def test_plain_values_come_back_identical(value):
    assert identical(there_and_back(value), value)


types = st.sampled_from(["f8", "f4", "f2", "i8", "i4", "u1", "?", "c16"])


@given(types.flatmap(lambda t: hnp.arrays(t, hnp.array_shapes(min_dims=0, min_side=0, max_side=4))))
def test_arrays_keep_type_shape_and_bits(array):
    assert identical(there_and_back(array), array)
    assert identical(there_and_back([array, (array,)]), [array, (array,)])


def test_arrays_of_any_layout_keep_their_values():
    array = np.arange(12.0).reshape(3, 4)
    for same in (array.T, array[:, ::2], array.astype(">f8"), np.asfortranarray(array)):
        back = there_and_back(same)
        assert np.array_equal(back, same) and back.dtype.isnative and back.flags.writeable


def test_scalars_of_numpy_stay_scalars_of_numpy():
    for value in (np.float32(0.1), np.int64(-7), np.bool_(True), np.float64("nan")):
        assert identical(there_and_back(value), value)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64, torch.bool])
def test_tensors_keep_type_and_values(dtype):
    tensor = torch.tensor([[0, 1], [1, 0]], dtype=dtype)
    back = there_and_back(tensor)
    assert back.dtype == dtype and torch.equal(back, tensor)


def test_a_tensor_that_numpy_has_no_type_for_comes_in_single_precision():
    back = there_and_back(torch.tensor([1.5], dtype=torch.bfloat16))
    assert back.dtype == torch.float32 and back.item() == 1.5


def test_a_tensor_given_to_a_student_keeps_its_wish_for_a_gradient():
    tensor = torch.ones(2, requires_grad=True)
    assert there_and_back(tensor, trusted=True).requires_grad
    assert not there_and_back(tensor).requires_grad


def a_public_function():
    return next(
        f
        for name, f in vars(functions).items()
        if callable(f) and not name.startswith("_") and f.__module__ == functions.__name__
    )


def test_public_functions_go_to_the_student_by_name():
    function = a_public_function()
    assert there_and_back([function], trusted=True) == [function]


def test_functions_do_not_come_back():
    assert isinstance(there_and_back(a_public_function()), Foreign)
    for trusted in (False, True):
        tree = b'{"function": "system"}'
        if trusted:
            with pytest.raises(BadMessage):
                unpack(tree, b"", trusted)
        else:
            assert isinstance(unpack(tree, b""), Foreign)


class Tricky:
    __hash__ = None

    def __eq__(self, other):
        return True

    def __reduce__(self):
        raise AssertionError("somebody pickled")


def test_other_things_become_something_that_equals_nothing():
    for value in (Tricky(), object, lambda: 0, {1, 2}, b"bytes", np.array([Tricky()], object)):
        back = there_and_back(value)
        assert isinstance(back, Foreign) and back != back and back != value
    assert type(there_and_back(Tricky())).__name__ == "Tricky"


def test_a_strangers_class_name_is_only_a_name():
    evil = type("x; import os", (), {})()
    assert type(there_and_back(evil)).__name__ == "Unnamed"


class Float(float):
    def __eq__(self, other):
        return True

    __hash__ = None


def test_subclasses_arrive_as_what_they_are_made_of():
    back = there_and_back([Float(2.0), np.float64(3), np.ma.array([1.0])])
    assert [type(v) for v in back] == [float, np.float64, np.ndarray]
    assert back[0] != 1


def test_too_much_is_refused_by_the_sender():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    for value in (deep, np.zeros(10**7)):
        with pytest.raises(ValueError, match="deep|MB"):
            pack(value)


@pytest.mark.parametrize(
    "tree",
    [
        b"",
        b"{",
        b"{}",
        b'{"no such": 1}',
        b'{"tuple": 5}',
        b'{"tuple": [{}]}',
        b'{"dict": [1]}',
        b'{"dict": [[[], 1]]}',
        b'{"dict": [["a"]]}',
        b'{"int": "zz"}',
        b'{"int": 5}',
        b'{"float": "1e5"}',
        b'{"complex": [1]}',
        b'{"complex": ["x", []]}',
        b'{"array": 0, "dtype": "f8"}',
        b'{"array": 0, "shape": [1], "dtype": "O"}',
        b'{"array": 0, "shape": [-1], "dtype": "f8"}',
        b'{"array": 0, "shape": [9, 9], "dtype": "f8"}',
        b'{"array": -8, "shape": [1], "dtype": "f8"}',
        b'{"array": 1e0, "shape": [1], "dtype": "f8"}',
        b'{"array": true, "shape": [0], "dtype": "f8"}',
        b'{"array": 0, "shape": [true], "dtype": "f8"}',
        b'{"array": 0, "shape": [1], "dtype": "V8"}',
        b'{"array": 0, "shape": [1], "dtype": ["f8"]}',
        b'{"array": [1.0], "shape": [1], "dtype": "f8"}',
        b'{"array": 0, "shape": [1], "dtype": "f8,f8"}',
        b'{"scalar": 99, "dtype": "f8"}',
        b'{"array": 0, "shape": [99999999, 99999999, 0], "dtype": "f8"}',
        b'{"_array": [], "value": 1}',
        b'{"__init__": [1, 2]}',
        b'{"tensor": [1], "requires_grad": true}',
        b"[" * 100_000,
        b"[" * 60 + b"]" * 60,
        b'{"tuple": [' * 60 + b"]}" * 60,
        b"1" * 5000,
        b"[" + b"1," * 200_001 + b"1]",
        b'{"words": [], "shape": [5]}',
    ],
)
def test_what_is_no_message_is_refused_and_does_no_harm(tree):
    with pytest.raises(BadMessage):
        unpack(tree, bytes(8))


@given(st.binary(max_size=60), st.binary(max_size=20))
def test_random_bytes_are_refused_or_plain(tree, body):
    try:
        value = unpack(tree, body)
    except BadMessage:
        return
    json.dumps(value, default=repr)


def test_nothing_is_ever_unpickled(monkeypatch):
    monkeypatch.setattr(pickle, "loads", None)
    monkeypatch.setattr(pickle, "load", None)
    assert there_and_back([1, np.arange(3.0), (math.pi, "x")])[2] == (math.pi, "x")


def test_a_message_that_does_not_come_is_not_waited_for():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(pack(1)[:5])
        with pytest.raises(TimeoutError):
            channel.receive(ours, seconds=0.05)


def test_a_message_that_is_too_long_is_not_read():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(channel._HEAD.pack(2**31, 2**31))
        with pytest.raises(BadMessage, match="MB"):
            channel.receive(ours, seconds=1)
