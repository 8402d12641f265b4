"""A table judges as the exercise does that it was made from."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from course_utils.exercises import Exercise, functions, table

double = Exercise(
    "double",
    reference=lambda x: 2 * x,
    inputs=lambda rng: (rng.uniform(-3, 3, rng.integers(1, 4)).round(2),),
    mistakes={
        "square": (lambda x: x**2, "you square instead of doubling."),
        "sign": (lambda x: -2 * x, "the sign is wrong."),
    },
)


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "hw.json"
    made = table.tabulate(double, np.random.default_rng(0))
    path.write_text(table.to_text({"double": made}), encoding="utf-8")
    return table.read(path)["double"]


@pytest.mark.parametrize(
    "function",
    [
        lambda x: 2 * x,
        lambda x: x * x,
        lambda x: -2 * x,
        lambda x: 2 * x * (1 + 1e-5),
        lambda x: 3 * x,
        lambda x: x.sum(),
        lambda x: "four",
        lambda x: None,
        lambda x: ...,
        lambda x: 1 / 0,
        ...,
        3,
    ],
)
def test_a_table_says_what_the_exercise_says(trial, function):
    fresh, known = double.diagnose(function, np.random.default_rng(1)), trial.diagnose(function)
    assert (known.kind, known.mistake) == (fresh.kind, fresh.mistake)


def test_a_table_holds_no_code(trial):
    text = json.dumps(table.tabulate(double, np.random.default_rng(0)))
    assert "lambda" not in text and "def " not in text


def test_mistakes_that_the_visible_inputs_cannot_tell_apart_are_refused():
    twins = Exercise(
        "double",
        double.reference,
        double.inputs,
        {"one": (lambda x: 3 * x, "one."), "two": (lambda x: x + 2 * x, "two.")},
    )
    with pytest.raises(ValueError, match="'two' is taken for 'one'"):
        table.tabulate(twins, np.random.default_rng(0))


ARRAYS = hnp.arrays(
    st.sampled_from([np.float64, np.float32, np.int64, np.uint8, np.bool_]),
    hnp.array_shapes(min_dims=0, min_side=0, max_side=3),
)
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | ARRAYS
    | st.sampled_from([getattr(functions, name) for name in functions.__all__]),
    lambda inner: st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple),
    max_leaves=6,
)


def same(a, b):
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and (a == b or a != a)


@given(PLAIN)
def test_plain_data_come_back_as_they_were(value):
    there = json.dumps(table.encode(value), allow_nan=False)
    back = table.decode(json.loads(there))
    assert same(value, back)


@pytest.mark.parametrize("value", [object(), np.sin, lambda x: x, {"a": 1}, 1j, np.array(["a"])])
def test_what_is_no_plain_data_is_refused(value):
    with pytest.raises(TypeError, match="plain data"):
        table.encode(value)


@pytest.mark.parametrize(
    "data",
    [
        {"function": "__import__"},
        {"function": "np"},
        {"array": ["x"], "shape": [1], "dtype": "O"},
        {"pickle": "x"},
        {"float": 1},
    ],
)
def test_nothing_but_plain_data_comes_out(data):
    with pytest.raises((ValueError, TypeError)):
        table.decode(data)


def test_numbers_that_differ_by_rounding_agree_and_others_do_not():
    one = table.encode([1.0, np.array([1e-20, 3.0]), "a"])
    assert table.agree(one, table.encode([1.0 + 1e-15, np.array([2e-20, 3.0]), "a"]))
    assert not table.agree(one, table.encode([1.0 + 1e-6, np.array([1e-20, 3.0]), "a"]))
    assert not table.agree(one, table.encode([1.0, np.array([1e-20, 3.0]), "b"]))
    assert not table.agree(one, table.encode([1.0, np.array([1e-20, 3.0, 4.0]), "a"]))


def test_a_file_that_is_no_table_is_named(tmp_path):
    path = tmp_path / "hw01.json"
    for text in ("{", "[]", '{"version": 99, "exercises": {}}', '{"version": 1}'):
        path.write_text(text)
        with pytest.raises(ValueError, match="hw01.json is no table of checks"):
            table.read(path)


@pytest.mark.parametrize("name", ["bowl", "valley", "twisted", "hills"])
def test_the_gradients_of_the_ingredients_are_gradients(name):
    f, gradient = getattr(functions, name), getattr(functions, f"{name}_gradient")
    x = np.random.default_rng(0).uniform(-2, 2, 4)
    before = x.copy()
    steps = [f(x + 1e-30j * step).imag / 1e-30 for step in np.eye(4)]
    np.testing.assert_allclose(gradient(x), steps, rtol=1e-12)
    np.testing.assert_array_equal(x, before)
