"""Who is in the course, and whose a file is, whatever the learning platform made of its name.

`roster.csv` in the course folder has a line of headings and a line for each student. `id` and
`name` are needed; each further column (email, the platform's own number) helps to recognise files.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from grading.course import GradingError, Roster

__all__ = ["owner", "read_roster"]


def read_roster(path: Path) -> Roster:
    """The students in a roster.

    Raises GradingError if the file is missing, not UTF-8, lacks a column, or names an id twice.
    """
    if not path.is_file():
        raise GradingError(
            f"{path} is missing: a table of who takes part, saved as CSV, with "
            "the headings id,name and one line for each student"
        )
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:  # spreadsheets write a BOM
            sample = file.read(2000)
            file.seek(0)
            separator = max(",;\t", key=sample.partition("\n")[0].count)
            lines = list(csv.DictReader(file, delimiter=separator))
    except UnicodeDecodeError:
        raise GradingError(f"{path} is not UTF-8: save it as `CSV UTF-8`") from None
    roster = {}
    for number, line in enumerate(lines, 2):
        line = {
            (k or "").strip().casefold(): (v or "").strip()
            for k, v in line.items()
            if isinstance(v, str)
        }
        if not {"id", "name"} <= set(line):
            raise GradingError(
                f"{path}: expected the headings id and name, got " + ", ".join(filter(None, line))
            )
        if not any(line.values()):
            continue
        student = line["id"]
        if not re.fullmatch(r"[\w.@+-]+", student) or student.startswith("."):
            raise GradingError(
                f"{path}, line {number}: {student!r} cannot be an id; letters, "
                "digits and . @ + - _ can"
            )
        if student in roster:
            raise GradingError(f"{path}, line {number}: the id {student} is there twice")
        roster[student] = line
    return roster


def owner(path: Iterable[str], roster: Roster) -> tuple[str | None, str]:
    """Whose a file is, by the names of its folders and its own; (None, reason) if nobody's.

    The id counts before the other columns. Upper case, accents' encoding, blanks and punctuation
    do not matter: `lovelaceada_51_hw02.ipynb` and `Ada Lovelace_51_file/…` are Ada Lovelace's.
    """
    said = set()
    for part in path:
        words = _words(part)
        said |= {
            "".join(words[i:j])
            for i in range(len(words))
            for j in range(i + 1, i + 7)
            if j <= len(words)
        }
    columns = list(dict.fromkeys(["id", *(c for line in roster.values() for c in line)]))
    for column in columns:
        found = [
            student
            for student, line in roster.items()
            if _keys(column, line.get(column, "")) & said
        ]
        if len(found) == 1:
            return found[0], ""
        if found:
            return None, f"by {column} it may be of {' or '.join(found[:3])}"
    return None, "no student of the roster is named in its path"


def _keys(column: str, value: str) -> set[str]:
    words = _words(value)
    if len("".join(words)) < 2 and column != "id":  # a single letter is in every path
        return set()
    keys = {"".join(words)} - {""}
    if column == "name" and len(words) > 1:  # Canvas puts the family name first
        keys.add("".join([words[-1], *words[:-1]]))
    return keys


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", text).casefold())
