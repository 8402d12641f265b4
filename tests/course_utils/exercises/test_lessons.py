"""Each exercise of each lesson: the reference passes, every mistake fails and is named."""

import importlib
import pkgutil

import numpy as np
import pytest

from course_utils import exercises
from course_utils.exercises import Exercise

LESSONS = [
    info.name for info in pkgutil.iter_modules(exercises.__path__) if info.name.startswith("lesson")
]
ALL = [
    pytest.param(value, id=f"{lesson}.{value.name}")
    for lesson in LESSONS
    for value in vars(importlib.import_module(f"course_utils.exercises.{lesson}")).values()
    if isinstance(value, Exercise)
]
MISTAKES = [
    pytest.param(*param.values, name, id=f"{param.id}-{name}")
    for param in ALL
    for name in param.values[0].mistakes
]
# Two of ten draws of the inputs tell most mistakes; all of them are tried with all tests.
with_seeds = pytest.mark.parametrize(
    "seeds", [range(2), pytest.param(range(2, 10), marks=pytest.mark.slow)], ids=["two", "more"]
)


def test_there_are_exercises():
    assert len(ALL) >= 4


@with_seeds
@pytest.mark.parametrize("exercise", ALL)
def test_the_reference_passes(exercise, seeds):
    for seed in seeds:
        assert exercise.diagnose(exercise.reference, np.random.default_rng(seed)).correct


@pytest.mark.parametrize("exercise", ALL)
def test_at_least_five_mistakes_are_known(exercise):
    assert len(exercise.mistakes) >= 5


@with_seeds
@pytest.mark.parametrize(("exercise", "name"), MISTAKES)
def test_each_mistake_fails_and_is_named(exercise, name, seeds):
    wrong, sentence = exercise.mistakes[name]
    for seed in seeds:
        found = exercise.diagnose(wrong, np.random.default_rng(seed))
        assert (found.kind, found.mistake) == ("mistake", name)
        assert sentence in str(found)


@pytest.mark.parametrize("exercise", ALL)
def test_the_unsolved_stub_fails(exercise):
    assert exercise.diagnose(lambda *given: ..., np.random.default_rng(0)).kind == "not done"


@pytest.mark.parametrize("exercise", ALL)
def test_a_mistake_nobody_thought_of_fails_without_a_name(exercise):
    found = exercise.diagnose(lambda *given: 0.12345, np.random.default_rng(0))
    assert found.kind in ("wrong", "wrong shape") and found.mistake is None
