"""`release`: from the sources to what students get, without a line of a solution.

nbgrader clears solutions and hidden tests and writes down each cell in the gradebook; the tables
of the visible checks are computed here. The result is the same to the last byte each time, on
every machine: numbers that differ by rounding alone keep the form in which they were stored.
`archive` packs the student edition.
"""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import nbformat
import numpy as np
from nbformat import NotebookNode
from nbgrader.apps import NbGraderAPI

from course_utils.exercises import table
from grading.cells import grade_id, is_answer
from grading.course import KERNELSPEC, RELEASED, ROOT, Assignment, Course, GradingError
from grading.files import replace

__all__ = ["archive", "bring_up_to_date", "leaks", "release", "solution_lines"]


def release(course: Course, assignment: Assignment, folder: Path = RELEASED) -> str:
    """Write notebook and table of one homework to `folder`; say what changed, "" if nothing.

    Raises GradingError if the source does not fit together, or something of a solution is left.
    """
    bring_up_to_date(course, assignment, folder)
    made = course.release(assignment.id)
    changed = []
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(made.iterdir()):
        target = folder / path.name
        if not target.exists() or target.read_bytes() != path.read_bytes():
            replace(target, path.read_bytes())
            changed.append(path.name)
    return ", ".join(changed)


def bring_up_to_date(course: Course, assignment: Assignment, stored: Path = RELEASED) -> None:
    """Bring source and release of one homework in the course folder, and its gradebook, up to date.

    Nothing is done where the source is as it was. `stored` is where an earlier table may lie.
    """
    course.prepare()
    source = nbformat.read(assignment.source, as_version=4)
    _check(assignment, source)
    there = course.root / "source" / assignment.id
    made = course.release(assignment.id)
    there.mkdir(parents=True, exist_ok=True)
    as_it_was = [
        _copy(assignment.source.read_bytes(), there / assignment.source.name),
        _copy(_table(assignment, stored), there / f"{assignment.notebook}.json"),
    ]
    finished = made / assignment.file
    if all(as_it_was) and finished.exists() and _in_gradebook(course, assignment):
        return
    finished.unlink(missing_ok=True)
    done = NbGraderAPI(config=course.config()).generate_assignment(assignment.id, force=True)
    if not done["success"]:
        raise GradingError(_reason(assignment, done))
    notebook = _canonical(nbformat.read(finished, as_version=4))
    for path in made.iterdir():  # nbgrader copies whatever lies in the folder
        if path.name not in (finished.name, f"{assignment.notebook}.json"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    replace(finished, _to_bytes(notebook))
    if left := leaks(assignment, made):
        finished.unlink()
        raise GradingError(f"{assignment.id}: what students would get holds {left[0]}")


def solution_lines(assignment: Assignment) -> set[str]:
    """The lines that no student may see: of solutions, written answers and hidden tests."""
    secret, shown = set(), ""
    marked = re.compile(r"### BEGIN (SOLUTION|HIDDEN TESTS)\n(.*?)### END \1", re.DOTALL)
    for cell in nbformat.read(assignment.source, as_version=4).cells:
        parts = [found[2] for found in marked.finditer(cell.source)]
        if not parts and is_answer(cell):
            parts = [cell.source]
        else:
            shown += marked.sub("", cell.source)
        secret |= {line for part in parts for line in _lines(part)}
    code = (assignment.folder / "exercises.py").read_text(encoding="utf-8")
    for exercise in assignment.exercises.values():
        shown += "".join(sentence for _, sentence in exercise.mistakes.values())
    secret |= set(_lines(code))
    # What is said in the open as well, or is as short as `)`, gives nothing away.
    return {line for line in secret if len(line) > 15 and line.strip('"(), ') not in shown}


def leaks(assignment: Assignment, folder: Path) -> list[str]:
    """The secret lines that occur in the files of `folder`, each with the file's name."""
    secret = solution_lines(assignment)
    found = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        text = _readable(path.read_bytes())
        found += [f"{line!r} in {path.name}" for line in sorted(secret) if line in text]
    return found


def _readable(content: bytes) -> str:
    """A file's text, and the same as JSON and HTML are read."""
    text = content.decode("utf-8", errors="replace")
    try:
        read = json.dumps(json.loads(text), ensure_ascii=False).replace('\\"', '"')
    except ValueError:
        read = ""
    return "\n".join([text, read, html.unescape(text)])


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _check(assignment: Assignment, source: NotebookNode) -> None:
    """Each exercise needs its three cells, and each test cell its exercise."""
    cells = {name: cell for cell in source.cells if (name := grade_id(cell))}
    ends = ("", "-visible", "-hidden")
    wanted = {f"{name}{end}" for name in assignment.exercises for end in ends}
    wanted |= {"setup", "plot", "answer"}
    if missing := sorted(wanted - set(cells)):
        raise GradingError(
            f"{assignment.source.name} has no cell {missing[0]!r} (nbgrader's cell "
            f"ID, in its panel Create Assignment)"
        )
    if unknown := sorted(set(cells) - wanted):
        raise GradingError(
            f"{assignment.source.name} has a cell {unknown[0]!r}, for which "
            "exercises.py has no exercise"
        )
    for name in assignment.exercises:
        call = f'hidden("{assignment.notebook}", "{name}", {name})'
        if call not in cells[f"{name}-hidden"].source:
            raise GradingError(f"{assignment.source.name}: the cell {name}-hidden must call {call}")


def _table(assignment: Assignment, stored: Path) -> bytes:
    """The file of visible checks; the stored one, if the numbers differ by rounding alone."""
    number = int(assignment.id[2:])
    try:
        tables = {
            name: table.tabulate(exercise, np.random.default_rng([number, place]))
            for place, (name, exercise) in enumerate(assignment.exercises.items())
        }
    except ValueError as error:
        raise GradingError(f"{assignment.id}: {error}") from None
    new = table.to_text(tables)
    path = stored / f"{assignment.notebook}.json"
    if path.is_file():
        old = path.read_text(encoding="utf-8")
        if table.agree(json.loads(old), json.loads(new)):
            return old.encode("utf-8")
    return new.encode("utf-8")


def _canonical(notebook: NotebookNode) -> NotebookNode:
    """Without what differs from one machine to the next."""
    notebook.metadata = nbformat.from_dict(
        {"kernelspec": KERNELSPEC, "language_info": {"name": "python", "file_extension": ".py"}}
    )
    for cell in notebook.cells:
        kept = {
            k: v
            for k, v in cell.metadata.items()
            if k in ("deletable", "editable", "nbgrader", "tags")
        }
        cell.metadata = nbformat.from_dict(kept)
    return notebook


def _to_bytes(notebook: NotebookNode) -> bytes:
    text = nbformat.writes(notebook, version=nbformat.NO_CONVERT, indent=1, ensure_ascii=False)
    return (text.rstrip("\n") + "\n").encode("utf-8")


def _in_gradebook(course: Course, assignment: Assignment) -> bool:
    known = NbGraderAPI(config=course.config()).get_assignment(assignment.id)
    return bool(known) and known["max_score"] > 0


def _reason(assignment: Assignment, done: dict) -> str:
    """The last line of nbgrader's log that says something, for its reader."""
    said = [line for line in (done.get("error") or done["log"]).splitlines() if line.strip()]
    if any("there are submissions associated" in line for line in said):
        return (
            f"{assignment.id}: its source has other cells than when submissions were graded. "
            "Undo that, or start a new course folder"
        )
    return f"{assignment.id}: nbgrader says: {said[-1] if said else 'nothing'}"


def _copy(content: bytes, target: Path) -> bool:
    """Write `content` to `target`; True if it was there already."""
    if target.exists() and target.read_bytes() == content:
        return True
    replace(target, content)
    return False


def archive(target: Path, root: Path = ROOT) -> list[str]:
    """Pack the student edition: what git has committed, without what .gitattributes leaves out.

    Returns the names in it. The same commit gives the same bytes. Raises GradingError where git
    has no commit to pack.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.new")
    # What git does not know may be private: a roster, a folder of submissions.
    command = ["git", "archive", "--format=zip", "--prefix=descent/", f"--output={beside}", "HEAD"]
    try:
        subprocess.run(command, cwd=root, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        beside.unlink(missing_ok=True)
        raise GradingError(
            "archive: git must know which files belong to the course: run this in "
            "a clone of the repository"
        ) from None
    with zipfile.ZipFile(beside) as packed:
        names = [name for name in packed.namelist() if not name.endswith("/")]
    os.replace(beside, target)
    return [name.removeprefix("descent/") for name in names]
