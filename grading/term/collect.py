"""`collect`: find what was handed in, say whose it is, and lose nothing.

Any learning platform's export will do: a folder or zip files, nested as they come. The notebook
itself tells which homework it is; whose and when, the platform's part of its path (`platforms`).
The bytes go to the course folder as they are; they are not run, and a zip file is never unpacked to
disk. What cannot be told is listed with the reason and kept. Each file is for itself: one that is
damaged, odd or huge is left aside, and the others are taken.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from dataclasses import replace as replace_in
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import IO, Any

import nbformat

from grading.cells import grade_id
from grading.course import HANDED, TIMESTAMP, Assignment, Course, GradingError, Roster
from grading.files import replace
from grading.term.exchange import BESIDE, SECRET, belongs_to, secret_in
from grading.term.platforms import Upload
from grading.term.roster import owner

__all__ = ["Handed", "collect", "left_aside"]

MB = 1024**2
LARGEST = 100 * MB  # bytes of one file
OWN_FILES = 200  # in a student's own zip file, and
OWN_TOTAL = 200 * MB  # bytes of them together
KEPT_ASIDE = 10 * MB  # bytes of a file that is left aside and kept
DEEPEST = 3  # zip files in zip files
ASIDE = "left_aside.json"  # who handed in what could not be taken
LONGEST_NAME = 60  # characters of a name in left_aside
IGNORED = re.compile(r"(^|/)(\.[^/.][^/]*|__MACOSX|__pycache__|Thumbs\.db)(/|$)")
BROKEN = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError)
BROKEN += (ValueError, EOFError, OSError)


@dataclass(frozen=True)
class Handed:
    """One file that was found. `status`: collected, as before, older, or left aside.

    when : ISO 8601, in UTC; "late" or "in time" where the platform tells no more, "" where nothing.
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
    """`path` is for people and for `owner`; `trouble` says why it cannot be taken.

    seen : when the platform, or whoever collected, put it where it lies. It puts attempts in order
        where their times are not told; it is no time of handing in.
    account : whose folder it lies in, as the exchange's machine knows it; "" where it does not.
    secret : by what the exchange gives the page back, "" elsewhere.
    """

    path: PurePosixPath
    seen: datetime
    content: bytes | None
    trouble: str = ""
    account: str = ""
    secret: str = ""


def collect(
    course: Course,
    places: list[Path],
    roster: Roster,
    assignments: list[Assignment],
    only: Assignment | None = None,
    progress: Callable[[str], None] = lambda path: None,
    exchange: Path | None = None,
) -> list[Handed]:
    """Take what lies in `places` (folders, zip files, notebooks) into the course folder.

    exchange : the inbound folder of nbgrader's exchange, which is taken, too.

    The newest attempt of each student counts; every other is kept in `collected/attempts`. With
    `only`, each notebook is taken for this homework. Doing it again changes nothing.

    Raises GradingError if a place is not there.
    """
    for place in places:
        if not place.exists():
            raise GradingError(f"{place} is not there: name a folder, a zip file or a notebook")
    desk = _Desk(course, roster, {a.id: a for a in assignments}, only)
    log = []
    public = {f"{assignment.notebook}.json" for assignment in assignments}
    found = [*map(_files, places), *([_handed_in(exchange, public)] if exchange else [])]
    for file in chain.from_iterable(found):
        progress(str(file.path))
        log.append(desk.take(file))
    log = _for_the_same(log)
    text = json.dumps([asdict(one) for one in log], indent=1)  # ASCII: names may be no UTF-8
    replace(course.root / "collected" / "last.json", text)
    _remember_aside(course, log)
    return log


def _for_the_same(log: list[Handed]) -> list[Handed]:
    """Where all that was told is of one homework, the rest of the same upload is, too."""
    known = {one.homework for one in log if one.homework}
    if len(known) != 1:
        return log
    return [replace_in(one, homework=one.homework or next(iter(known))) for one in log]


def _remember_aside(course: Course, log: list[Handed]) -> None:
    """Add to what is known of files that were left aside: who handed in something, for what."""
    path = course.root / "collected" / ASIDE
    known = left_aside(course)
    new = {(one.student, one.homework) for one in log if one.status == "left aside" and one.student}
    if not new <= known:
        replace(path, json.dumps(sorted(known | new), indent=1) + "\n")


