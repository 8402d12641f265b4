"""A mistake as an edit of the reference: it is what the edited source says, or it is refused."""

import importlib.util
import traceback

import numpy as np
import pytest

from course_utils.exercises import Edit, Exercise
from course_utils.exercises.edits import edited

FACTOR = 2.0


def double(x, *, shift=0.0):
    """Twice x."""
    twice = FACTOR * x
    return twice + shift


def test_an_edited_function_is_what_its_source_says():
    assert edited(double, ("FACTOR * x", "FACTOR + x"))(5.0) == 7.0
    assert edited(double, ("twice + shift", "twice - shift"))(5.0, shift=1.0) == 9.0
    both = edited(double, ("FACTOR * x", "x"), ("twice + shift", "-twice"))
    assert both(5.0) == -5.0 and double(5.0) == 10.0
    assert both.__name__ == "double"


def test_it_sees_the_names_of_the_references_module(monkeypatch):
    wrong = edited(double, ("twice + shift", "-twice"))
    monkeypatch.setitem(globals(), "FACTOR", 3.0)
    assert wrong(5.0) == -15.0


def test_a_module_that_was_loaded_by_its_path_can_be_edited(tmp_path):
    path = tmp_path / "exercises.py"
    path.write_text("STEP = 1\n\ndef next_one(n):\n    return n + STEP\n")
    spec = importlib.util.spec_from_file_location("homework_x", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert edited(module.next_one, ("n + STEP", "n - STEP"))(5) == 4


def test_a_traceback_shows_the_edited_line():
    try:
        edited(double, ("FACTOR * x", "FACTOR / x"))(0)
    except ZeroDivisionError as error:
        assert traceback.extract_tb(error.__traceback__)[-1].line == "twice = FACTOR / x"


@pytest.mark.parametrize(
    ("reference", "change", "says"),
    [
        (double, ("x ** 2", "x"), "'x \\*\\* 2' stands no times in double"),
        (double, ("twice", "once"), "'twice' stands 2 times in double.*give more of its line"),
        (double, ("FACTOR * x", "FACTOR * x"), "is put in its own place"),
        (double, ("FACTOR * x", "FACTOR *"), "leave no Python of double"),
        (lambda x: x, ("x", "y"), "no plain function of a module"),
        (np.sin, ("x", "y"), "no plain function of a module"),
    ],
)
def test_an_edit_that_is_none_is_refused(reference, change, says):
    with pytest.raises(ValueError, match=says):
        edited(reference, change)(1.0)


def test_a_function_within_another_cannot_be_edited():
    inner = 3.0

    def reference(x):
        return inner * x

    with pytest.raises(ValueError, match="outside of other functions"):
        edited(reference, ("inner * x", "x"))(1.0)


def test_an_exercise_names_a_mistake_that_is_an_edit():
    exercise = Exercise(
        "double",
        double,
        inputs=lambda rng: (round(rng.uniform(1, 9), 1),),
        mistakes={"half": Edit("you halve.", ("FACTOR * x", "x / FACTOR"))},
    )
    found = exercise.diagnose(lambda x: x / 2, np.random.default_rng(0))
    assert (found.mistake, found.sentence) == ("half", "double: you halve.")
    wrong, sentence = exercise.mistakes["half"]
    assert wrong(8.0) == 4.0 and sentence == "you halve."
