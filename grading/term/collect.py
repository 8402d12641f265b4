"""`collect`: find what was handed in, say whose it is, and lose nothing.

Any learning platform's export will do: a folder or zip files, nested as they come. The notebook
itself tells which homework it is, its path whose. The bytes go to the course folder as they are;
they are not run, and a zip file is never unpacked to disk. What cannot be told is listed with the
reason and kept.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

import nbformat
from nbgrader.apps import NbGraderAPI

from grading.cells import grade_id
from grading.course import TIMESTAMP, Assignment, Course, GradingError, Roster
from grading.files import replace
from grading.term.roster import owner

__all__ = ["Handed", "collect", "from_exchange"]

LARGEST = 200 * 1024**2  # bytes of one file
DEEPEST = 3  # zip files in zip files
IGNORED = re.compile(r"(^|/)(\.[^/.][^/]*|__MACOSX|__pycache__|Thumbs\.db)(/|$)")
TIMES = re.compile(r"\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d")  # Blackboard's, in its names


@dataclass(frozen=True)
class Handed:
    """One file that was found. `status`: collected, as before, older, or left aside.

    when : ISO 8601, in UTC.
    reason : why it was left aside, or "".
    """

    path: str
    student: str
    homework: str
    when: str
    status: str
    reason: str = ""


@dataclass(frozen=True)
class _File:
    """`path` is for people and for `owner`; `trouble` says why there is no content."""

    path: PurePosixPath
    when: datetime
    content: bytes | None
    trouble: str = ""


def collect(
    course: Course,
    places: list[Path],
    roster: Roster,
    assignments: list[Assignment],
    only: Assignment | None = None,
    progress: Callable[[str], None] = lambda path: None,
) -> list[Handed]:
    """Take what lies in `places` (folders, zip files, notebooks) into the course folder.

    The newest attempt of each student counts; every other is kept in `collected/attempts`. With
    `only`, each notebook is taken for this homework. Doing it again changes nothing.

    Raises GradingError if a place is not there.
    """
    ids = {a.id: a for a in assignments}
    cells = {a.id: _grade_ids(a) for a in assignments}
    log = []
    for place in places:
        if not place.exists():
            raise GradingError(f"{place} is not there: name a folder, a zip file or a notebook")
        for file in _files(place):
            progress(str(file.path))
            log.append(_take(course, file, roster, ids, cells, only))
    replace(
        course.root / "collected" / "last.json",
        json.dumps([asdict(one) for one in log], indent=1, ensure_ascii=False).encode(),
    )
    return log


def from_exchange(course: Course, assignments: list[Assignment]) -> list[tuple[str, str]]:
    """Collect from nbgrader's exchange, as JupyterHub has it; a row for each homework.

    Raises GradingError if the exchange cannot be used.
    """
    rows = []
    for assignment in assignments:
        done: Any = NbGraderAPI(config=course.config()).collect(assignment.id, update=True)
        if not done["success"]:
            said = [line for line in done["log"].splitlines() if line.strip()]
            raise GradingError(f"{assignment.id}: the exchange says: {said[-1] if said else '?'}")
        rows.append((assignment.id, f"{len(course.submissions(assignment.id))} submissions"))
    return rows


def _take(course, file, roster, ids, cells, only) -> Handed:
    """Put one file in its place and say what was done."""
    when = file.when.astimezone(UTC).isoformat(timespec="seconds")
    student, reason = owner(file.path.parts, roster)
    homework = only.id if only else _homework(file, cells)
    reason = file.trouble or reason
    if not reason and file.path.suffix != ".ipynb":
        reason = "it is no notebook"
    if not reason and not homework:
        reason = "neither its cells nor its name say which homework it is"
    if reason or file.content is None or student is None or homework is None:
        if file.content is not None:
            digest = hashlib.sha256(file.content).hexdigest()[:12]
            replace(
                course.root / "collected" / "left_aside" / f"{digest}-{file.path.name[-80:]}",
                file.content,
            )
        return Handed(str(file.path), student or "", homework or "", when, "left aside", reason)

    digest = hashlib.sha256(file.content).hexdigest()[:12]
    moment = file.when.astimezone(UTC).strftime("%Y-%m-%d-%H%M%S")
    attempts = course.root / "collected" / "attempts" / student / homework
    known = sorted(attempts.glob(f"*-{digest}.ipynb")) if attempts.is_dir() else []
    if known and known[0].name[:17] <= moment:  # downloaded again: the first time counts
        attempt = known[0]
    else:
        attempt = attempts / f"{moment}-{digest}.ipynb"
        replace(attempt, file.content)
        for later in known:
            later.unlink()
    newest = max(attempts.glob("*.ipynb"))
    status = "as before" if _hand_over(course, student, ids[homework], newest) else "collected"
    if newest != attempt:
        status = "older"
    return Handed(str(file.path), student, homework, when, status)


def _hand_over(course: Course, student: str, assignment: Assignment, attempt: Path) -> bool:
    """Make `attempt` the submission that is graded; True if it is already."""
    folder = course.submitted(student, assignment.id)
    notebook, stamp = folder / assignment.file, folder / TIMESTAMP
    moment = datetime.strptime(attempt.name[:17], "%Y-%m-%d-%H%M%S")
    text = f"{moment:%Y-%m-%d %H:%M:%S} UTC\n".encode()  # nbgrader's form
    content = attempt.read_bytes()
    if (
        notebook.is_file()
        and notebook.read_bytes() == content
        and stamp.is_file()
        and stamp.read_bytes() == text
    ):
        return True
    stamp.unlink(missing_ok=True)  # interrupted from here on, it is not taken for handed over
    replace(notebook, content)
    replace(stamp, text)
    return False


def _homework(file: _File, cells: dict[str, set[str]]) -> str | None:
    """Which homework it is: by the names of its cells; if they cannot be read, by its own."""
    try:
        found = {
            c["metadata"]["nbgrader"]["grade_id"]
            for c in json.loads(file.content or b"")["cells"]
            if "nbgrader" in c.get("metadata", {})
        }
        shared = {name: len(found & known) for name, known in cells.items()}
        best = max(shared, key=lambda name: shared[name])
        if shared[best] > len(cells[best]) / 2:
            return best
    except (TypeError, ValueError, KeyError, AttributeError, RecursionError):
        pass
    named = [
        n for n in dict.fromkeys(re.findall(r"hw\d\d", str(file.path).casefold())) if n in cells
    ]
    return named[-1] if named else None  # the innermost name


def _grade_ids(assignment: Assignment) -> set[str]:
    source = nbformat.read(assignment.source, as_version=4)
    return {name for cell in source.cells if (name := grade_id(cell))}


def _files(place: Path) -> Iterator[_File]:
    """Every file below `place`, in zip files too; links are not followed."""
    if place.is_file():
        yield from _opened(PurePosixPath(place.name), place)
        return
    for folder, folders, names in os.walk(place):
        folders.sort()
        for name in sorted(names):
            path = Path(folder) / name
            shown = PurePosixPath(path.relative_to(place).as_posix())
            if not IGNORED.search(str(shown)):
                yield from _opened(shown, path)


def _opened(shown: PurePosixPath, path: Path) -> Iterator[_File]:
    if path.is_symlink() or not path.is_file():
        when = datetime.now(UTC)
        yield _File(shown, when, None, "it is a link or no ordinary file")
        return
    when = _time_in(shown) or datetime.fromtimestamp(int(path.stat().st_mtime), UTC)
    if path.stat().st_size > LARGEST:
        yield _File(shown, when, None, f"it is larger than {LARGEST >> 20} MB")
        return
    yield from _unpacked(shown, when, path.read_bytes())


def _unpacked(shown: PurePosixPath, when: datetime, content: bytes, depth: int = 0):
    """The file itself, or the files in it if it is a zip file."""
    if shown.suffix.casefold() != ".zip":
        yield _File(shown, when, content)
        return
    if depth == DEEPEST:
        yield _File(shown, when, content, f"zip files in zip files, more than {DEEPEST} deep")
        return
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            for info in sorted(packed.infolist(), key=lambda info: info.filename):
                inner = PurePosixPath(shown, *PurePosixPath(info.filename).parts)
                if info.is_dir() or IGNORED.search(info.filename):
                    continue
                at = _time_in(inner) or datetime(*info.date_time).astimezone(UTC)
                with packed.open(info) as member:
                    part = member.read(LARGEST + 1)
                if len(part) > LARGEST:
                    yield _File(inner, at, None, f"it is larger than {LARGEST >> 20} MB")
                else:
                    yield from _unpacked(inner, at, part, depth + 1)
    except (
        zipfile.BadZipFile,
        NotImplementedError,
        RuntimeError,
        ValueError,
        EOFError,
        OSError,
    ) as error:  # RuntimeError: it wants a password
        yield _File(shown, when, content, f"the zip file cannot be read: {error}")


def _time_in(path: PurePosixPath) -> datetime | None:
    """The time that a platform wrote into a name, in this machine's time zone."""
    found = TIMES.findall(str(path))
    try:
        return datetime.strptime(found[-1], "%Y-%m-%d-%H-%M-%S").astimezone(UTC) if found else None
    except ValueError:
        return None
