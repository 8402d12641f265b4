"""What a check of homework does in a student's notebook."""

import sys
import warnings

import numpy as np
import pytest

from course_utils.exercises import Exercise, homework, table


@pytest.fixture
def check(tmp_path, monkeypatch):
    half = Exercise(
        "half",
        lambda x: x / 2,
        lambda rng: (float(rng.uniform(-3, 3)),),
        {"double": (lambda x: 2 * x, "you double.")},
    )
    tables = {"half": table.tabulate(half, np.random.default_rng(0))}
    (tmp_path / "hw00_halves.json").write_text(table.to_text(tables), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return homework.checks("hw00_halves")


def test_a_right_function_is_told_so(check, capsys):
    check("half", lambda x: x / 2)
    assert capsys.readouterr().out == "✓ half: right on 12 visible inputs.\n"


def test_a_wrong_function_raises_the_sentence_and_nothing_else(check):
    with pytest.raises(homework.NotRight, match="✗ half: you double.") as caught:
        check("half", lambda x: 2 * x)
    assert caught.value._render_traceback_() == ["✗ half: you double."]


def test_what_nbgrader_hands_out_is_not_done_yet(check):
    def stub(x):
        raise NotImplementedError

    with pytest.raises(homework.NotRight, match="○ half: not done yet. Replace `raise Not"):
        check("half", stub)


def test_neither_warnings_nor_stderr_reach_the_cell(check, capsys):
    def chatty(x):
        warnings.warn("careful", stacklevel=1)
        print("hello", file=sys.stderr)
        return x / 2

    check("half", chatty)
    said = capsys.readouterr()
    assert said.err == "" and "careful" not in said.out


def test_a_missing_table_and_a_wrong_name_say_what_to_do(check, tmp_path):
    with pytest.raises(ValueError, match="knows no 'third'; it has half"):
        check("third", None)
    with pytest.raises(FileNotFoundError, match="must lie in the same folder"):
        homework.checks("hw99_missing")
