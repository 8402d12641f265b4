"""Honest students keep their points, and what a person is to look at is there to be seen."""

import json
import os

import nbformat
import pytest

from grading.run.batch import grade_all
from grading.sandbox.walls import why_no_sandbox
from tests.grading.toy import (
    ALL,
    DOUBLE_CODE,
    MEAN_CODE,
    grade_id,
    graded,
    hand_in,
    make_course,
    released,
    right,
    source,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(why_no_sandbox()) and not os.environ.get("CI"), reason=str(why_no_sandbox())
    ),
]

PLOT = "import matplotlib.pyplot as plt\nplt.plot([1, 2, 4])\nplt.show()"
LARGE = (  # noise cannot be packed: the picture has more than a megabyte
    "import matplotlib.pyplot as plt\nimport numpy as np\n"
    "plt.figure(figsize=(12, 8), dpi=100)\n"
    "plt.imshow(np.random.default_rng(0).random((800, 1200, 3)), interpolation='nearest')\n"
    "plt.show()"
)
TORCH = (
    "import torch\ntorch.set_num_threads(2)\nones = torch.ones(600, 600)\nones @ ones\n"
    "def double(x):\n    nothing = 0 * (ones @ ones)[0, 0]\n"
    "    return (2 * torch.as_tensor(x, dtype=torch.float64) + nothing).numpy()[()]"
)
LIVE = (
    "import matplotlib.pyplot as plt\nfrom IPython.display import clear_output\n"
    "for i in range(30):\n    clear_output(wait=True)\n    plt.plot(range(i + 2))\n    plt.show()\n"
    "    print(f'step {i}')"
)
PROGRESS = (
    "from tqdm.auto import tqdm\nfrom tqdm import trange\nn = 0\nfor i in tqdm(range(50)): n += i\n"
    "for i in trange(50): n += i\n"
)


def returning(kind, imports=""):
    """`double` with a result of this kind, a number staying one."""
    return (
        f"{imports}\ndef double(x):\n    y = 2 * np.asarray(x, float)\n"
        f"    return float(y) if y.ndim == 0 else {kind}"
    )


def honest(blank):
    """Name → the notebook, and the points it deserves."""
    return {
        "raises_at_underflow": right(
            blank,
            first=["import numpy as np\nnp.seterr(all='raise')"],
            double="def double(x):\n    np.exp(-1000.0 * np.ones(2))\n    return 2 * x",
        ),
        "warnings_are_errors": right(
            blank,
            first=["import warnings as w\nw.simplefilter('error')"],
            double="def double(x):\n    w.warn('old')\n    return 2 * x",
        ),
        "longdouble": right(blank, double=returning("y.astype(np.longdouble)")),
        "deque": right(blank, double=returning("deque(y)", "from collections import deque")),
        "array": right(blank, double=returning("array('d', y)", "from array import array")),
        "list": right(blank, double=returning("list(y)")),
        "threads_of_torch": right(blank, double=TORCH),
        "live_plot": right(blank, last=[LIVE]),
        "progress": right(blank, mean=PROGRESS + MEAN_CODE),
        "svg": right(blank, last=[f"%config InlineBackend.figure_formats = ['svg']\n{PLOT}"]),
        "retina": right(blank, last=[f"%config InlineBackend.figure_format = 'retina'\n{PLOT}"]),
        "large_picture": right(blank, last=[LARGE]),
        "much_printing": right(blank, last=["for i in range(20): print('x' * 200_000)", PLOT]),
        "printing_beside": right(blank, last=[f"print('x' * 2_000_000)\n{PLOT}"]),
        "import_in_setup": changed(
            right(
                blank,
                double="def double(x):\n    return math.fsum([x, x]) if np.ndim(x) == 0 else 2 * x",
            ),
            "setup",
            lambda text: f"{text}\nimport math",
        ),
        "older_copy_below": copied(right(blank), "double", "def double(x):\n    return x"),
        "lambda_without_mark": moved(right(blank, double="double = lambda x: 2 * x"), "double"),
        "timed_without_mark": moved(right(blank, double=f"%%time\n{DOUBLE_CODE}"), "double"),
        "words_without_mark": moved(right(blank), "written"),
    }


def at(notebook, name):
    return next(i for i, cell in enumerate(notebook["cells"]) if grade_id(cell) == name)


def changed(notebook, name, change):
    cell = notebook["cells"][at(notebook, name)]
    cell["source"] = change("".join(cell["source"]))
    return notebook


def copied(notebook, name, text):
    cell = notebook["cells"][at(notebook, name)]
    notebook["cells"].append({**cell, "source": text, "id": "a-copy"})
    return notebook


def moved(notebook, name):
    cell = notebook["cells"][at(notebook, name)]
    cell.update(metadata={}, id="another")
    return notebook


class Class:
    """One batch with all of them."""

    def __init__(self, root):
        self.course, assignment, kit = make_course(root / "course")
        self.honest = honest(released(self.course))
        for name, notebook in self.honest.items():
            hand_in(self.course, name, notebook)
        rows = grade_all(self.course, assignment, kit, workers=2)
        self.rows = {row.student: row for row in rows}

    def outputs(self, name):
        cells = nbformat.read(graded(self.course, name), as_version=4).cells
        return [output for cell in cells for output in cell.get("outputs", [])]

    def pictures(self, name):
        found = [output.get("data", {}).get("image/png") for output in self.outputs(name)]
        return [picture for picture in found if picture]


@pytest.fixture(scope="module")
def batch(tmp_path_factory):
    return Class(tmp_path_factory.mktemp("honest"))


@pytest.mark.parametrize("name", list(honest({"cells": source().cells})))
def test_honest_work_has_its_points(batch, name):
    row = batch.rows[name]
    assert (row.status, row.score) == ("graded", ALL), row


@pytest.mark.parametrize(
    "name", ["live_plot", "svg", "retina", "large_picture", "much_printing", "printing_beside"]
)
def test_a_picture_is_there_whatever_its_form_and_whatever_was_printed(batch, name):
    (picture,) = batch.pictures(name)
    assert len(picture) > (1_500_000 if name == "large_picture" else 1_000)


def test_an_animation_is_no_flood_and_leaves_its_end(batch):
    said = "".join(output.get("text", "") for output in batch.outputs("live_plot"))
    assert "step 29" in said and "step 28" not in said


def test_work_without_a_mark_is_said_and_words_wait_for_a_person(batch):
    for name in ("lambda_without_mark", "timed_without_mark", "words_without_mark"):
        assert "had lost its mark" in batch.rows[name].reason
    text = json.loads(graded(batch.course, "words_without_mark").read_text())
    assert ["So."] in [cell["source"] for cell in text["cells"] if grade_id(cell) == "written"]