def left_aside(course: Course) -> set[tuple[str, str]]:
    """(student, homework) of all files that were left aside; "" where the homework is unknown."""
    try:
        found = json.loads((course.root / "collected" / ASIDE).read_text(encoding="utf-8"))
        return {(str(student), str(homework)) for student, homework in found}
    except (OSError, ValueError, TypeError):
        return set()


class _Desk:
    """Where each file is put in its place, and it is written down what was done."""

    def __init__(self, course: Course, roster: Roster, ids: dict[str, Assignment], only) -> None:
        self.course, self.roster, self.ids, self.only = course, roster, ids, only
        self.cells = {name: _grade_ids(assignment) for name, assignment in ids.items()}
        # One clock for all: a platform may be hours ahead, and then this is when each was seen.
        self.began = datetime.now(UTC)

    def take(self, file: _File) -> Handed:
        """Put one file in its place and say what was done; whatever it is, the next one follows."""
        shown = _printable(str(file.path))
        try:
            return self._take(file, shown)
        except Exception as error:  # a stranger's file: nobody knows what it may be
            return Handed(shown, "", "", "", "left aside", f"it cannot be taken: {error}"[:200])

    def _take(self, file: _File, shown: str) -> Handed:
        student, reason, upload = owner(PurePosixPath(shown).parts, self.roster)
        homework = self.only.id if self.only else self._homework(file)
        reason = file.trouble or reason
        if not reason and file.account in self.roster and file.account != student:
            reason = f"it says that it is {student}'s, and lies in {file.account}'s own folder"
        if not reason and file.path.suffix.casefold() != ".ipynb":
            reason = "it is no notebook"
        if not reason and not homework:
            reason = "neither its cells nor its name say which homework it is"
        if reason or file.content is None or student is None or homework is None:
            reason += self._keep_aside(file, shown)
            who = student or ""
            return Handed(shown, who, homework or "", _told(upload), "left aside", reason)
        attempts = _Attempts(self.course, student, homework, self.began)
        assignment = self.ids[homework]
        attempt = attempts.add(file, file.content, upload, assignment)
        newest = attempts.newest()
        changed = attempts.hand_over(assignment, newest)
        status = "collected" if changed else "as before"
        if newest != attempt:
            status = "older"
        return Handed(shown, student, homework, _told(upload), status)

    def _keep_aside(self, file: _File, shown: str) -> str:
        """Keep a copy, under a name that says whose it may be; "" or why there is none."""
        if file.content is None:
            return ""
        if len(file.content) > KEPT_ASIDE:
            return f" (not kept: larger than {KEPT_ASIDE // MB} MB)"
        digest = hashlib.sha256(file.content).hexdigest()[:12]
        name = re.sub(r"[^\w.+@-]+", "_", shown)[-LONGEST_NAME:]  # of folders, too: they say whose
        replace(self.course.root / "collected" / "left_aside" / f"{digest}-{name}", file.content)
        return ""

    def _homework(self, file: _File) -> str | None:
        """Which homework it is: by the names of its cells; if they cannot be read, by its own."""
        try:
            found = {
                c["metadata"]["nbgrader"]["grade_id"]
                for c in json.loads(file.content or b"")["cells"]
                if "nbgrader" in c.get("metadata", {})
            }
            shared = {name: len(found & known) for name, known in self.cells.items()}
            best = max(shared, key=lambda name: shared[name])
            if shared[best] > len(self.cells[best]) / 2:
                return best
        except (TypeError, ValueError, KeyError, AttributeError, RecursionError):
            pass
        named = re.findall(r"hw\d\d", str(file.path).casefold())
        named = [name for name in named if name in self.cells]
        return named[-1] if named else None  # the innermost name


