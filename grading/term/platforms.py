"""What a learning platform's names say of an upload: who, when, and which part the student chose.

Each platform writes folders or file names of its own around what the student uploaded. A reader
here takes a path apart into the platform's part, which can be trusted, and the student's own, which
cannot: no work is given to somebody for what the uploader called it, and no date in it counts.

=============  ================================================================  ==================
platform       its names                                                         the time
=============  ================================================================  ==================
nbgrader       ``ID+hw01+2027-03-08 12:00:00 UTC+…/`` (the exchange's inbound)   in the name
Moodle         ``Ada Lovelace_81_assignsubmission_file_/…``, or as a prefix      not told
Blackboard     ``hw01_USER_attempt_2027-03-08-12-00-00_…``                       in the name, local
Canvas         ``lovelaceada_LATE_4711_815_hw01-1.ipynb``                        late or not, alone
by hand        a folder or file named after the student by whoever collected it  not told
=============  ================================================================  ==================
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

__all__ = ["Upload", "read"]


@dataclass(frozen=True)
class Upload:
    """What a path says.

    platform : its name, "" where no platform wrote the path.
    ids : what the platform calls the student by: a user name, an id of its own.
    name : the student's name as the platform wrote it, "" where it did not.
    said : the part in which whoever collected by hand named the student.
    own : what the student chose: names of files and of folders in their own zip file.
    when : the time of the upload, None where the platform does not tell.
    late : whether the platform says late; None where it says nothing of the kind.
    attempt : which upload of a file of the same name.
    """

    platform: str = ""
    ids: tuple[str, ...] = ()
    name: str = ""
    said: str = ""
    own: tuple[str, ...] = ()
    when: datetime | None = None
    late: bool | None = None
    attempt: int = 0


def read(parts: Sequence[str], names: Callable[[str], bool]) -> Upload:
    """What the parts of a path say, the outermost first: the first that says whose it is counts.

    names : whether a part that is no platform's has a student's name in it.
    """
    for place, part in enumerate(parts):
        inner = tuple(parts[place + 1 :])
        read = [reader(part, inner) for reader in (_nbgrader, _moodle, _blackboard, _canvas)]
        if found := [upload for upload in read if upload is not None]:
            # What a student chose follows; it may look like another platform's name, further in.
            return max(found, key=lambda upload: len("".join(upload.own)))
        if names(part):
            return Upload(said=part, own=inner)
    return Upload()


def _nbgrader(part: str, inner: tuple[str, ...]) -> Upload | None:
    found = re.fullmatch(
        r"([^+]+)\+[^+]+\+(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?:\.\d+)? (?:UTC|\+0000)(?:\+.*)?", part
    )
    if not found or not inner:
        return None
    when = _time(found[2], "%Y-%m-%d %H:%M:%S")
    when = when.replace(tzinfo=UTC) if when else None
    return Upload("nbgrader", ids=(found[1],), own=inner, when=when)


def _moodle(part: str, inner: tuple[str, ...]) -> Upload | None:
    found = re.fullmatch(r"(.+?)_(\d+)_assignsubmission_(?:file|onlinetext)_?(.*)", part)
    if not found:
        return None
    own = tuple(filter(None, [found[3], *inner]))
    return Upload("Moodle", ids=(found[2],), name=found[1], own=own)


def _blackboard(part: str, inner: tuple[str, ...]) -> Upload | None:
    found = re.fullmatch(r"(.+)_attempt_(\d{4}(?:-\d\d){5})(?:_(.*)|\.txt)?", part)
    if not found:
        return None
    # The first date: a student may write another one behind it.
    first = re.match(r"(.+?)_attempt_(\d{4}(?:-\d\d){5})(?:_(.*)|\.txt)?$", part) or found
    words = first[1].split("_")  # the homework's title and the user name may have blanks like these
    ids = tuple("_".join(words[start:]) for start in range(1, len(words))) or (first[1],)
    when = _time(first[2], "%Y-%m-%d-%H-%M-%S")
    own = tuple(filter(None, [first[3], *inner]))
    return Upload("Blackboard", ids=ids, own=own, when=when.astimezone(UTC) if when else None)


def _canvas(part: str, inner: tuple[str, ...]) -> Upload | None:
    found = re.fullmatch(r"(\w+?)(_late)?_(\d+)_(\d+)_(.+)", part, flags=re.IGNORECASE)
    if not found:
        return None
    again = re.search(r"-(\d{1,3})(?:\.\w+)?$", found[5])  # Canvas counts uploads of one name
    return Upload(
        "Canvas",
        ids=(found[3],),
        name=found[1],
        own=(found[5], *inner),
        late=found[2] is not None,
        attempt=int(again[1]) if again else 0,
    )


def _time(text: str, form: str) -> datetime | None:
    """A date as it is written; None where there is no such day."""
    try:
        return datetime.strptime(text, form)
    except ValueError:
        return None
