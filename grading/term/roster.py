"""Who is in the course, and whose a file is, whatever the learning platform made of its name.

`roster.csv` in the course folder has a line of headings and a line for each student. `id` and
`name` are needed; each further column (email, the platform's own number) helps to recognise files.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from grading.course import GradingError, Roster
from grading.term.platforms import Upload, read

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


def owner(parts: Sequence[str], roster: Roster) -> tuple[str | None, str, Upload]:
    """Whose an upload is, by what the platform wrote; None and the reason if not one student's.

    parts : of its path, the outermost first.

    What the student chose, such as the name of the file, decides nothing; if it names somebody
    else, nobody gets the file, and the reason names both.
    """
    upload = read(parts, lambda part: bool(_students_in(part, roster, by_hand=True)))
    if upload.platform:
        found, how = _by_platform(upload, roster)
    else:
        found, how = _students_in(upload.said, roster, by_hand=True), f"the name {upload.said!r}"
    if len(found) != 1:
        if found:
            return None, f"by {how} it may be of {' or '.join(sorted(found)[:3])}", upload
        who = upload.name or (upload.ids[-1] if upload.ids else "")
        said = f"{upload.platform} calls its student {who!r}; " if who else ""
        return None, f"{said}no student of the roster is named in its path", upload
    (student,) = found
    others = _named_in(upload.own, roster) - {student}
    if others:
        other = " or ".join(sorted(others)[:3])
        return None, f"by {how} it is of {student}, but what was uploaded names {other}", upload
    return student, "", upload


def _by_platform(upload: Upload, roster: Roster) -> tuple[set[str], str]:
    """The students whom the platform's part may mean, and by what."""
    by_id = {
        student
        for student, line in roster.items()
        for column, value in line.items()
        if value
        and column != "name"
        # A number of the platform's is not one of the university's that happens to be equal.
        and not (column == "id" and upload.platform in ("Canvas", "Moodle"))
        and any(_squashed(value) == _squashed(one) for one in upload.ids)
    }
    if not upload.name:
        return by_id, f"{upload.platform}'s user name"
    wanted = _squashed(upload.name)
    names = {wanted, _squashed(upload.name.partition("-")[2])} - {""}  # Moodle: "Group A-Ada …"
    by_name = {s for s, line in roster.items() if names & _forms(line.get("name", ""))}
    if by_name and by_id:
        both = by_name & by_id
        return both or by_name | by_id, f"{upload.platform}'s name and number"
    how = f"{upload.platform}'s name" if by_name else f"{upload.platform}'s number"
    return by_name or by_id, how


def _named_in(parts: Sequence[str], roster: Roster) -> set[str]:
    """Students whom names that a student chose are about; one part may name nobody or several."""
    named: set[str] = set()
    for part in parts:
        found = _students_in(part, roster, by_hand=False)
        if len(found) == 1:
            named |= found
    return named


def _students_in(part: str, roster: Roster, by_hand: bool) -> set[str]:
    """The students whose id, name or other column stands in a part, as words of their own.

    A bare number stands in many a name (`hw01 (1).ipynb`): one of fewer than five digits counts
    where whoever collected by hand wrote nothing else, and what a student chose says it in words.
    """
    words, alone = _words(part), _squashed(part.removesuffix(".ipynb").removesuffix(".zip"))
    ends = range(1, 7)  # words of a name
    spans = {"".join(words[i : i + n]) for i in range(len(words)) for n in ends}

    def counts(form: str) -> bool:
        if form.isdigit():
            return by_hand and (len(form) >= 5 or form == alone)
        return len(form) > 1 or (by_hand and form == alone)

    found = set()
    for student, line in roster.items():
        for column, value in line.items():
            forms = _forms(value) if column == "name" else {_squashed(value)}
            if any(counts(form) for form in forms & spans):
                found.add(student)
    return found


def _forms(name: str) -> set[str]:
    """A name as platforms squash it: each rotation of its words, with and without accents."""
    words = _words(name)
    turned = ["".join(words[i:] + words[:i]) for i in range(len(words))]
    return {form for text in turned for form in (text, _without_accents(text)) if len(form) > 1}


def _squashed(text: str) -> str:
    return "".join(_words(text))


def _without_accents(text: str) -> str:
    apart = unicodedata.normalize("NFD", text)
    plain = "".join(c for c in apart if not unicodedata.combining(c))
    return unicodedata.normalize("NFC", plain)


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", text).casefold())
