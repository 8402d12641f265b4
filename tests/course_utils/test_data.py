"""The data are what their notes say, every draw is repeatable, and no sample is lost or doubled."""

import hashlib
import re
import socket
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import course_utils
from course_utils import data
from course_utils.data import digits, line, minibatches, noisy_curve, split

PACKAGE = Path(course_utils.__file__).parent
PUBLISHED = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]  # UCI, optdigits.names, section 9
GENERATORS = [line, noisy_curve]

seeds = st.integers(0, 2**32 - 1)
names = pytest.mark.parametrize("make", GENERATORS, ids=lambda make: make.__name__)


def rng(seed=0):
    return np.random.default_rng(seed)


# -- digits ------------------------------------------------------------------------------------


def test_the_digits_have_their_published_shape_range_and_counts():
    X, y = digits()
    assert X.shape == (1797, 64) and X.dtype == np.float64
    assert y.shape == (1797,) and y.dtype == np.int64
    assert X.min() == 0 and X.max() == 1 and np.array_equal(X * 16, np.round(X * 16))
    assert np.bincount(y).tolist() == PUBLISHED


def test_the_digits_file_is_the_one_that_its_note_describes():
    note = (PACKAGE / "digits.md").read_text(encoding="utf-8")
    packed = (PACKAGE / "digits.npz").read_bytes()
    X, y = digits()
    content = (X * 16).astype(np.uint8).tobytes() + y.astype(np.uint8).tobytes()
    written = re.findall(r"^    ([0-9a-f]{64})$", note, re.MULTILINE)
    assert written == [hashlib.sha256(part).hexdigest() for part in (packed, content)]
    assert f"{len(packed):,} bytes" in note and len(packed) < 50_000
    assert all(words in note for words in ("CC BY 4.0", "Alpaydin", "Kaynak", "UCI"))
    assert "| images | " + " | ".join(map(str, PUBLISHED)) + " |" in note


def test_the_note_measures_rightly_how_much_neighbours_look_alike():
    X, y = digits()
    apart = (X**2).sum(1)[:, None] + (X**2).sum(1) - 2 * X @ X.T
    np.fill_diagonal(apart, np.inf)

    def named(test):  # how often the nearest neighbour outside the test part has the right name
        kept = np.setdiff1d(np.arange(len(y)), test)
        return np.mean(y[kept][apart[np.ix_(test, kept)].argmin(axis=1)] == y[test])

    place = np.arange(len(y))
    near = np.abs(place[:, None] - place) <= 150
    same = (y[:, None] == y) & ~np.eye(len(y), dtype=bool)
    assert round(100 * near[place, apart.argmin(axis=1)].mean()) == 59
    assert round(100 * ((near & same).sum(axis=1) / same.sum(axis=1)).mean()) == 16
    shuffled = np.mean([named(rng(seed).permutation(len(y))[:360]) for seed in range(20)])
    assert abs(100 * shuffled - 98.6) < 0.2
    assert round(100 * np.mean([named(part) for part in np.array_split(place, 5)]), 1) == 96.5


def test_the_first_picture_is_a_zero():
    X, y = digits()
    assert y[0] == 0
    ring = X[0].reshape(8, 8)
    assert ring[3:5, 3:5].sum() == 0 and ring[3:5, 2].all() and ring[3:5, 5].all()


def test_the_digits_need_no_network(monkeypatch):
    def refused(*args, **kwargs):
        raise OSError("no network here")

    monkeypatch.setattr(socket, "socket", refused)
    assert len(digits()[0]) == 1797


def test_what_a_learner_does_to_the_digits_does_not_last():
    digits()[0][:] = -1
    assert digits()[0].min() == 0


