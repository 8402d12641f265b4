"""`run.py homework …`: the commands of a term, each of which may be run again at any time.

Each says in a table what it did. What was done before is left alone; what was interrupted is
finished by the same command.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from grading.course import ROOT, Course, GradingError, assignments
from grading.faults import in_words
from grading.files import replace
from grading.sandbox.walls import NoSandbox
from grading.term.roster import read_roster

__all__ = ["main"]

# Where the output goes to a file, nobody needs lines of eighty characters.
console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)


def release(options: argparse.Namespace, course: Course) -> int:
    """write what students get to notebooks/homework, without solutions and hidden tests"""
    from grading.term.release import release

    rows = []
    with bar("release", len(options.names)) as step:
        for assignment in options.names:
            changed = release(course, assignment)
            rows.append((assignment.notebook, f"written: {changed}" if changed else "as it was"))
            step()
    show(("homework", "what was done"), rows)
    return 0


def archive(options: argparse.Namespace, course: Course) -> int:
    """pack the student edition: the course without the sources of homework, as a zip file"""
    from grading.term.release import archive

    names = archive(options.target)
    size = options.target.stat().st_size / 1e6
    show(("file", "what is in it"), [(str(options.target), f"{len(names)} files, {size:.1f} MB")])
    return 0


def collect(options: argparse.Namespace, course: Course) -> int:
    """take what was handed in from folders and zip files (or --exchange), and say whose it is"""
    from grading.term.collect import collect
    from grading.term.exchange import inbound

    course.prepare()
    if not options.places and not options.exchange:
        raise GradingError(
            "collect: name the folder or zip file that your platform exported, or use --exchange"
        )
    with bar("collect") as step:
        log = collect(
            course,
            options.places,
            read_roster(course.roster_file),
            assignments(),
            options.only[0] if options.only else None,
            lambda path: step(),
            inbound(course) if options.exchange else None,
        )
    show(
        ("file", "student", "homework", "what was done"),
        [
            (
                one.path,
                one.student,
                one.homework,
                f"{one.status}: {one.reason}" if one.reason else one.status,
            )
            for one in log
        ],
    )
    summary(one.status for one in log)
    if any(one.status == "left aside" for one in log):
        console.print(f"What was left aside is kept in {course.root / 'collected' / 'left_aside'}.")
    console.print("Next: `run.py homework grade`.")
    return 0


def grade(options: argparse.Namespace, course: Course) -> int:
    """run what was collected in the sandbox, and write down the points"""
    from grading.run.batch import grade
    from grading.term.release import bring_up_to_date

    course.prepare()
    roster = read_roster(course.roster_file)
    rows, failed, waiting = [], False, False
    for assignment in options.names:
        students = course.submissions(assignment.id)
        if not students:
            continue
        with bar(f"grade {assignment.id}", len(students)) as step:
            bring_up_to_date(course, assignment)
            done = grade(
                course,
                assignment,
                roster,
                workers=options.workers,
                scheduler=options.scheduler,
                protected=not options.unprotected,
                progress=lambda row: step(),
            )
        for row in done:
            possible = (row.most or 0) - row.by_hand
            points = "" if row.score is None else f"{row.score:g} of {possible:g}"
            waiting |= bool(row.by_hand)
            rows.append(
                (
                    assignment.id,
                    row.student,
                    points,
                    f"{row.status}: {row.reason}" if row.reason else row.status,
                )
            )
            failed |= row.status == "failed"
    if not rows:
        raise GradingError("grade: nothing was collected yet; use `run.py homework collect`")
    show(("homework", "student", "points by machine", "what was done"), rows)
    summary(row[3].partition(":")[0] for row in rows)
    if waiting:
        console.print("Next: `run.py homework by-hand` for the figure and the written answer,")
        console.print("or `run.py homework feedback` for what is known so far.")
    return int(failed)


def feedback(options: argparse.Namespace, course: Course) -> int:
    """write a page for each student: each task, its points, the sentence that helps"""
    from grading.term.exchange import hand_back
    from grading.term.feedback import feedback

    course.prepare()
    roster, rows = read_roster(course.roster_file), []
    for assignment in options.names:
        graded = list(course.root.glob(f"autograded/*/{assignment.id}"))
        if not graded:
            continue
        with bar(f"feedback {assignment.id}", len(graded)) as step:
            done = feedback(course, assignment, roster, lambda student: step())
        if options.exchange:
            pages = [student for student, what in done if not what.startswith("failed")]
            handed = dict(hand_back(course, assignment, pages))
            done = [(student, handed.get(student, what)) for student, what in done]
        rows += [(assignment.id, student, what) for student, what in done]
    if not rows:
        raise GradingError("feedback: nothing is graded yet; use `run.py homework grade`")
    show(("homework", "student", "what was done"), rows)
    summary(row[2].partition(":")[0] for row in rows)
    console.print(f"The pages lie in {course.root / 'feedback'}.")
    return int(any(row[2].startswith("failed") for row in rows))


def export(options: argparse.Namespace, course: Course) -> int:
    """write a table of all grades as CSV: a row for everybody in the roster"""
    from grading.term.export import export, to_csv

    course.prepare()
    rows = export(course, options.names, read_roster(course.roster_file))
    target = options.target or course.root / "grades.csv"
    replace(target, to_csv(rows).encode("utf-8-sig"))  # so that spreadsheets see UTF-8
    named = [a.id for a in options.names]
    lines = [
        [row["id"], row["name"], *(in_short(row, name) for name in named), row["total"]]
        for row in rows
    ]
    show(["id", "name", *named, "total"], lines)
    console.print(
        "* points by hand are to come, ? not graded, 0! not run, ! left aside: look at it,"
    )
    console.print("– nothing handed in, · not due yet.")
    console.print("Days late and all else are in the table that was written:")
    console.print(str(target), soft_wrap=True)
    return 0


def in_short(row: Mapping[str, str], homework: str) -> str:
    """How a homework stands, in a few letters: a term of them fits into a terminal."""
    points, status = row[f"{homework}_points"], row[f"{homework}_status"]
    signs = {"by hand": f"{points}*", "unreadable": "0!", "graded": points, "not graded": "?"}
    signs |= {"left aside": "!", "not due": "·"}
    return signs.get(status, "–")


def by_hand(options: argparse.Namespace, course: Course) -> int:
    """open the form grader, for the figure and the written answer"""
    course.prepare()
    as_root = ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    os.chdir(course.root)
    console.print("In JupyterLab: menu Nbgrader, Formgrader, Manual Grading. Ctrl-C here ends it.")
    os.execv(
        sys.executable,
        [sys.executable, "-m", "jupyterlab", *as_root, f"--ServerApp.root_dir={course.root}"],
    )


# --- what all commands share ----------------------------------------------------------------------


class bar:
    """A progress bar that is taken away at the end; ``step()`` is one thing done."""

    def __init__(self, title: str, total: int | None = None) -> None:
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self.task = self.progress.add_task(title, total=total)

    def __enter__(self):
        self.progress.start()
        return lambda: self.progress.advance(self.task)

    def __exit__(self, *error) -> None:
        self.progress.stop()


def summary(statuses: Iterable[str]) -> None:
    """How often each thing was done, in one line."""
    counts = Counter(statuses)
    console.print(", ".join(f"{count} {status}" for status, count in counts.items()) or "nothing")


def show(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column)
    for row in rows:
        # What a stranger named a file is text, not markup.
        table.add_row(*(str(cell).replace("[", r"\[") for cell in row))
    console.print(table)


# Long because every command has its options here, one after the other.
def parser() -> argparse.ArgumentParser:
    about = (__doc__ or "").partition("\n")[0]
    top = argparse.ArgumentParser(prog="run.py homework", description=about)
    top.add_argument(
        "--course",
        type=Path,
        default=ROOT / "gradebook",
        metavar="FOLDER",
        help="the course folder (default: gradebook)",
    )
    commands = top.add_subparsers(metavar="command", required=True)
    made = {}
    for command in (release, archive, collect, grade, by_hand, feedback, export):
        name = command.__name__.replace("_", "-")
        made[command] = commands.add_parser(name, help=command.__doc__, description=command.__doc__)
        made[command].set_defaults(run=command, names=[], only=[])
    for command in (release, grade, feedback, export):
        made[command].add_argument("names", nargs="*", metavar="hwNN", help="all if none is named")
    made[archive].add_argument(
        "target", nargs="?", type=Path, default=ROOT / "dist" / "descent-students.zip"
    )
    made[collect].add_argument("places", nargs="*", type=Path, metavar="FOLDER or ZIP")
    made[collect].add_argument(
        "--only", nargs=1, metavar="hwNN", default=[], help="take every notebook for this homework"
    )
    made[collect].add_argument(
        "--exchange", action="store_true", help="from nbgrader's exchange on JupyterHub"
    )
    made[feedback].add_argument(
        "--exchange", action="store_true", help="and give the pages back through the exchange"
    )
    made[grade].add_argument(
        "--workers",
        type=int,
        default=max(1, (os.cpu_count() or 2) - 1),
        help="submissions at one time (default: one less than processors)",
    )
    made[grade].add_argument("--scheduler", metavar="ADDRESS", help="of a Dask cluster")
    made[grade].add_argument(
        "--unprotected",
        action="store_true",
        help="run strangers' code with your own rights (see docs/security.md)",
    )
    made[export].add_argument(
        "--target", type=Path, help="default: grades.csv in the course folder"
    )
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        for name in ("names", "only"):
            chosen = getattr(options, name)
            setattr(options, name, assignments(chosen) if chosen or name == "names" else [])
        return options.run(options, Course(options.course.resolve()))
    except (GradingError, NoSandbox, ValueError) as error:
        print(f"run.py homework: {error}", file=sys.stderr)
        return 1
    except Exception as error:
        why = in_words(error)
        if why is None:
            raise
        print(f"run.py homework: {why}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return 130
