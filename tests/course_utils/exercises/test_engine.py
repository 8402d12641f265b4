import numpy as np
import pytest

from course_utils.exercises import Exercise


def exercise(**changes):
    given = dict(
        name="double",
        reference=lambda x: 2 * x,
        inputs=lambda rng: (rng.uniform(-3, 3, rng.integers(1, 4)).round(2),),
        mistakes={
            "square": (lambda x: x**2, "you square instead of doubling."),
            "sign": (lambda x: -2 * x, "the sign is wrong."),
        },
    )
    return Exercise(**(given | changes))


def diagnose(function, **changes):
    return exercise(**changes).diagnose(function, np.random.default_rng(0))


def test_the_right_function_passes():
    assert diagnose(lambda x: x + x).correct


def test_a_result_that_differs_by_rounding_passes():
    assert diagnose(lambda x: 2 * x * (1 + 1e-12)).correct


def test_a_list_in_place_of_an_array_passes():
    assert diagnose(lambda x: list(2 * x)).correct


def test_a_known_mistake_is_named():
    found = diagnose(lambda x: x * x)
    assert (found.kind, found.mistake) == ("mistake", "square")
    assert "you square instead of doubling" in found.sentence


def unsolved(x):
    return ...


def unsolved_pair(x):
    return ..., ...


def refuses(x):
    raise NotImplementedError


@pytest.mark.parametrize("stub", [unsolved, unsolved_pair, refuses, ...])
def test_the_unsolved_stub_is_not_done_yet(stub):
    assert diagnose(stub).kind == "not done"


def test_a_forgotten_return_is_named():
    found = diagnose(lambda x: None)
    assert found.kind == "no result" and "`return`" in found.sentence


def test_an_argument_changed_in_place_is_named():
    def impatient(x):
        x *= 2
        return x

    found = diagnose(impatient)
    assert found.kind == "changed argument" and "`+=`" in found.sentence


def test_what_the_function_raises_is_shown_with_its_line():
    def careless(x):
        return 2 * missing  # noqa: F821

    found = diagnose(careless)
    assert found.kind == "raised"
    assert "NameError: name 'missing' is not defined" in found.sentence
    assert "return 2 * missing" in found.sentence


def test_too_few_parameters_are_an_error_of_the_learner_not_of_the_check():
    assert diagnose(lambda: 0).kind == "raised"


def test_a_wrong_shape_is_said_before_wrong_numbers():
    found = diagnose(lambda x: 2 * x.sum())
    assert found.kind == "wrong shape"
    assert "one number, expected an array of shape" in found.sentence


@pytest.mark.parametrize("text", ["four", "4"])
def test_text_in_place_of_numbers_is_said(text):
    assert diagnose(lambda x: text, reference=lambda x: 4.0).kind == "wrong type"


def test_something_that_is_no_function_is_said():
    assert diagnose(3).kind == "wrong type"


def test_an_unknown_mistake_is_shown_on_the_smallest_input_that_fails():
    found = diagnose(lambda x: 2 * x + 1)
    assert found.kind == "wrong" and found.mistake is None
    assert "expected" in found.sentence and "24 of 24 inputs differ" in found.sentence
    assert found.sentence.split(":")[0].count(",") == 0  # one entry: the smallest there is


def test_a_result_that_is_close_but_not_exact_is_said_to_be():
    found = diagnose(lambda x: 2 * x * (1 + 1e-5))
    assert found.kind == "close" and "Did you nudge" in found.sentence


def test_a_function_that_fails_now_and_then_does_not_pass():
    found = diagnose(lambda x: 2 * x if x[0] > 0 else 2 * x + 1)
    assert found.kind == "wrong" and "24 of 24" not in found.sentence


def test_nan_does_not_pass():
    assert not diagnose(lambda x: np.full_like(x, np.nan)).correct


def test_right_numbers_in_the_wrong_order_do_not_pass():
    ordered = exercise(reference=lambda x: (x.sum(), x.max()), mistakes={})
    assert not ordered.diagnose(lambda x: (x.max(), x.sum()), np.random.default_rng(0)).correct


def test_inputs_are_fresh_on_every_check():
    seen = []
    for _ in range(2):
        exercise().diagnose(lambda x: seen.append(x) or 2 * x)
    assert not np.array_equal(seen[0], seen[24])


def test_a_learner_cannot_change_the_inputs_of_the_reference():
    def vandal(x):
        x[:] = 0
        return np.zeros_like(x)

    assert not diagnose(vandal).correct


def test_tensors_are_welcome():
    torch = pytest.importorskip("torch")
    assert diagnose(lambda x: 2 * torch.tensor(x, requires_grad=True)).correct


def test_check_prints_the_diagnosis_and_raises_nothing(capsys):
    exercise().check(refuses)
    exercise().check(lambda x: -2 * x)
    exercise().check(lambda x: 2 * x)
    lines = capsys.readouterr().out.splitlines()
    assert [line[0] for line in lines] == ["○", "✗", "✓"]
