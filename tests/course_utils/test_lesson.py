import numpy as np
import pytest

from course_utils import lesson
from course_utils._text import printed
from course_utils.lesson import VerdictFailed, check_environment, observe, predict, verdict


def test_a_verdict_that_holds_prints_the_claim_and_rounded_evidence(capsys):
    verdict("it shrinks", 3.9 < 4.0123 < 4.1, ratio=4.0123, runs=1200, path=[0.12345, 2])
    assert (
        capsys.readouterr().out == "✓ it shrinks (ratio = 4.01, runs = 1,200, path = (0.123, 2))\n"
    )


def test_a_verdict_that_does_not_hold_raises_with_the_same_words(capsys):
    with pytest.raises(VerdictFailed, match=r"✗ it shrinks \(ratio = 0.5\)"):
        verdict("it shrinks", 0.5 > 1, ratio=0.5)
    assert capsys.readouterr().out == ""


def test_a_comparison_with_nan_does_not_hold():
    with pytest.raises(VerdictFailed):
        verdict("the loss fell", np.float64("nan") < 1.0)


@pytest.mark.parametrize("holds", [np.array([True, False]), 1, "yes", None, np.array([True])])
def test_a_verdict_takes_one_truth_value_only(holds):
    with pytest.raises(TypeError, match="must be True or False"):
        verdict("anything", holds)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0001234, "0.000123"),
        (1234.5, "1,230"),
        (-0.0, "0"),
        (1e-12, "1e-12"),
        (True, "yes"),
        (np.int64(12), "12"),
        ("never", "never"),
        (np.array([1.0, -2.5]), "(1, -2.5)"),
    ],
)
def test_evidence_has_at_most_three_significant_digits(value, text):
    assert printed(value) == text


OPTIONS = {"four <4>": "You counted `2 + 2`.", "five": "Tempting & wrong."}


def test_a_prediction_shows_each_option_closed_with_its_reason_inside():
    html = predict("What is `2 + 2`?", OPTIONS, answer="four <4>")._repr_mimebundle_()["text/html"]
    assert html.count("<details") == html.count("</details>") == 2
    assert "open" not in html.replace("open ", "")
    assert '<summary data-lm-suppress-shortcuts="true">four &lt;4&gt;</summary>' in html
    assert "<strong>✓ Yes.</strong> You counted <code>2 + 2</code>." in html
    assert "<strong>✗ Not so.</strong> Tempting &amp; wrong." in html
    assert "<script" not in html


def test_a_prediction_does_not_tell_its_answer_in_plain_text():
    text = repr(predict("What is `2 + 2`?", OPTIONS, answer="five"))
    assert "five" in text and "counted" not in text and "Tempting" not in text and "✓" not in text


def test_a_prediction_looks_the_same_whichever_option_is_right():
    def summaries(answer):
        html = predict("?", OPTIONS, answer=answer)._html()
        return [line.split("</summary>")[0] for line in html.splitlines()]

    assert summaries("five") == summaries("four <4>")


@pytest.mark.parametrize(
    ("options", "answer", "says"),
    [
        ({"a": "x"}, "a", "two options"),
        ({"a": "x", "b": "y"}, "c", "none of the options"),
        ({"a": "x", "b": " "}, "a", "why 'b'"),
    ],
)
def test_an_incomplete_prediction_is_refused(options, answer, says):
    with pytest.raises(ValueError, match=says):
        predict("?", options, answer)


SEEN = {"it falls": (True, "The line goes down."), "it ends at `0`": (False, "It ends at 1.")}


def test_an_observation_opens_to_what_was_computed():
    html = observe("Look.", SEEN)._repr_mimebundle_()["text/html"]
    assert html.count("<details") == html.count("</details>") == 2
    assert "<strong>✓ So it is.</strong> The line goes down." in html
    assert "<code>0</code></summary>\n" not in html and "<code>0</code></summary>" in html
    assert "<strong>✗ Not so.</strong> It ends at 1." in html


def test_an_observation_does_not_tell_its_key_in_plain_text_or_before_it_is_opened():
    other = {s: (not holds, why) for s, (holds, why) in SEEN.items()}
    assert repr(observe("Look.", SEEN)) == repr(observe("Look.", other))
    assert "goes down" not in repr(observe("Look.", SEEN))

    def summaries(statements):
        html = observe("Look.", statements)._html()
        return [line.split("</summary>")[0] for line in html.splitlines()]

    assert summaries(SEEN) == summaries(other)


def test_an_observation_takes_truth_values_of_arrays_and_tensors_of_one_value():
    seen = observe("Look.", {"a": (np.float64(1) < 2, "x"), "b": (np.array(False), "y")})
    assert [holds for holds, _ in seen.statements.values()] == [True, False]


@pytest.mark.parametrize(
    ("statements", "error", "says"),
    [
        ({"a": (True, "x")}, ValueError, "two statements"),
        ({"a": (True, "x"), "b": (True, "y")}, ValueError, "all of the statements hold"),
        ({"a": (False, "x"), "b": (False, "y")}, ValueError, "none of the statements hold"),
        ({"a": (True, "x"), "b": (False, " ")}, ValueError, "how one sees"),
        ({"a": (True, "x"), "b": (0.5, "y")}, TypeError, "must be True or False"),
        ({"a": (np.array([True, False]), "x"), "b": (False, "y")}, TypeError, "all"),
    ],
)
def test_an_observation_that_tells_nothing_is_refused(statements, error, says):
    with pytest.raises(error, match=says):
        observe("Look.", statements)


def test_check_environment_finds_everything_here(capsys):
    check_environment()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5 and all(line.startswith("✓") for line in lines)


def test_check_environment_says_how_to_mend_what_is_missing(capsys, monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(f"No module named '{name}'")

    monkeypatch.setattr(lesson.importlib, "import_module", missing)
    check_environment()
    out = capsys.readouterr().out
    assert "✗ PyTorch differentiates: ModuleNotFoundError: No module named 'torch'" in out
    assert "To mend it: in a terminal: `python3 run.py lab`" in out
    assert "✓ NumPy computes" in out  # the rest is still tried
