"""Every homework: solutions earn all points, stubs none, mistakes are named, nothing leaks."""

import functools
import itertools
import json
import re
import zlib

import nbformat
import numpy as np
import pytest

from course_utils.exercises import engine, homework, table
from course_utils.exercises.engine import Exercise
from grading.course import RELEASED, Course, GradingError, assignments
from grading.inside import hidden
from grading.inside.hidden import diagnose
from grading.term.release import bring_up_to_date, leaks, release, solution_lines

ALL = assignments()
EACH = pytest.mark.parametrize("assignment", ALL, ids=lambda a: a.id)
EXERCISES = [pytest.param(a, e, id=f"{a.id}-{e.name}") for a in ALL for e in a.exercises.values()]
every_exercise = pytest.mark.parametrize(("assignment", "exercise"), EXERCISES)
MISTAKES = [
    pytest.param(a, e, name, id=f"{a.id}-{e.name}-{name}")
    for a in ALL
    for e in a.exercises.values()
    for name in e.mistakes
]
FORBIDDEN = re.compile(r"\b(simply|just|obviously|trivial|clearly)\b", re.IGNORECASE)


def cells(path):
    """The cells of a notebook that nbgrader knows, by their names."""
    return {
        c.metadata.nbgrader.grade_id: c
        for c in nbformat.read(path, as_version=4).cells
        if "nbgrader" in c.metadata
    }


def released(assignment):
    return RELEASED / f"{assignment.notebook}.ipynb"


@functools.cache
def visible_checks(assignment):
    return table.read(RELEASED / f"{assignment.notebook}.json")


def namespace_of(assignment, path, monkeypatch):
    """What the notebook's cells define, run in order and in this process."""
    monkeypatch.chdir(RELEASED)
    space = {}
    for cell in nbformat.read(path, as_version=4).cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id", "")
        if cell.cell_type == "code" and not name.endswith("-hidden"):
            try:
                exec(compile(cell.source, name, "exec"), space)
            except (homework.NotRight, NotImplementedError) as error:
                space.setdefault("said", {})[name] = str(error)
    return space


# ---------------------------------------------------------------------------- what is handed out


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """A folder to which everything was released anew, in a course folder of its own."""
    course = Course(tmp_path_factory.mktemp("course"))
    folder = tmp_path_factory.mktemp("released")
    for assignment in ALL:
        for name in (f"{assignment.notebook}.json",):  # what is stored may differ by rounding
            (folder / name).write_bytes((RELEASED / name).read_bytes())
        assert release(course, assignment, folder)
    return course, folder


@EACH
def test_the_release_is_equal_to_the_committed_files_byte_for_byte(assignment, fresh):
    _, folder = fresh
    for ending in ("ipynb", "json"):
        name = f"{assignment.notebook}.{ending}"
        assert (folder / name).read_bytes() == (RELEASED / name).read_bytes(), (
            f"{name} is out of date: python3 run.py homework release {assignment.id}"
        )


def test_a_second_release_changes_nothing(fresh):
    course, folder = fresh
    assert release(course, ALL[0], folder) == ""


def test_there_are_no_other_files_among_the_released():
    wanted = {f"{a.notebook}.{ending}" for a in ALL for ending in ("ipynb", "json")}
    assert {path.name for path in RELEASED.iterdir() if not path.name.startswith(".")} == wanted


@EACH
def test_no_line_of_a_solution_or_hidden_test_is_handed_out(assignment, tmp_path):
    assert len(solution_lines(assignment)) > 20
    for ending in ("ipynb", "json"):
        path = RELEASED / f"{assignment.notebook}.{ending}"
        (tmp_path / path.name).write_bytes(path.read_bytes())
    assert leaks(assignment, tmp_path) == []


@EACH
def test_a_leak_would_be_seen(assignment, tmp_path):
    line = max(solution_lines(assignment), key=len)
    (tmp_path / "notes.json").write_text(json.dumps({"note": line}))
    assert leaks(assignment, tmp_path)


@pytest.mark.parametrize(
    ("lost", "words"),
    [
        ("setup", "has no cell 'setup'"),
        ("-hidden", "has no cell '.*-hidden'"),
    ],
)
def test_a_source_that_lacks_a_cell_is_refused(tmp_path, lost, words):
    source = nbformat.read(ALL[0].source, as_version=4)
    source.cells = [c for c in source.cells if not c.id.endswith(lost)]
    folder = tmp_path / "homework" / ALL[0].notebook
    folder.mkdir(parents=True)
    (folder / "exercises.py").write_bytes((ALL[0].folder / "exercises.py").read_bytes())
    nbformat.write(source, folder / f"{ALL[0].notebook}.ipynb")
    (broken,) = assignments(sources=tmp_path / "homework")
    with pytest.raises(GradingError, match=words):
        bring_up_to_date(Course(tmp_path / "course"), broken)


# ------------------------------------------------------------------------------------- the points


