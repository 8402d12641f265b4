"""Intake: a submission is rebuilt from the notebook that was handed out.

Taken from what a student hands in is the text of answer cells and of cells of their own, nothing
else: no metadata, no outputs, no tests, no other file. So nothing forged survives, and much that
is broken is mended on the way: every repair is noted in words.
"""

from __future__ import annotations

import ast
import html
import json
import os
import re
import resource
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

from grading.cells import grade_id, is_answer

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
    answers, extras = _sort(master["cells"], cells, notes)
    rebuilt: list[dict[str, Any]] = [_extra(cell) for cell in extras.get(None, [])]
    for index, original in enumerate(master["cells"]):
        cell = json.loads(json.dumps(original))
        if cell["cell_type"] == "code":
            cell.update(outputs=[], execution_count=None)
        if answers.get(index, _text(original)) != _text(original):
            code = cell["cell_type"] == "code"
            cell["source"] = answers[index] if code else _harmless(answers[index])
        rebuilt.append(cell)
        rebuilt += [_extra(cell) for cell in extras.get(index, [])]
    for number, cell in enumerate(rebuilt):
        cell.setdefault("id", f"own-{number}")  # the student's own; the others keep theirs
    return {**master, "cells": rebuilt, "nbformat": 4, "nbformat_minor": 5}, notes


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


def _sort(originals, cells, notes):
    """Which cell answers which of the master's, and which are extras, and behind which cell."""
    chosen = _chosen(originals, cells, notes)
    answers: dict[int, str] = {}
    extras: dict[int | None, list[dict[str, str]]] = {}
    last: int | None = None
    for position, cell in enumerate(cells):
        index = chosen.get(position)
        if index is None:
            if cell["source"].strip():
                extras.setdefault(last, []).append(cell)
            continue
        last = index
        original = originals[index]
        if is_answer(original) or not grade_id(original):
            answers[index] = cell["source"]
        if is_answer(original) and original["cell_type"] != cell["type"]:
            notes.append(
                f"The answer {grade_id(original)} was turned into a {cell['type']} "
                "cell; it was turned back."
            )
    return answers, extras


def _chosen(originals, cells, notes) -> dict[int, int]:
    """Position in the student's notebook → the master's cell that stands there."""
    chosen: dict[int, int] = {}
    matches = _matches(originals, cells)
    for index, positions in matches.items():
        changed = [p for p in positions if cells[p]["source"] != _text(originals[index])]
        # Of several copies the last one that was changed is what the student's kernel had.
        chosen[(changed or positions)[-1]] = index
        if is_answer(originals[index]) and len(positions) > 1:
            notes.append(
                f"The answer {grade_id(originals[index])} was there more than once; "
                "the last one counts."
            )
        for position in positions:
            if not is_answer(originals[index]):
                chosen[position] = index  # copies of what was given say nothing
    for index, original in enumerate(originals):
        name = grade_id(original)
        if is_answer(original) and index not in matches:
            position = _defines_the_same(original, cells, chosen)
            if position is None:
                notes.append(f"The answer {name} is missing; it counts as not done.")
            else:
                chosen[position] = index
                notes.append(f"The answer {name} had lost its mark; it was found by its name.")
    return chosen


def _matches(originals, cells) -> dict[int, list[int]]:
    """The master's cell → positions of those that are it, or copies of it."""
    by_grade_id = {grade_id(cell): i for i, cell in enumerate(originals) if grade_id(cell)}
    by_id = {cell["id"]: i for i, cell in enumerate(originals) if cell.get("id")}
    texts: dict[str, int] = {}
    for i, cell in enumerate(originals):
        texts.setdefault(_text(cell), i)
    matches: dict[int, list[int]] = {}
    for position, cell in enumerate(cells):
        index = by_grade_id.get(cell["grade_id"], by_id.get(cell["id"], texts.get(cell["source"])))
        if index is not None:
            matches.setdefault(index, []).append(position)
    return matches


def _text(cell: dict[str, Any]) -> str:
    source = cell.get("source", "")
    return source if isinstance(source, str) else "".join(source)


def _functions(source: str) -> set[str]:
    try:
        return {n.name for n in ast.parse(source).body if isinstance(n, ast.FunctionDef)}
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()


def _defines_the_same(original, cells, chosen) -> int | None:
    """The last cell that defines the function which this answer was to define."""
    wanted = _functions(_text(original)) if original["cell_type"] == "code" else set()
    fitting = [
        position
        for position, cell in enumerate(cells)
        if position not in chosen and wanted & _functions(cell["source"])
    ]
    return fitting[-1] if fitting else None


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
