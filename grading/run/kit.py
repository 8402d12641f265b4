"""What it takes to grade one homework, in one parcel that can travel to another machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from nbgrader.api import Gradebook

from grading.cells import grade_id, is_answer, mark
from grading.course import Assignment, Course
from grading.sandbox.walls import Limits

__all__ = ["Kit", "full_tests", "kit_of", "public_files"]


@dataclass(frozen=True)
class Kit:
    """All that is needed to grade submissions of one notebook, here or on another machine.

    notebook : its name, such as hw02_numerical.
    master : the notebook as handed out, with the full tests (nbformat 4, as a dictionary).
    files : public files beside it: ``{name: bytes}``; both kernels can read them.
    sources, seed : for hidden tests, seen by the tests' kernel alone: files of the sources'
        folder by their paths in it, and the seed of the hidden inputs.
    limits : what a submission may use.
    protected : False runs everything with the instructor's rights.
    """

    notebook: str
    master: dict[str, Any]
    files: Mapping[str, bytes] = field(default_factory=dict)
    sources: Mapping[str, bytes] = field(default_factory=dict)
    seed: int = 0
    limits: Limits = Limits()
    protected: bool = True


def kit_of(
    course: Course,
    assignment: Assignment,
    gradebook: Gradebook,
    limits: Limits,
    protected: bool,
) -> Kit:
    """The kit of a homework that was released into the course folder.

    Raises GradingError if grading.toml cannot be read, FileNotFoundError if nothing is released.
    """
    made = course.release(assignment.id)
    released = nbformat.read(made / assignment.file, as_version=4)
    exercises = assignment.folder / "exercises.py"
    return Kit(
        notebook=assignment.notebook,
        master=full_tests(released, gradebook, assignment),
        files=public_files(made),
        sources={f"{assignment.notebook}/exercises.py": exercises.read_bytes()},
        seed=course.settings["seed"],
        limits=limits,
        protected=protected,
    )


def public_files(release: Path) -> dict[str, bytes]:
    """What students get beside the notebook: of a homework's folder in `release`."""
    files = [path for path in sorted(release.iterdir()) if path.suffix != ".ipynb"]
    return {path.name: path.read_bytes() for path in files if path.is_file()}


def full_tests(
    released: dict[str, Any], gradebook: Gradebook, assignment: Assignment
) -> dict[str, Any]:
    """The released notebook with its full tests, which the gradebook keeps.

    released : the notebook as handed out (nbformat 4, as a dictionary).
    """
    cells = []
    for cell in released["cells"]:
        if (name := grade_id(cell)) and not is_answer(cell):
            kept = gradebook.find_source_cell(name, assignment.notebook, assignment.id)
            marked = {**mark(cell), "checksum": kept.checksum}
            metadata = {**cell["metadata"], "nbgrader": marked}
            cell = {**cell, "source": kept.source, "metadata": metadata}
        cells.append(cell)
    return {**released, "cells": cells}
