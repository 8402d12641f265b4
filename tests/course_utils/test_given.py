"""A check of what was given says who asks, what was expected and what came instead."""

import numpy as np
import pytest

from course_utils import _given as given


@pytest.mark.parametrize(
    ("check", "error", "says"),
    [
        (lambda: given.number("f", "x", "2"), TypeError, "f: x must be one number, not '2'"),
        (lambda: given.number("f", "x", True), TypeError, "one number, not True"),
        (lambda: given.number("f", "x", np.nan), ValueError, "f: x must be finite, not nan"),
        (
            lambda: given.numbers("f", "x", [1, -2.0], given.NOT_NEGATIVE),
            ValueError,
            "f: x must be finite and at least 0, but x = -2.0",
        ),
        (lambda: given.numbers("f", "x", np.nan, given.SHARE), ValueError, "between 0 and 1"),
        (lambda: given.numbers("f", "x", 1.0, given.DECAY), ValueError, "below 1, but x = 1.0"),
        (lambda: given.numbers("f", "x", None, given.FINITE), TypeError, "a number or an array"),
        (lambda: given.whole("f", "n", 2.0), TypeError, "f: n must be a whole number, not 2.0"),
        (lambda: given.whole("f", "n", True), TypeError, "whole number, not True"),
        (lambda: given.whole("f", "n", 1, least=2), ValueError, "f: n must be at least 2, not 1"),
        (lambda: given.wholes("t", 0.5), TypeError, "np.arange, not np.linspace"),
        (lambda: given.wholes("t", [3, -1]), ValueError, "t must be at least 0, but t = -1"),
        (lambda: given.floats("f", "x", [1, 2]), TypeError, "f: x has dtype int64.*3.0 for 3"),
        (lambda: given.floats("f", "x", ["a"]), TypeError, "f: x must be an array of floats"),
        (lambda: given.switch("f", "on", 1), TypeError, "f: on must be True or False, not 1"),
        (lambda: given.one_of("f", "k", "c", "ab"), ValueError, 'k must be one of "a", "b"; not'),
        (lambda: given.one_of("f", "k", ["a"], "ab"), ValueError, r"not \['a'\]"),
        (lambda: given.generator("f", "rng", 0), TypeError, "f: rng must be .*default_rng"),
    ],
)
def test_what_cannot_be_used_is_named(check, error, says):
    with pytest.raises(error, match=says):
        check()


def test_what_can_be_used_comes_back_in_the_form_in_which_it_is_used():
    assert given.number("f", "x", np.float32(2)) == 2
    assert given.whole("f", "n", np.int64(3)) == 3 and given.one_of("f", "k", "a", "ab") == "a"
    assert type(given.numbers("f", "x", 1, given.FINITE)) is float
    array = np.array([1, 2])
    kept = given.numbers("f", "x", array, given.FINITE)
    array[0] = 5
    assert kept.dtype == np.float64 and kept.tolist() == [1, 2] and not kept.flags.writeable
    assert given.floats("f", "x", np.float32([1])).dtype == np.float32
