import sys
import warnings

import numpy as np
import pytest

from course_utils.exercises import Exercise, engine


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


# ------------------------------------------------------- whatever comes, the notebook goes on


class Hostile:
    def __array__(self, *args, **kwargs):
        raise RuntimeError("not yours")

    def __repr__(self):
        raise RuntimeError("not yours, either")


class Speechless(Exception):
    def __str__(self):
        raise RuntimeError("no words")


def raises_speechless(x):
    raise Speechless


def leaves(x):
    sys.exit(1)


def tracked(x):
    torch = pytest.importorskip("torch")
    return [torch.tensor(float(v), requires_grad=True) for v in x]


def low_precision(x):
    torch = pytest.importorskip("torch")
    return torch.tensor(3 * x + 1, dtype=torch.bfloat16, requires_grad=True)


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (leaves, "raised"),
        (raises_speechless, "raised"),
        (tracked, "wrong"),
        (low_precision, "wrong"),
        (lambda x: 10**400, "wrong type"),
        (lambda x: Hostile(), "wrong type"),
        (lambda x: [Hostile()], "wrong type"),
    ],
)
def test_nothing_that_a_function_does_escapes(function, kind, capsys):
    assert diagnose(function).kind == kind
    exercise().check(function)
    assert capsys.readouterr().out.startswith("✗ double")


def test_an_exit_and_an_error_without_words_are_named():
    assert "raised SystemExit: 1 (in the line `sys.exit(1)`)" in diagnose(leaves).sentence
    assert "raised Speechless (in the line" in diagnose(raises_speechless).sentence


def test_an_interrupt_stops_the_check():
    def interrupted(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        exercise().check(interrupted)


def test_a_list_of_tracked_tensors_and_a_bfloat16_tensor_can_be_right():
    torch = pytest.importorskip("torch")
    assert diagnose(lambda x: [2 * t for t in tracked(x)]).correct
    whole = exercise(inputs=lambda rng: (rng.integers(1, 9, 2).astype(float),))
    assert whole.diagnose(lambda x: torch.tensor(2 * x, dtype=torch.bfloat16)).correct


# ------------------------------------------------------------------- only numbers are numbers


@pytest.mark.parametrize(
    "function",
    [
        lambda x: 2 * x + 1j,
        lambda x: 2 * x + 0j,
        lambda x: [str(2 * v) for v in x],
        lambda x: np.array([str(2 * v) for v in x]),
    ],
)
def test_what_only_looks_like_numbers_is_a_wrong_type(function):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert diagnose(function).kind == "wrong type"


@pytest.mark.parametrize("text", [b"0.75", np.array("0.75"), np.array(b"0.75")])
def test_bytes_and_arrays_of_text_are_no_numbers(text):
    assert diagnose(lambda x: text, reference=lambda x: 0.75).kind == "wrong type"


@pytest.mark.parametrize("result", [True, 1, np.uint8(1), np.float32(1), [1]])
def test_truths_whole_numbers_and_floats_are_numbers(result):
    assert diagnose(lambda x: result, reference=lambda x: np.ones(np.shape(result))).correct


# --------------------------------------------------------------------- results are snapshots


def fills(buffer, wrap):
    """The right function, for inputs of two, which gives back one buffer of its own."""

    def double(x):
        for i, v in enumerate(x):
            buffer[i] = 2 * float(v)
        return wrap(buffer)

    return double


def twos(rng):
    return (rng.uniform(-3, 3, 2).round(2),)


@pytest.mark.parametrize("buffer", [np.zeros(2), [0.0, 0.0]], ids=["array", "list"])
def test_a_function_may_fill_a_buffer_of_its_own(buffer):
    assert diagnose(fills(buffer, lambda b: b), inputs=twos).correct
    assert diagnose(
        fills(buffer, lambda b: (b, b)), inputs=twos, reference=lambda x: (2 * x, 2 * x)
    ).correct


def test_a_function_may_fill_a_tensor_of_its_own():
    torch = pytest.importorskip("torch")
    assert diagnose(fills(torch.zeros(2, dtype=torch.float64), lambda b: b), inputs=twos).correct


# ----------------------------------------------------------------------- prints, and patience


def test_what_a_function_prints_is_shown_once_before_the_diagnosis(capsys):
    def chatty(x):
        print("looking at", len(x))
        return 2 * x

    exercise().check(chatty)
    assert capsys.readouterr().out.splitlines() == [
        "looking at 1",
        "✓ double: right on 24 fresh inputs.",
    ]


@pytest.fixture
def clock(monkeypatch):
    """Time that passes only where a test says so."""
    now = [0.0]
    monkeypatch.setattr(engine, "perf_counter", lambda: now[0])
    return now


@pytest.mark.parametrize(("seconds", "inputs"), [(0.1, 24), (0.9, 7), (60, 3)])
def test_a_slow_function_is_tried_on_fewer_inputs_and_that_is_said(clock, seconds, inputs):
    calls = []

    def slow(x, more=0):
        calls.append(x)
        clock[0] += seconds
        return 2 * x + more

    assert diagnose(slow).sentence == f"double: right on {inputs} fresh inputs."
    assert len(calls) == inputs
    assert f"{inputs} of {inputs} inputs differ" in diagnose(lambda x: slow(x, 1)).sentence


def test_a_slow_function_is_tried_on_the_largest_input_too(clock):
    def slow(x):
        clock[0] += 60
        return 2 * x if len(x) < 3 else 3 * x

    found = diagnose(slow)
    assert found.kind == "wrong" and "1 of 3" in found.sentence


# --------------------------------------------------------------------- sentences that are true


def test_a_tuple_in_place_of_an_array_is_called_a_tuple():
    one = exercise(inputs=lambda rng: (rng.uniform(-3, 3, 1).round(2),))
    found = one.diagnose(lambda x: tuple(2 * x))
    assert found.kind == "wrong shape"
    assert "a tuple of 1 result (one number), expected an array of shape (1,)" in found.sentence


def test_a_comma_too_many_is_seen():
    found = diagnose(lambda x: (2 * x,))
    assert found.kind == "wrong shape" and "gives a tuple of 1 result" in found.sentence


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (lambda: (v for v in [1]), "gives a generator: real numbers are expected."),
        (lambda: [object()], "gives [an object], a list: real numbers are expected."),
        (lambda: "four", "gives 'four', a str: real numbers are expected."),
    ],
)
def test_no_sentence_shows_an_address(result, words):
    sentence = diagnose(lambda x: result()).sentence
    assert sentence.endswith(words) and "0x" not in sentence


def test_a_number_too_large_for_a_float_is_cut_short_and_called_too_large():
    sentence = diagnose(lambda x: 10**400).sentence
    assert sentence.endswith("…, an int: a smaller number is expected.") and len(sentence) < 200


def test_a_tuple_of_nothing_is_no_result():
    found = diagnose(lambda x: (None, None))
    assert found.kind == "no result" and "(None, None)" in found.sentence


def test_dots_in_place_of_a_function_are_not_done_yet():
    assert "not done yet" in diagnose(...).sentence


def test_float32_is_a_suspect_where_a_result_is_close():
    torch = pytest.importorskip("torch")
    found = diagnose(lambda x: 2 * torch.tensor(x, dtype=torch.float32), tolerance=1e-9)
    assert found.kind == "close" and "float32" in found.sentence
