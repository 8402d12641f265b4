"""Intake: a submission is rebuilt from the notebook that was handed out.

Taken from what a student hands in is the text of answer cells and of cells of their own, nothing
else: no metadata, no outputs, no tests, no other file. So nothing forged survives, and much that
is broken is mended on the way: every repair is noted in words.
"""

from __future__ import annotations

import ast
import html
import json
import math
import os
import re
import resource
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from grading.cells import grade_id, is_answer, is_by_hand, is_setup, is_test

__all__ = ["LARGEST", "Unreadable", "rebuild", "take"]

MB = 1024**2
LARGEST = 256 * MB  # bytes of a file; outputs may be large, and are left out
PLAIN = 16 * MB  # up to here a file is read here; beyond, by a helper with limited memory
LONGEST_CELL = 200_000  # characters
MOST_CELLS = 1_000
HELPER_SECONDS = 60
HELPER_MEMORY = 2048 * MB


class Unreadable(ValueError):
    """A submission from which nothing can be taken; its text says why."""


def take(path: Path) -> bytes:
    """The bytes of a submitted file. Raises Unreadable: a link, no file, too large."""
    try:
        # Not through a link, and not waiting for a writer that never comes.
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        raise Unreadable("No notebook was handed in under this name.") from None
    except OSError as error:
        if path.is_symlink():
            raise Unreadable(
                "The notebook is a link to another file; links are not followed."
            ) from None
        raise Unreadable(f"The notebook cannot be opened: {error.strerror}.") from None
    status = os.fstat(handle)
    regular = stat.S_ISREG(status.st_mode)
    if not regular or status.st_size > LARGEST:
        os.close(handle)
        raise Unreadable(
            f"The notebook is larger than {LARGEST // MB} MB."
            if regular
            else "What was handed in under the notebook's name is no file."
        )
    with os.fdopen(handle, "rb") as file:
        return file.read(LARGEST)


def rebuild(master: dict[str, Any], submitted: bytes) -> tuple[dict[str, Any], list[str]]:
    """The master notebook with a student's answers and extra cells in it, and what was mended.

    Parameters
    ----------
    master : the notebook as handed out, with its full tests (nbformat 4, as a dictionary).
    submitted : the bytes of the file that came back.

    Raises
    ------
    Unreadable : nothing can be taken from it.
    """
    cells, notes = _cells_of(submitted)
    rebuilt = [
        _extra(cell) if original is None else _ours(original, cell)
        for original, cell in _in_order(master["cells"], cells, notes)
    ]
    for number, cell in enumerate(rebuilt):
        cell.setdefault("id", f"own-{number}")  # the student's own; the others keep theirs
    return {**master, "cells": rebuilt, "nbformat": 4, "nbformat_minor": 5}, notes


def _ours(original: dict[str, Any], answer: dict[str, str] | None) -> dict[str, Any]:
    """A cell of the master's, with a student's text in it where there is one."""
    cell = json.loads(json.dumps(original))
    if cell["cell_type"] == "code":
        cell.update(outputs=[], execution_count=None)
    if answer is not None and answer["source"] != _text(original):
        code = cell["cell_type"] == "code"
        cell["source"] = answer["source"] if code else _harmless(answer["source"])
    return cell


# ------------------------------------------------------------------ reading


def _cells_of(submitted: bytes) -> tuple[list[dict[str, str]], list[str]]:
    """Type, text, grade id and id of each cell, whatever state the file is in."""
    if len(submitted) <= PLAIN:
        return _read(submitted)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "grading.run.intake", str(HELPER_MEMORY)],
            input=submitted,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=HELPER_SECONDS,
        )
        told = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError):
        raise Unreadable("The notebook takes too much memory or time to read.") from None
    if "unreadable" in told:
        raise Unreadable(told["unreadable"])
    return told["cells"], told["notes"]


def _read(submitted: bytes) -> tuple[list[dict[str, str]], list[str]]:
    notes: list[str] = []
    if not submitted.strip(b"\0 \t\r\n"):
        raise Unreadable("The file is empty.")
    if submitted.startswith(b"PK\x03\x04"):
        raise Unreadable("The file is a zip archive, not a notebook.")
    text = _decode(submitted, notes)
    try:
        data = json.loads(text)
    except RecursionError:
        raise Unreadable("The file is nested too deeply to be a notebook.") from None
    except ValueError as error:
        data = _first_object(text, notes, error)
    if not isinstance(data, dict):
        raise Unreadable("The file is not a notebook: it has no cells.")
    cells = data.get("cells")
    if not isinstance(cells, list):  # nbformat 3 and older kept them on worksheets
        sheets = data.get("worksheets")
        sheets = sheets if isinstance(sheets, list) else []
        cells = [c for s in sheets if isinstance(s, dict) for c in s.get("cells") or []]
        if not cells:
            raise Unreadable("The file is not a notebook: it has no cells.")
        notes.append("The notebook was in an old format; its cells were taken over.")
    found = [cell for cell in map(_cell, cells) if cell]
    if len(found) < len(cells):
        notes.append(f"{len(cells) - len(found)} cells could not be read and were left out.")
    if len(found) > MOST_CELLS:
        notes.append(f"The notebook has {len(found):,} cells; only the first {MOST_CELLS:,} count.")
    return found[:MOST_CELLS], notes