@EACH
def test_a_homework_has_four_to_six_functions_and_a_hundred_points(assignment):
    found = cells(assignment.source)
    points = {name: cell.metadata.nbgrader.get("points", 0) for name, cell in found.items()}
    assert 4 <= len(assignment.exercises) <= 6
    assert sum(points.values()) == 100
    for name in assignment.exercises:
        assert 0 < points[f"{name}-visible"] < points[f"{name}-hidden"]


@EACH
def test_solutions_pass_every_check_and_draw_a_figure(assignment, monkeypatch):
    space = namespace_of(assignment, assignment.source, monkeypatch)
    assert "said" not in space
    for name, exercise in assignment.exercises.items():
        for seed in range(20):  # whatever seed a course draws, rounding must not cost points
            assert diagnose(exercise, space[name], seed).correct, (name, seed)
    figure = space["figure"]
    assert figure.alt and all(axes.get_title() for axes in figure.axes[:1])


@EACH
def test_what_is_handed_out_earns_nothing_and_says_not_done_yet(assignment, monkeypatch):
    space = namespace_of(assignment, released(assignment), monkeypatch)
    for name, exercise in assignment.exercises.items():
        assert space["said"][f"{name}-visible"].startswith(f"○ {name}: not done yet")
        assert diagnose(exercise, space[name], 0).kind == "not done"
    assert "plot" in space["said"]


@pytest.mark.parametrize(("assignment", "exercise", "name"), MISTAKES)
def test_each_mistake_fails_and_is_named_in_the_open_and_hidden(assignment, exercise, name):
    wrong, sentence = exercise.mistakes[name]
    visible = visible_checks(assignment)[exercise.name].diagnose(wrong)
    assert (visible.kind, visible.mistake) == ("mistake", name)
    hidden = diagnose(exercise, wrong, zlib.crc32(name.encode()))
    assert (hidden.kind, hidden.mistake) == ("mistake", name)
    assert sentence in hidden.sentence


@every_exercise
def test_ten_mistakes_are_known(assignment, exercise):
    assert len(exercise.mistakes) >= 10


@every_exercise
def test_what_the_visible_inputs_teach_by_heart_fails_the_hidden_ones(assignment, exercise):
    trial = visible_checks(assignment)[exercise.name]
    known = {repr(case): trial.expected(i) for i, case in enumerate(trial.cases)}

    def by_heart(*given):
        return known.get(repr(given), trial.expected(0))

    assert trial.diagnose(by_heart).correct
    assert not diagnose(exercise, by_heart, 3).correct


@every_exercise
def test_a_hidden_diagnosis_gives_no_input_away(assignment, exercise, capsys):
    class Thief(Exception):
        pass

    def tells(*given):
        print(given)
        raise type(f"E{given}", (Thief,), {})(given)

    def gives_back(*given):
        return str(given)

    def wrong_shape(*given):
        return np.zeros((7, 7, 7))

    trial = exercise.trial(np.random.default_rng(0))
    for function in (tells, gives_back, wrong_shape, lambda *given: 0.12345):
        found = diagnose(exercise, function, 0)
        assert not found.correct and found.unseen is None
        assert not re.search(r"\d\.\d|\[|\(", found.sentence), found.sentence
    assert capsys.readouterr().out == ""
    assert trial.diagnose(tells).sentence != diagnose(exercise, tells, 0).sentence


class Own(Exception):
    pass


def gives(result):
    return lambda *given: result


def raises(error):
    def function(*given):
        raise error

    return function


@pytest.mark.parametrize(
    "functions",
    [
        [gives((None,) * n) for n in (1, 2, 200)],
        [raises(e("x" * n)) for n, e in enumerate((ValueError, KeyError, ZeroDivisionError, Own))],
        [gives(np.zeros((7,) * n)) for n in (4, 5, 6)] + [gives((1.0,) * 50)],
        [gives(n) for n in (0.123, 4.56)],
        [gives(text) for text in ("a", "bc", object(), {1: 2})],
    ],
    ids=["nothing", "errors", "shapes", "numbers", "no numbers"],
)
@every_exercise
def test_what_a_function_gives_back_cannot_change_the_words_about_hidden_inputs(
    assignment, exercise, functions
):
    # Else a function that knows an input could spell it, a submission for each letter.
    said = {diagnose(exercise, function, 0).sentence for function in functions}
    assert len(said) == 1, said


@every_exercise
def test_the_words_about_hidden_inputs_do_not_count_them(assignment, exercise):
    right, _ = exercise.reference, exercise.trial(np.random.default_rng(0))

    def wrong_on(first):
        calls = itertools.count()
        return lambda *given: right(*given) if next(calls) >= first else 0.12345

    assert len({diagnose(exercise, wrong_on(n), 0).sentence for n in (3, 5, 11)}) == 1


