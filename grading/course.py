"""Where everything of a homework lies: the sources, what students get, and the course folder.

The sources in `homework/` hold solutions and hidden tests. `notebooks/homework/` holds what
students get. The course folder (`gradebook/`, never committed) is one of nbgrader's: submissions,
gradebook, feedback, and `grading.toml`, which holds the seed of the hidden tests.
"""

from __future__ import annotations

import os
import re
import secrets
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from traitlets.config import Config

from course_utils.exercises import Exercise
from grading.files import replace
from grading.inside.hidden import GradingError, exercises_in

__all__ = [
    "Assignment",
    "COURSE",
    "Course",
    "GradingError",
    "ROOT",
    "Roster",
    "assignments",
    "was_not_run",
]

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ROOT / "homework"
RELEASED = ROOT / "notebooks" / "homework"
COURSE = "descent"  # nbgrader's name of the course
REASON = "reason.txt"  # beside an autograded notebook: what is to be said of it
HANDED = "handed.json"  # beside a submission: what the platform told of when it came
TIMESTAMP = "timestamp.txt"  # beside a submission, in nbgrader's form: when it came
NOT_RUN = "NotRun"  # the error of every test of a submission that could not be run
MARK = "descent"  # in the metadata of an autograded notebook: what graders know of it
NOT_PROVEN = "NotProven"  # the error of a test that nothing shows to have passed
KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
Roster = Mapping[str, Mapping[str, str]]  # id → what the roster says, in its order
STUB = "raise NotImplementedError  # your code in place of this line"
TEXT_STUB = "*Your answer, in place of this line.*"

CONFIGURATION = """\
# How this course is graded. Nobody but graders may read this file: whoever knows the seed knows
# the inputs of the hidden tests. Keep it as long as the course runs; take a new one each term.
seed = {seed}

# The gradebook is a file beside this one. A database server, if several people grade at one time:
# gradebook = "postgresql+psycopg://USER:PASSWORD@HOST/DATABASE"

# When each homework is due, with time zone: hw01 = 2027-03-08T23:59:00+01:00
[due]

# Days that somebody was granted in addition: "ada hw01" = 2
[extra_days]
"""

FORM_GRADER = """\
# Written by `run.py homework`: the form grader, for what is graded by hand, reads it.
import os
from pathlib import Path

from grading.course import Course
from grading.run.nbgrader import safe_preprocessors

c = get_config()
c.CourseDirectory.root = os.path.dirname(os.path.abspath(__file__))
c.CourseDirectory.course_id = "{course}"
c.CourseDirectory.db_url = Course(Path(c.CourseDirectory.root)).gradebook  # as grading.toml says
# Its button Autograde runs submissions in the sandbox as well.
c.Autograde.autograde_preprocessors = safe_preprocessors()
c.TwoKernels.course = c.CourseDirectory.root
"""


@dataclass(frozen=True)
class Assignment:
    """One homework's sources: `folder` is homework/hwNN_topic."""

    folder: Path

    @property
    def id(self) -> str:
        """Its name in the gradebook: hw02."""
        return self.folder.name.partition("_")[0]

    @property
    def notebook(self) -> str:
        """The name of its notebook, without ending: hw02_numerical."""
        return self.folder.name

    @property
    def file(self) -> str:
        """The name of its notebook's file."""
        return f"{self.notebook}.ipynb"

    @property
    def source(self) -> Path:
        return self.folder / self.file

    @cached_property
    def exercises(self) -> dict[str, Exercise]:
        return exercises_in(self.folder)


def was_not_run(notebook: Mapping[str, Any]) -> bool:
    """Whether an autograded notebook is that of a submission which could not be run."""
    return bool(notebook.get("metadata", {}).get(MARK, {}).get("not_run"))