def _decode(submitted: bytes, notes: list[str]) -> str:
    if submitted.startswith((b"\xff\xfe", b"\xfe\xff")):
        notes.append("The file was in UTF-16; it was read as that.")
        return submitted.decode("utf-16", "replace")
    try:
        return submitted.decode("utf-8-sig")
    except UnicodeDecodeError:
        notes.append("The file was not in UTF-8; some letters may have changed.")
        return submitted.decode("cp1252", "replace")


def _first_object(text: str, notes: list[str], error: ValueError) -> Any:
    """The notebook at the head of a file with something behind it; two copies pasted together."""
    try:
        data, end = json.JSONDecoder(strict=False).raw_decode(text.lstrip("\ufeff \t\r\n"))
    except (ValueError, RecursionError):
        detail = getattr(error, "msg", "numbers that are too long")
        line = getattr(error, "lineno", None)
        where = f" in line {line}" if line is not None else ""
        raise Unreadable(f"The file is damaged{where}: {detail}.") from None
    notes.append("The file was damaged; its readable part was taken.")
    return data


def _cell(cell: Any) -> dict[str, str] | None:
    if not isinstance(cell, dict):
        return None
    text = cell.get("source", cell.get("input"))
    if isinstance(text, list) and all(isinstance(line, str) for line in text):
        text = "".join(text)
    if not isinstance(text, str) or len(text) > LONGEST_CELL:
        return None
    # Half a character (a lone surrogate) cannot be written to a file.
    text = text.encode("utf-8", "replace").decode()
    metadata = cell.get("metadata")
    nbgrader = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    name = nbgrader.get("grade_id") if isinstance(nbgrader, dict) else None
    return {
        "type": "code" if cell.get("cell_type") == "code" else "markdown",
        "source": text,
        "grade_id": name if isinstance(name, str) else "",
        "id": cell["id"] if isinstance(cell.get("id"), str) else "",
    }


# ------------------------------------------------------------------ sorting


def _in_order(originals, cells, notes) -> list[tuple[Any, Any]]:
    """All cells in the order in which the student's notebook runs: the master's cell, the text.

    A cell of the student's own has no master's; one of the master's whose text counts has no
    student's. What the student's kernel had when a test was run, it has here: every changed copy of
    a cell runs in its place. Only two things move, so that nobody loses what they wrote: a set-up
    cell goes before the answers that need it, and a test behind the answers that it needs.
    """
    chosen = _chosen(originals, cells, notes)
    placed: dict[int, int] = {}  # the master's cell → its position in the student's notebook
    found: list[tuple[tuple[float, int, int], tuple[Any, Any]]] = []
    for position, cell in enumerate(cells):
        index, counts = chosen.get(position, (None, False))
        if index is not None and counts:
            placed[index] = position
            if _is_theirs(originals[index]) or cell["type"] != "code":
                continue
        if cell["source"].strip() and (index is None or _changed(originals[index], cell)):
            rank = 0 if index is None else 1 if is_setup(originals[index]) else -1
            found.append(((position, rank, 0), (None, cell)))
    free = any(index not in chosen for index, cell in enumerate(cells) if cell["source"].strip())
    places = _places(originals, placed)
    for index, original in enumerate(originals):
        answer = cells[placed[index]] if index in placed and _is_theirs(original) else None
        if answer is None and is_answer(original) and free:
            answer = _unfound(original)
        found.append((places[index], (original, answer)))
    return [item for _, item in sorted(found, key=lambda each: each[0])]