class _Attempts:
    """All attempts of one student at one homework, each in a file of its own, and what is known."""

    def __init__(self, course: Course, student: str, homework: str, now: datetime) -> None:
        self.course, self.student, self.homework, self.now = course, student, homework, now
        self.folder = course.root / "collected" / "attempts" / student / homework
        self.list = self.folder / "attempts.json"
        try:
            found = json.loads(self.list.read_text("utf-8"))
        except (OSError, ValueError):
            found = None
        self.known: dict[str, dict[str, Any]] = found if isinstance(found, dict) else {}

    def add(self, file: _File, content: bytes, upload: Upload, assignment: Assignment) -> str:
        """Write an attempt down; its name. Downloaded again it is the same."""
        digest = hashlib.sha256(content).hexdigest()[:12]
        when = upload.when.isoformat(timespec="seconds") if upload.when else ""
        now = {
            "file": f"{digest}.ipynb",
            "when": when,
            "late": upload.late,
            "attempt": upload.attempt,
            "seen": min(file.seen, self.now).isoformat(timespec="seconds"),
            "named": file.path.stem.startswith(assignment.notebook),
            "secret": file.secret,
        }
        name = f"{digest} {when or upload.attempt}"
        old = self.known.get(name)
        if not (self.folder / now["file"]).is_file():
            replace(self.folder / now["file"], content)
        if old is None or _order(now) > _order(old):
            self.known[name] = now
            replace(self.list, json.dumps(self.known, indent=1, sort_keys=True))
        return name

    def newest(self) -> str:
        return max(self.known, key=lambda name: (*_order(self.known[name]), name))

    def hand_over(self, assignment: Assignment, attempt: str) -> bool:
        """Make an attempt the submission that is graded; False if it is already."""
        folder = self.course.submitted(self.student, self.homework)
        notebook = folder / assignment.file
        known = self.known[attempt]
        content = (self.folder / known["file"]).read_bytes()
        # nbgrader's form; nothing where nobody told the time.
        when = datetime.fromisoformat(known["when"]) if known["when"] else None
        stamp = f"{when:%Y-%m-%d %H:%M:%S} UTC\n" if when else None
        told = json.dumps({"when": known["when"], "late": known["late"]}) + "\n"
        files = {notebook: content, folder / TIMESTAMP: stamp, folder / HANDED: told}
        files[folder / SECRET] = known.get("secret") or None
        if all(_holds(path, text) for path, text in files.items()):
            return False
        (folder / HANDED).unlink(missing_ok=True)  # interrupted from here on, it is not handed over
        for path, text in files.items():
            if text is None:
                path.unlink(missing_ok=True)
            else:
                replace(path, text)
        return True


def _order(attempt: dict[str, Any]) -> tuple[Any, ...]:
    """Later attempts are larger: by the platform's time, else by when it was seen, its number.

    Of two in one upload the one that has the notebook's own name is larger.
    """
    return attempt["when"] or attempt["seen"], attempt["attempt"], attempt["named"]


def _holds(path: Path, content: bytes | str | None) -> bool:
    if content is None or not path.is_file():
        return content is None and not path.exists()
    return path.read_bytes() == (content.encode() if isinstance(content, str) else content)


def _told(upload: Upload) -> str:
    if upload.when:
        return upload.when.isoformat(timespec="seconds")
    return {None: "", True: "late", False: "in time"}[upload.late]


def _printable(text: str) -> str:
    """A name as text. Bytes that are no UTF-8 are read as a Korean Windows writes, or become ?."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        text = os.fsencode(text).decode("cp949", "replace")
    return "".join(c if c.isprintable() else "?" for c in text)


def _name_in(info: zipfile.ZipInfo) -> str:
    """A name in a zip file, which may say that it is UTF-8; else it is what a Windows wrote."""
    if info.flag_bits & 0x800 or info.filename.isascii():
        return info.filename
    raw = info.filename.encode("cp437", "replace")  # as it was read
    for coding in ("utf-8", "cp949"):
        try:
            return raw.decode(coding)
        except UnicodeDecodeError:
            continue
    return info.filename


def _grade_ids(assignment: Assignment) -> set[str]:
    source = nbformat.read(assignment.source, as_version=4)
    return {name for cell in source.cells if (name := grade_id(cell))}


def _files(place: Path) -> Iterator[_File]:
    """Every file below `place`, in zip files too; links are not followed."""
    if place.is_file():
        yield from _opened(PurePosixPath(place.name), place)
        return
    for folder, folders, names in os.walk(place, onerror=None):
        folders.sort()
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        for name in sorted(names + links):
            path = Path(folder) / name
            shown = PurePosixPath(path.relative_to(place).as_posix())
            if not IGNORED.search(str(shown)):
                yield from _opened(shown, path)


def _handed_in(inbound: Path, public: set[str]) -> Iterator[_File]:
    """Every file in the exchange's inbound folder but those that nbgrader and we put there."""
    for file in _files(inbound):
        folder, *inner = file.path.parts
        if len(inner) == 1 and inner[0] in {*BESIDE, *public}:
            continue
        upload = inbound / folder
        yield replace_in(file, account=belongs_to(upload), secret=secret_in(upload))


