"""The intervals of a handful of runs are those of SciPy."""

import numpy as np
import pytest
import scipy.stats

from course_utils.uncertainty import confidence_interval, plus_minus


@pytest.mark.parametrize("n", [2, 3, 5, 10, 20])
def test_confidence_intervals_are_those_of_scipy(n):
    values = np.random.default_rng(n).normal(3.0, 2.0, (n, 4))
    mean, half = confidence_interval(values)
    low, high = scipy.stats.t.interval(0.95, n - 1, values.mean(0), scipy.stats.sem(values))
    np.testing.assert_allclose(mean - half, low, atol=2e-3)
    np.testing.assert_allclose(mean + half, high, atol=2e-3)


@pytest.mark.parametrize("values", [3.0, [1.0], np.zeros(21)])
def test_too_few_or_too_many_results_have_no_interval(values):
    with pytest.raises(ValueError, match="2 to 20 results"):
        confidence_interval(values)


def test_an_interval_is_written_as_mean_and_half_its_width():
    values = np.random.default_rng(1).normal(-3.0, 2.0, 8)
    low, high = scipy.stats.t.interval(0.95, 7, values.mean(), scipy.stats.sem(values))
    assert plus_minus(values, 2) == f"−{-(low + high) / 2:.2f} ± {(high - low) / 2:.2f}"
    assert plus_minus([1.0, 1.0]) == "1.000 ± 0.000"
    with pytest.raises(ValueError, match="2 to 20 results"):
        plus_minus([1.0])