def _places(originals, placed: dict[int, int]) -> list[tuple[float, int, int]]:
    """Where each cell of the master's goes: a position in the student's notebook, and a rank there.

    One that is missing goes before the next that is there, behind all of the student's between.
    """
    keys: list[tuple[float, int]] = []
    for index in range(len(originals)):
        later = (p for i, p in placed.items() if i > index)
        keys.append((placed[index], 0) if index in placed else (min(later, default=math.inf), -1))
    answers = {i: keys[i] for i, original in enumerate(originals) if is_answer(original)}
    for index, original in enumerate(originals):
        if is_setup(original):
            keys[index] = min([keys[index], *(key for i, key in answers.items() if i > index)])
        elif is_test(original):
            keys[index] = max([keys[index], *(key for i, key in answers.items() if i < index)])
    return [(*key, index) for index, key in enumerate(keys)]


def _unfound(original: dict[str, Any]) -> dict[str, str]:
    """What stands for an answer that was not found, where a cell of the student's may hold it.

    Not the text that was handed out: it would undo what that cell defines, and count as not done
    where a person gives the points.
    """
    words = "(This answer was not found; a cell of the student's own may hold it.)"
    return {"source": f"# {words}" if original["cell_type"] == "code" else words}


def _chosen(originals, cells, notes) -> dict[int, tuple[int, bool]]:
    """Position in the student's notebook → the master's cell that stands there; whether it counts.

    Of several copies one counts; the others are code that ran.
    """
    chosen: dict[int, tuple[int, bool]] = {}
    matches = _matches(originals, cells)
    for index, positions in matches.items():
        original = originals[index]
        chosen.update(dict.fromkeys(positions, (index, False)))
        changed = [p for p in positions if _changed(original, cells[p])]
        if is_answer(original):
            chosen[_counting(originals, index, changed or positions, matches)] = (index, True)
        else:
            chosen[positions[0]] = (index, True)
        if is_answer(original) and len(changed) > 1:
            notes.append(
                f"The answer {grade_id(original)} was there more than once; all copies ran, "
                "each in its place."
            )
        elif changed and grade_id(original) and original["cell_type"] == "code":
            if not is_answer(original):
                notes.append(
                    f"The cell {grade_id(original)} was changed: the given one counts, "
                    "and the changed one ran, too."
                )
    done = {i for p, (i, counts) in chosen.items() if counts and _changed(originals[i], cells[p])}
    for index, original in enumerate(originals):
        if is_answer(original) and index not in done:
            _find(originals, index, cells, chosen, notes, there=index in matches)
    for position, (index, counts) in chosen.items():
        cell, original = cells[position], originals[index]
        if counts and is_answer(original) and original["cell_type"] != cell["type"]:
            notes.append(
                f"The answer {grade_id(original)} was turned into a {cell['type']} "
                "cell; it was turned back."
            )
    return chosen


def _counting(originals, index, positions, matches) -> int:
    """Of several copies of an answer the last one that the answer's test saw."""
    tests = (i for i in range(index, len(originals)) if is_test(originals[i]) and i in matches)
    end = min(matches.get(next(tests, -1), [math.inf]))
    return max([p for p in positions if p < end], default=positions[-1])


def _find(originals, index, cells, chosen, notes, there: bool) -> None:
    """Give an answer that was lost, or not written in its own cell, to the cell that holds it."""
    original, name = originals[index], grade_id(originals[index])
    free = [p for p, cell in enumerate(cells) if p not in chosen and cell["source"].strip()]
    code = original["cell_type"] == "code"
    wanted = _defines(_text(original)) if code else set()
    fitting = [p for p in free if wanted & _defines(cells[p]["source"])]
    how = "name"
    if is_by_hand(original) or not (there or fitting):
        kind, how = original["cell_type"], "place"
        here = _around(originals, index, free, chosen)
        fitting = [p for p in here if cells[p]["type"] == kind] or here
        if not code and fitting:  # an answer in words may have several cells
            texts = [cells[p]["source"] for p in fitting]
            cells[fitting[-1]] = {**cells[fitting[-1]], "source": "\n\n".join(texts)}
    position = fitting[-1] if fitting else None
    if position is not None:
        for each in [p for p, (i, counts) in chosen.items() if i == index and counts]:
            chosen[each] = (index, False)
        chosen[position] = (index, True)
        lost = "stood in another cell" if there else "had lost its mark"
        notes.append(f"The answer {name} {lost}; it was found by its {how}.")
    elif not there:
        may = "was not found: a person should look" if free else "is missing; it counts as not done"
        notes.append(f"The answer {name} {may}.")


def _around(originals, index, free, chosen) -> list[int]:
    """Those of the free positions that lie where the master's cell should."""
    given = [(i, p) for p, (i, counts) in chosen.items() if counts and i != index]
    start = max([p for i, p in given if i < index], default=-1)
    end = min([p for i, p in given if i > index and p > start], default=math.inf)
    return [p for p in free if start < p < end]