def _opened(shown: PurePosixPath, path: Path) -> Iterator[_File]:
    now = datetime.now(UTC)
    try:
        if path.is_symlink() or not path.is_file():
            yield _File(shown, now, None, "it is a link or no ordinary file")
            return
        status = path.stat()
        seen = datetime.fromtimestamp(max(int(status.st_mtime), 0), UTC)
        if shown.suffix.casefold() == ".zip":
            with path.open("rb") as file:
                yield from _unpacked(shown, seen, file, path.stat().st_size)
        elif status.st_size > LARGEST:
            yield _File(shown, seen, None, f"it is larger than {LARGEST // MB} MB")
        else:
            yield _File(shown, seen, path.read_bytes())
    except (OSError, OverflowError, ValueError) as error:
        yield _File(shown, now, None, f"it cannot be opened: {error}"[:200])


def _unpacked(
    shown: PurePosixPath, seen: datetime, file: IO[bytes], size: int, depth: int = 0
) -> Iterator[_File]:
    """The files in a zip file. The outermost is the platform's; those in it are the students'."""
    left, taken = OWN_TOTAL, 0
    try:
        packed = zipfile.ZipFile(file)
        members = sorted(packed.infolist(), key=lambda info: info.filename)
    except BROKEN as error:
        yield _File(shown, seen, _all_of(file, size), f"the zip file cannot be read: {error}"[:200])
        return
    with packed:
        for info in members:
            name = _name_in(info)
            inner = PurePosixPath(shown, *PurePosixPath(name.lstrip("/")).parts)
            if info.is_dir() or IGNORED.search(name):
                continue
            at = _dated(info, seen) if depth == 0 else seen
            taken += 1
            if depth and (taken > OWN_FILES or left <= 0):
                why = f"more than {OWN_FILES} files, or {OWN_TOTAL // MB} MB, in one zip file"
                yield _File(inner, at, None, why)
                return
            for one in _member(
                packed, info, inner, at, min(LARGEST, left) if depth else LARGEST, depth
            ):
                left -= len(one.content or b"")
                yield one


def _member(packed, info, inner, at, most, depth) -> Iterator[_File]:
    """One file of a zip file, or the files in it if it is one itself."""
    try:
        with packed.open(info) as member, tempfile.SpooledTemporaryFile(8 * MB) as copy:
            size = _copied(member, copy, most)
            if size is None:
                yield _File(inner, at, None, f"it is larger than {most // MB} MB")
            elif inner.suffix.casefold() != ".zip":
                copy.seek(0)
                yield _File(inner, at, copy.read())
            elif depth + 1 >= DEEPEST:
                why = f"zip files in zip files, more than {DEEPEST} deep"
                yield _File(inner, at, _all_of(copy, size), why)
            else:
                yield from _unpacked(inner, at, copy, size, depth + 1)  # pyright: ignore
    except BROKEN as error:  # RuntimeError: it wants a password
        yield _File(inner, at, None, f"it cannot be unpacked: {error}"[:200])


def _copied(source: IO[bytes], target: Any, most: int) -> int | None:
    """Copy at most so many bytes; how many, or None where there are more."""
    size = 0
    while part := source.read(MB):
        size += len(part)
        if size > most:
            return None
        target.write(part)
    return size


def _all_of(file: Any, size: int) -> bytes | None:
    """What is to be kept of a file that is left aside."""
    if size > KEPT_ASIDE:
        return None
    file.seek(0)
    return file.read()


def _dated(info: zipfile.ZipInfo, otherwise: datetime) -> datetime:
    """When the platform put a file into its zip file; a date may be none."""
    try:
        return datetime(*info.date_time).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return otherwise
