"""Stored notebooks, saved in other forms: a figure keeps its alt text, a script is Python."""

import ast
import html
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tools.environment import ROOT

LESSONS = sorted((ROOT / "notebooks").glob("0*.ipynb"))
pytestmark = pytest.mark.slow


def exported(path, form, folder):
    command = [sys.executable, "-m", "nbconvert", "--to", form, "--output-dir", str(folder)]
    subprocess.run([*command, str(path)], check=True, capture_output=True)
    (made,) = Path(folder).iterdir()
    return made


def alt_texts(path):
    """The alt texts of all pictures that a notebook stores."""
    cells = nbformat.read(path, as_version=4).cells
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return [o.metadata["image/png"]["alt"] for o in outputs if "image/png" in o.get("data", {})]


@pytest.mark.parametrize("path", [LESSONS[2], LESSONS[5]], ids=lambda path: path.stem)
def test_a_saved_page_has_the_alt_text_of_every_figure(path, tmp_path):
    page = exported(path, "html", tmp_path).read_text(encoding="utf-8")
    images = re.findall(r"<img\b[^>]*>", page)
    found = [html.unescape(re.search(r'alt="([^"]*)"', image)[1]) for image in images]
    assert alt_texts(path) and set(alt_texts(path)) <= set(found)
    assert not any("No description" in text or not text for text in found)


def test_a_script_is_a_python_file(tmp_path):
    made = exported(LESSONS[2], "script", tmp_path)
    assert made.suffix == ".py"
    ast.parse(made.read_text(encoding="utf-8"))