@every_exercise
def test_a_slow_function_is_tried_on_as_many_inputs_as_any_other(assignment, exercise, monkeypatch):
    hours = itertools.count(step=3600.0)
    monkeypatch.setattr(engine, "perf_counter", lambda: next(hours))
    calls = []

    def slow(*given):
        calls.append(given)
        return exercise.reference(*given)

    assert diagnose(exercise, slow, 0).correct and len(calls) == engine.TRIES
    visible = table.read(RELEASED / f"{assignment.notebook}.json")[exercise.name]
    assert visible.diagnose(slow).correct and len(calls) == engine.TRIES + table.VISIBLE


def test_hidden_inputs_follow_from_the_seed():
    exercise = next(iter(ALL[0].exercises.values()))
    seen = []
    for seed in (1, 1, 2):
        diagnose(exercise, lambda *given: seen.append(repr(given)), seed)
    assert seen[0] == seen[1] != seen[2]


# -------------------------------------------------------------------------------- words for people


@EACH
def test_the_page_for_instructors_names_every_task_with_minutes_and_a_rubric(assignment):
    page = (assignment.folder / "instructor.md").read_text(encoding="utf-8")
    minutes = dict(re.findall(r"^\| (?:`?)([\w ]+?)(?:`?) \| (\d+) \|", page, flags=re.M))
    assert {*assignment.exercises, "the figure", "the answer"} == set(minutes)
    assert 45 <= sum(map(int, minutes.values())) <= 90
    for part, most in re.findall(r"## Rubric: the (\w+), (\d+) points", page):
        lines = page.split(f"## Rubric: the {part}")[1].split("##")[0]
        assert sum(map(int, re.findall(r"^\| (\d+) \|", lines, flags=re.M))) == int(most)
        cell = {"figure": "plot", "answer": "answer"}[part]
        assert cells(assignment.source)[cell].metadata.nbgrader.points == int(most)


@EACH
def test_the_words_are_plain_and_the_source_is_stored_without_outputs(assignment):
    notebook = nbformat.read(assignment.source, as_version=4)
    assert re.match(rf"# Homework {assignment.id[2:]} · \w", notebook.cells[0].source)
    sentences = [s for e in assignment.exercises.values() for _, s in e.mistakes.values()]
    for text in [c.source for c in notebook.cells if c.cell_type == "markdown"] + sentences:
        assert not FORBIDDEN.search(text), FORBIDDEN.search(text)
    for cell in notebook.cells:
        assert not cell.get("outputs") and cell.get("execution_count") is None


@every_exercise
def test_sentences_are_short_and_end_with_a_full_stop(assignment, exercise):
    assert isinstance(exercise, Exercise)
    for _, sentence in exercise.mistakes.values():
        assert sentence.endswith((".", "?", ".)")) and len(sentence) <= 200, sentence


PARTS = [pytest.param(e, id=e.name) for a in ALL for e in a.exercises.values() if e.parts]


def graded(exercise, function, monkeypatch, tmp_path):
    """What the hidden test says of a function, and the share of its points."""
    found = tmp_path / "exercises.py"
    monkeypatch.setattr(hidden, "exercises_in", lambda folder: {exercise.name: exercise})
    found.with_suffix(".json").write_text(json.dumps({"sources": str(tmp_path), "seed": 5}))
    monkeypatch.setenv(hidden.VARIABLE, str(found.with_suffix(".json")))
    try:
        hidden.hidden("any", exercise.name, function)
    except homework.NotRight as error:
        return str(error), getattr(error, "share", 0.0)
    return "", 1.0


def right_where(exercise, holds, elsewhere):
    return lambda *case: (exercise.reference if holds(*case) else elsewhere)(*case)


@pytest.mark.parametrize("exercise", PARTS)
def test_right_on_some_kinds_of_input_gives_their_share(exercise, monkeypatch, tmp_path):
    for words, holds in exercise.parts.items():
        for elsewhere in (lambda *_: 1 / 0, lambda *_: 3.0, lambda *_: None):
            partly = right_where(exercise, holds, elsewhere)
            said, share = graded(exercise, partly, monkeypatch, tmp_path)
            assert share == 1 / len(exercise.parts) and said.endswith(f"right where {words}.")
    assert graded(exercise, exercise.reference, monkeypatch, tmp_path) == ("", 1.0)
    for wrong in (lambda *_: 0.0, lambda *_: None, lambda *_: 1 / 0, 5, ...):
        assert graded(exercise, wrong, monkeypatch, tmp_path)[1] == 0.0


@pytest.mark.parametrize("exercise", PARTS)
def test_every_input_is_of_one_kind_and_every_kind_is_drawn(exercise):
    for seed in range(20):
        cases = exercise.trial(np.random.default_rng(seed)).cases
        kinds = [[w for w, holds in exercise.parts.items() if holds(*case)] for case in cases]
        assert all(len(kind) == 1 for kind in kinds)
        assert {kind[0] for kind in kinds} == set(exercise.parts)


def test_an_exercise_without_parts_gives_all_or_nothing(monkeypatch, tmp_path):
    exercise = Exercise("double", lambda x: 2 * x, lambda rng: (rng.normal(),))
    assert graded(exercise, lambda x: 2 * abs(x), monkeypatch, tmp_path)[1] == 0.0