def assignments(names: Sequence[str] = (), sources: Path = SOURCES) -> list[Assignment]:
    """The assignments called by these names ("hw02" or "hw02_numerical"). No name: all.

    Raises GradingError if there is none of that name, or no sources at all.
    """
    known = [
        Assignment(folder) for folder in sorted(sources.glob("hw[0-9][0-9]_*")) if folder.is_dir()
    ]
    if not known:
        raise GradingError(
            f"no homework in {sources}: the student edition is without it; take "
            "the whole repository"
        )
    chosen = []
    for name in names:
        matches = [a for a in known if name in (a.id, a.notebook)]
        if not matches:
            raise GradingError(
                f"no homework is called {name!r}; there are: " + ", ".join(a.id for a in known)
            )
        chosen += matches
    return chosen or known


@dataclass(frozen=True)
class Course:
    """A course folder: `root`, laid out as nbgrader wants it, and the `sources` it uses."""

    root: Path
    sources: Path = SOURCES

    @property
    def roster_file(self) -> Path:
        return self.root / "roster.csv"

    @property
    def gradebook(self) -> str:
        """The address of nbgrader's database."""
        return self.settings.get("gradebook") or f"sqlite:///{self.root / 'gradebook.db'}"

    def submitted(self, student: str, homework: str) -> Path:
        return self.root / "submitted" / student / homework

    def autograded(self, student: str, homework: str) -> Path:
        return self.root / "autograded" / student / homework

    def feedback(self, student: str, homework: str) -> Path:
        return self.root / "feedback" / student / homework

    def release(self, homework: str) -> Path:
        """What students get: the notebook, and the public files beside it."""
        return self.root / "release" / homework

    def state(self, student: str, homework: str) -> Path:
        """What is known of a submission: how far it is, and its result until it is recorded."""
        return self.root / "grading" / homework / f"{student}.json"

    def submissions(self, homework: str) -> list[str]:
        """The students of whom there is a submission."""
        return sorted(
            path.parent.name for path in self.root.glob(f"submitted/*/{homework}") if path.is_dir()
        )

    def prepare(self) -> None:
        """Make the folder, its configuration and its gradebook, where they are not there yet."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.name == "posix" and (mode := self.root.stat().st_mode & 0o777) & 0o007:
            with suppress(PermissionError):  # another's, who has to see to it
                self.root.chmod(mode & 0o770)  # what students handed in is nobody else's
        path = self.root / "grading.toml"
        if not path.exists():
            seed = secrets.randbits(62)  # TOML's integers have 64 bits, with a sign
            replace(path, CONFIGURATION.format(seed=seed))
            path.chmod(0o600)
        replace(self.root / "nbgrader_config.py", FORM_GRADER.format(course=COURSE))
        # Here, because hidden tests need this module in a kernel of their own, and no database.
        from nbgrader.api import Gradebook

        with _own_programs():
            Gradebook(self.gradebook, COURSE).close()

    @cached_property
    def settings(self) -> MappingProxyType[str, Any]:
        """What grading.toml says. Raises GradingError if it cannot be read or has no seed."""
        path = self.root / "grading.toml"
        try:
            found = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise GradingError(f"{path}: {error}") from None
        if not isinstance(found.get("seed"), int):
            raise GradingError(f"{path}: expected a line `seed = ` and a whole number")
        for homework, due in found.get("due", {}).items():
            if not re.fullmatch(r"hw\d\d", homework) or getattr(due, "tzinfo", None) is None:
                raise GradingError(
                    f"{path}: expected a line like hw01 = 2027-03-08T23:59:00+01:00 "
                    f"under [due], got {homework} = {due}"
                )
        return MappingProxyType(found)

    def config(self) -> Config:
        """nbgrader's configuration for this course."""
        config = Config()
        config.CourseDirectory.root = str(self.root)
        config.CourseDirectory.course_id = COURSE
        config.CourseDirectory.db_url = self.gradebook
        config.ClearSolutions.code_stub = {"python": STUB}
        config.ClearSolutions.text_stub = TEXT_STUB
        return config


@contextmanager
def _own_programs() -> Iterator[None]:
    """Programs of this environment first: nbgrader starts `alembic` for a new database."""
    before = os.environ.get("PATH", "")
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), before])
    try:
        yield
    finally:
        os.environ["PATH"] = before