def test_an_installed_package_has_every_file_that_is_no_python():
    pyproject = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = pyproject["tool"]["setuptools"]["package-data"]["*"]
    files = {
        path.name
        for path in PACKAGE.rglob("*.*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    }
    assert {"digits.npz", "digits.md"} <= files
    assert {name for name in files if not any(fnmatch(name, p) for p in patterns)} == set()


# -- generators --------------------------------------------------------------------------------


@names
@given(seed=seeds, n=st.integers(1, 50))
def test_a_generator_makes_n_samples_that_its_seed_determines(make, seed, n):
    X, y = make(rng(seed), n)
    assert X.shape == y.shape == (n,) and X.dtype == y.dtype == np.float64
    for again, first in zip(make(rng(seed), n), (X, y), strict=True):
        np.testing.assert_array_equal(again, first)
    assert not np.array_equal(make(rng(seed + 1), n)[0], X)


@names
def test_the_same_seed_puts_the_same_points_under_any_noise(make):
    (quiet, truth), (loud, heard) = make(rng(), 500, noise=0), make(rng(), 500, noise=0.25)
    np.testing.assert_array_equal(quiet, loud)
    noise = heard - truth
    # Five standard errors of a mean and of a standard deviation of at least 500 draws.
    assert abs(noise.mean()) < 5 * 0.25 / np.sqrt(noise.size)
    assert abs(noise.std() - 0.25) < 5 * 0.25 / np.sqrt(2 * noise.size)


@given(seeds, st.floats(-5, 5), st.floats(-5, 5))
def test_a_line_without_noise_is_the_line(seed, slope, intercept):
    x, y = line(rng(seed), 20, slope, intercept, noise=0)
    np.testing.assert_allclose(y, slope * x + intercept, atol=1e-12)
    assert np.all((x >= -1) & (x < 1))


@given(seeds)
def test_a_noisy_curve_without_noise_is_the_wave(seed):
    x, y = noisy_curve(rng(seed), 20, noise=0)
    np.testing.assert_allclose(y, np.sin(np.pi * x), atol=1e-12)
    assert np.all((x >= -1) & (x < 1))


# -- split -------------------------------------------------------------------------------------


@given(seeds, st.integers(1, 60), st.floats(0, 0.45), st.floats(0, 0.45))
def test_a_split_has_every_sample_exactly_once_in_the_asked_shares(seed, n, validation, test):
    sizes = [round(validation * n), round(test * n)]
    validation, test = (size / n for size in sizes)
    X, y = np.arange(n)[:, None] * [1.0, 10.0], np.arange(n) % 3
    if sum(sizes) == n:
        with pytest.raises(ValueError, match="leave none"):
            split(rng(seed), X, y, validation, test)
        return
    parts = split(rng(seed), X, y, validation, test)
    assert [len(part) for part, _ in parts] == [n - sum(sizes), *sizes]
    assert sorted(np.concatenate([part[:, 0] for part, _ in parts])) == list(range(n))
    for part, labels in parts:
        assert len(part) == len(labels) and part.shape[1:] == (2,)
        np.testing.assert_array_equal(labels, part[:, 0] % 3)
        assert not np.shares_memory(part, X) and not np.shares_memory(labels, y)


def test_a_split_is_determined_by_its_seed():
    X, y = digits()
    first, again, other = (split(rng(s), X, y)[1][0] for s in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_every_sample_lands_in_every_part_sooner_or_later():
    X, y = np.arange(20), np.arange(20) % 4
    parts = [split(rng(s), X, y, 0.3, 0.3) for s in range(200)]
    for k in range(3):
        often = np.bincount(np.concatenate([part[k][0] for part in parts]), minlength=20)
        expected = often.mean()
        assert np.all(np.abs(often - expected) < 5 * np.sqrt(expected))


def test_a_split_cuts_pictures_and_targets_of_any_shape():
    (X, y), (X_val, y_val), (X_test, y_test) = split(
        rng(), np.zeros((10, 8, 8)), np.zeros((10, 3)), test=0
    )
    assert X.shape == (8, 8, 8) and y.shape == (8, 3)
    assert X_val.shape == (2, 8, 8) and X_test.shape == (0, 8, 8) and y_test.shape == (0, 3)
    assert y_val.shape == (2, 3)


# -- mini-batches ------------------------------------------------------------------------------


@given(seeds, st.integers(1, 200), st.data())
def test_an_epoch_meets_every_sample_exactly_once(seed, n, draw):
    size = draw.draw(st.integers(1, n))
    batches = minibatches(rng(seed), n, size)
    assert sorted(np.concatenate(batches)) == list(range(n))
    assert [len(batch) for batch in batches[:-1]] == [size] * (len(batches) - 1)
    assert 1 <= len(batches[-1]) <= size and len(batches) == -(-n // size)
    for again, first in zip(minibatches(rng(seed), n, size), batches, strict=True):
        np.testing.assert_array_equal(again, first)


def test_each_epoch_is_shuffled_anew():
    source = rng()
    first, second = (np.concatenate(minibatches(source, 100, 32)) for _ in range(2))
    assert not np.array_equal(first, second) and not np.array_equal(first, np.arange(100))


# -- bad input ---------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [0, None, np.random, np.random.RandomState(0)])
def test_randomness_must_come_from_a_generator(bad):
    for make in GENERATORS:
        with pytest.raises(TypeError, match=rf"{make.__name__}: the first arg.*default_rng\(SEED"):
            make(bad, 10)
    with pytest.raises(TypeError, match="minibatches: the first argument"):
        minibatches(bad, 10, 2)
    with pytest.raises(TypeError, match="split: the first argument"):
        split(bad, np.zeros(5), np.zeros(5))


@names
def test_a_generators_numbers_are_checked(make):
    for n in 10.0, "10", True, None:
        with pytest.raises(TypeError, match="n must be a whole number"):
            make(rng(), n)
    for n in 0, -3:
        with pytest.raises(ValueError, match=f"n must be at least 1, not {n}"):
            make(rng(), n)
    with pytest.raises(ValueError, match="noise is a standard deviation, at least 0, not -0.1"):
        make(rng(), 10, noise=-0.1)
    with pytest.raises(ValueError, match="noise must be finite"):
        make(rng(), 10, noise=np.nan)
    with pytest.raises(TypeError, match="noise must be one number"):
        make(rng(), 10, noise=np.ones(10))


@pytest.mark.parametrize("name", ["slope", "intercept"])
def test_a_lines_numbers_are_checked(name):
    with pytest.raises(ValueError, match=f"line: {name} must be finite, not inf"):
        line(rng(), 10, **{name: np.inf})
    with pytest.raises(TypeError, match=f"line: {name} must be one number"):
        line(rng(), 10, **{name: "2"})


def test_what_cannot_be_split_is_refused():
    X, y = np.zeros((10, 2)), np.zeros(10)
    with pytest.raises(ValueError, match=r"X has shape \(10, 2\) and y has \(9,\)"):
        split(rng(), X, y[:9])
    with pytest.raises(ValueError, match=r"y has \(\)"):
        split(rng(), X, 1.0)
    with pytest.raises(ValueError, match="n must be at least 1"):
        split(rng(), X[:0], y[:0])
    for bad in 1.0, -0.1, 3:
        with pytest.raises(ValueError, match=r"below 1, not .*; for k samples: test=k / 10"):
            split(rng(), X, y, test=bad)
    with pytest.raises(TypeError, match="validation must be one number"):
        split(rng(), X, y, validation=None)
    with pytest.raises(ValueError, match="test = 0.01 of 10 samples is none"):
        split(rng(), X, y, test=0.01)
    with pytest.raises(ValueError, match="validation = 0.5 and test = 0.5 leave none of 10"):
        split(rng(), X, y, 0.5, 0.5)


def test_batch_sizes_are_checked():
    with pytest.raises(ValueError, match=r"batch_size = 100 but .* n = 10 .*\(rng, n, batch_size"):
        minibatches(rng(), 10, 100)
    with pytest.raises(ValueError, match="batch_size must be at least 1, not 0"):
        minibatches(rng(), 10, 0)
    with pytest.raises(TypeError, match="batch_size must be a whole number, not 2.5"):
        minibatches(rng(), 10, 2.5)
    with pytest.raises(ValueError, match="minibatches: n must be at least 1"):
        minibatches(rng(), 0, 1)


def test_all_names_exist():
    assert all(callable(getattr(data, name)) for name in data.__all__)
