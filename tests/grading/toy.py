"""A small assignment with all that a real one has, and the submissions that tests make for it."""

import copy
import json
import os
import sys
from pathlib import Path
from unittest import mock

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from nbgrader.apps import NbGraderAPI
from traitlets.config import Config

from grading.course import Assignment, Course
from grading.run.kit import Kit, full_tests

NAME, NOTEBOOK, SEED = "hw00", "hw00_toy", 987_654_321
POINTS = {"double-visible": 1, "double-hidden": 2, "mean-visible": 1, "mean-hidden": 2, "answer": 1}
ALL = sum(POINTS.values())
DOUBLE, MEAN = 3, 3  # of these, what each function gives

DOUBLE_CODE = "def double(x):\n    return 2 * x"
MEAN_CODE = "def mean_square(x):\n    return float(np.mean(np.square(x)))"
ANSWER_CODE = "answer = 42"

HIDDEN = """\
### BEGIN HIDDEN TESTS
import json, os
with open(os.environ["DESCENT_GRADING"]) as file:
    expected_seed = json.load(file)["seed"]
x = np.random.default_rng(expected_seed).normal(size=5)
assert_allclose({call}, {expected}, rtol=1e-9)
### END HIDDEN TESTS"""


def mark(grade_id, points=None, **more):
    """nbgrader's mark of a cell: a test where it has points, else an answer or a locked cell."""
    kind = {"grade": points is not None, "solution": False, "locked": True, "task": False, **more}
    kind.update({} if points is None else {"points": points})
    return {"nbgrader": {"grade_id": grade_id, "schema_version": 3, **kind}}


def source():
    """The instructor's notebook."""
    answer = {"solution": True, "locked": False}
    hidden_double = HIDDEN.format(call="double(x)", expected="x + x")
    hidden_mean = HIDDEN.format(call="mean_square(x)", expected="(x @ x) / 5")
    cells = [
        new_markdown_cell("# A small assignment"),
        new_code_cell(
            "import numpy as np\nfrom numpy.testing import assert_allclose", metadata=mark("setup")
        ),
        new_code_cell(solution(DOUBLE_CODE), metadata=mark("double", **answer)),
        new_code_cell("assert double(3) == 6", metadata=mark("double-visible", 1)),
        new_code_cell(hidden_double, metadata=mark("double-hidden", 2)),
        new_code_cell(solution(MEAN_CODE), metadata=mark("mean", **answer)),
        new_code_cell(
            "assert mean_square(np.array([1.0, 3.0])) == 5.0", metadata=mark("mean-visible", 1)
        ),
        new_code_cell(hidden_mean, metadata=mark("mean-hidden", 2)),
        new_code_cell(solution(ANSWER_CODE), metadata=mark("answer-is", **answer)),
        new_code_cell("assert answer == 42", metadata=mark("answer", 1)),
        new_markdown_cell("Say why.", metadata=mark("written", 2, **answer)),
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return new_notebook(cells=cells, metadata=kernel)


def solution(code):
    head, _, body = code.partition("\n")
    if not body:
        return f"### BEGIN SOLUTION\n{code}\n### END SOLUTION"
    return f"{head}\n    ### BEGIN SOLUTION\n{body}\n    ### END SOLUTION"


def make_course(root, **settings):
    """A course folder with the released assignment: course, assignment, kit."""
    path = root / "source" / NAME / f"{NOTEBOOK}.ipynb"
    path.parent.mkdir(parents=True)
    nbformat.write(source(), path)
    (root / "grading.toml").write_text(f"seed = {SEED}\n")
    config = Config()
    config.CourseDirectory.root = str(root)
    api = NbGraderAPI(config=config)
    # nbgrader calls `alembic` by name, and tests do not run in an activated environment.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    with mock.patch.dict(os.environ, PATH=path):
        done = api.generate_assignment(NAME)
    assert done["success"], done
    course, assignment = Course(root), Assignment(Path(NOTEBOOK))
    blank = released(course)
    for cell in blank["cells"]:
        cell["source"] = "".join(cell["source"])
    with api.gradebook as gradebook:
        master = full_tests(blank, gradebook, assignment)
    settings = {"files": {"table.json": b"{}"}, "seed": SEED, **settings}
    return course, assignment, Kit(NOTEBOOK, master, **settings)


def released(course):
    return json.loads((course.release(NAME) / f"{NOTEBOOK}.ipynb").read_text())


def handed_in(course, student):
    """The path of a student's submission."""
    return course.submitted(student, NAME) / f"{NOTEBOOK}.ipynb"


def graded(course, student):
    """The path of a student's autograded notebook."""
    return course.autograded(student, NAME) / f"{NOTEBOOK}.ipynb"


def answered(blank, double=None, mean=None, answer=None, written=None, first=(), last=()):
    """A copy of the released notebook with these answers, and cells before and behind all."""
    notebook = copy.deepcopy(blank)
    texts = {"double": double, "mean": mean, "answer-is": answer, "written": written}
    for cell in notebook["cells"]:
        text = texts.get(grade_id(cell))
        if text is not None:
            cell["source"] = text.splitlines(keepends=True)
    notebook["cells"] = [*map(extra, first), *notebook["cells"], *map(extra, last)]
    return notebook


def right(blank, **more):
    """A notebook with all the right answers, unless `more` says otherwise."""
    answers = {"double": DOUBLE_CODE, "mean": MEAN_CODE, "answer": ANSWER_CODE, "written": "So."}
    return answered(blank, **{**answers, **more})


def extra(code):
    return {
        "cell_type": "code",
        "metadata": {},
        "source": code,
        "outputs": [],
        "execution_count": None,
        "id": f"extra-{abs(hash(code))}",
    }


def grade_id(cell):
    return cell["metadata"].get("nbgrader", {}).get("grade_id")


def hand_in(course, student, notebook):
    """Write a submission: a notebook, bytes, or what a function makes of the path."""
    path = handed_in(course, student)
    path.parent.mkdir(parents=True)
    if callable(notebook):
        notebook(path)
    else:
        path.write_bytes(notebook if isinstance(notebook, bytes) else json.dumps(notebook).encode())