def _matches(originals, cells) -> dict[int, list[int]]:
    """The master's cell → positions of those that are it, or copies of it."""
    by_grade_id = {grade_id(cell): i for i, cell in enumerate(originals) if grade_id(cell)}
    by_id = {cell["id"]: i for i, cell in enumerate(originals) if cell.get("id")}
    texts: dict[str | None, int] = {}
    for i, cell in enumerate(originals):
        texts.setdefault(_released(cell) or None, i)
    matches: dict[int, list[int]] = {}
    for position, cell in enumerate(cells):
        index = by_grade_id.get(cell["grade_id"], by_id.get(cell["id"]))
        index = texts.get(_plain(cell["source"])) if index is None else index
        if index is not None:
            matches.setdefault(index, []).append(position)
    return matches


def _is_theirs(original: dict[str, Any]) -> bool:
    """A cell of the master's whose text is the student's affair."""
    return is_answer(original) or not grade_id(original)


def _text(cell: Mapping[str, Any]) -> str:
    source = cell.get("source", "")
    return source if isinstance(source, str) else "".join(source)


def _plain(text: str) -> str:
    """Text without the spaces that an editor adds or takes away."""
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def _released(cell: Mapping[str, Any]) -> str:
    """A cell's text as students have it: without what is hidden in a test."""
    return _plain(_HIDDEN.sub("", _text(cell)))


_HIDDEN = re.compile(r"^[^\n]*### BEGIN HIDDEN TESTS.*?### END HIDDEN TESTS[^\n]*\n?", re.S | re.M)


def _changed(original: dict[str, Any], cell: dict[str, str]) -> bool:
    """Whether a student's copy says something, and something else than what was handed out."""
    return _released(cell) not in ("", _released(original))


_COMPOUND = (ast.If, ast.For, ast.While, ast.With, ast.Try)


def _defines(source: str) -> set[str]:
    """Names that a cell defines at its top: functions, classes, variables; magics are left out."""
    lines = [re.sub(r"^(\s*)[%!].*", r"\1pass", line) for line in source.splitlines()]
    try:
        nodes: list[Any] = list(ast.parse("\n".join(lines)).body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    names = set()
    for node in nodes:
        if isinstance(node, _COMPOUND):
            nodes += [n for n in ast.iter_child_nodes(node) if isinstance(n, ast.stmt)]
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            names |= {
                n.id
                for n in ast.walk(node)
                if isinstance(getattr(n, "ctx", 0), ast.Store) and isinstance(n, ast.Name)
            }
    return names


# A link's target behind its text, in brackets or in a definition.
_TARGET = re.compile(r"\]\s*\((?P<inline>[^)]*)|\]:(?P<defined>\s*\S+)")
_GOOD = {"http", "https", "mailto", "attachment"}


def _harmless(source: str) -> str:
    """Markdown that a reader's browser can show: without HTML tags, and links to known kinds alone.

    A tag may hold a script, and so may a link: javascript:…
    """
    return _TARGET.sub(_known, re.sub(r"<(?=[A-Za-z/!?])", "&lt;", source))


def _known(link: re.Match[str]) -> str:
    """A link's beginning as it is, or, with a protocol that is not known, as plain text."""
    # As the reader of Markdown and the browser read it: \\: is a colon, and so is &colon;
    target = html.unescape(link["inline"] or link["defined"] or "")
    target = re.sub(r"\\(?=[!-/:-@\[-`{-~])|[\x00-\x20\x7f-\xa0<]", "", target)
    protocol, colon, _ = target.partition(":")
    if not colon or re.search(r"[/?#]", protocol) or protocol.casefold() in _GOOD:
        return link[0]
    return "] \\" + link[0][1:].lstrip()  # no longer what opens a link


def _extra(cell: dict[str, str]) -> dict[str, Any]:
    """A cell of the student's own, made afresh."""
    made = {"cell_type": cell["type"], "metadata": {}, "source": cell["source"]}
    if cell["type"] == "markdown":
        return {**made, "source": _harmless(cell["source"])}
    return {**made, "outputs": [], "execution_count": None}


def main() -> None:
    """Read one file from standard input within limits; tell what was found as JSON."""
    most = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CPU, (HELPER_SECONDS, HELPER_SECONDS))
    try:
        cells, notes = _read(sys.stdin.buffer.read())
        told: dict[str, Any] = {"cells": cells, "notes": notes}
    except Unreadable as error:
        told = {"unreadable": str(error)}
    except (MemoryError, RecursionError):
        told = {"unreadable": "The notebook takes too much memory to read."}
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main()
