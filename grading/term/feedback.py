"""`feedback`: one page for each student: each task, its points, and the sentence that helps.

The page is made from the gradebook and the autograded notebook. It shows the student's code as
text and the student's figure as a picture, nothing else of what a notebook may hold, and no cell
of hidden tests.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import jinja2
import mistune
import nbformat
from markupsafe import Markup
from nbgrader.api import Gradebook, MissingEntry

from course_utils.exercises.homework import NotRight
from grading.cells import grade_id
from grading.course import (
    COURSE,
    NOT_PROVEN,
    NOT_RUN,
    REASON,
    TIMESTAMP,
    Assignment,
    Course,
    GradingError,
    Roster,
    was_not_run,
)
from grading.faults import in_words
from grading.files import replace
from grading.term.exchange import SECRET, secret_in

__all__ = ["Part", "Task", "feedback", "parts_of"]

PNG = b"\x89PNG\r\n\x1a\n"
SENTENCES = {  # what a failed test cell is called, if it is not one of our own sentences
    "NameError": "There is no function of this name: the cell was removed, renamed, or failed.",
    "CellTimeoutError": "It took too long.",
    "TimeoutError": "It took too long.",
}


@dataclass(frozen=True)
class Part:
    """One graded cell: visible or hidden inputs, figure or answer. score : None until graded."""

    title: str
    score: float | None
    most: float
    sentence: str


@dataclass(frozen=True)
class Task:
    """A function, the figure or the answer: its parts, and what the student wrote.

    picture : a PNG as base64, or "".
    hint : what to think of next, where the sentences alone do not tell.
    """

    title: str
    parts: list[Part]
    written: str = ""
    picture: str = ""
    comment: str = ""

    @property
    def hint(self) -> str:
        visible, *others = self.parts
        if others and visible.score == visible.most and others[0].score == 0:
            return (
                "Right on the inputs you can see, wrong on others: is there a case that your "
                "function leaves out, or a number in it that belongs to one input alone?"
            )
        return ""


def feedback(
    course: Course,
    assignment: Assignment,
    roster: Roster,
    progress: Callable[[str], None] = lambda student: None,
) -> list[tuple[str, str]]:
    """Write the page of every graded student; [(student, "written", "as before" or "failed: …")].

    What is the matter with one student's files stops no other's page. Raises GradingError if
    nothing of this homework is graded.
    """
    students = sorted(
        path.parent.name
        for path in course.root.glob(f"autograded/*/{assignment.id}")
        if (path / assignment.file).is_file()
    )
    if not students:
        raise GradingError(f"{assignment.id}: nothing is graded yet; use `run.py homework grade`")
    rows = []
    with closing(Gradebook(course.gradebook, COURSE)) as gradebook:
        for student in students:
            rows.append((student, _write(course, gradebook, assignment, student, roster)))
            progress(student)
    return rows


def _write(course, gradebook, assignment, student, roster) -> str:
    """Write one student's page, and say what was done."""
    path = course.feedback(student, assignment.id) / f"{assignment.notebook}.html"
    try:
        page = _page(course, gradebook, assignment, student, roster).encode("utf-8", "replace")
        _for_the_exchange(course, student, assignment.id)
        if path.is_file() and path.read_bytes() == page:
            return "as before"
        replace(path, page)
    except GradingError as why:
        return f"failed: {why}"
    except OSError as error:
        return f"failed: {in_words(error)}"
    except Exception as error:  # a file that is damaged may be damaged in any way
        return (
            f"failed: the graded notebook cannot be read ({type(error).__name__}); remove "
            f"{course.autograded(student, assignment.id)} and grade again"
        )
    return "written"


def _for_the_exchange(course, student, homework) -> None:
    """Put beside the page what `nbgrader release_feedback` reads; without it, it ends for all.

    The secret tells the exchange whose a page is. One that nobody knows is for work that came
    another way: nobody fetches its page there.
    """
    folder, submitted = course.feedback(student, homework), course.submitted(student, homework)
    known = secret_in(submitted)
    if secret_in(folder) and known in ("", secret_in(folder)):
        return
    stamp = submitted / TIMESTAMP
    replace(folder / TIMESTAMP, stamp.read_bytes() if stamp.is_file() else b"")
    replace(folder / SECRET, known or secrets.token_hex(64))


def _page(course, gradebook, assignment, student, roster) -> str:
    folder = course.autograded(student, assignment.id)
    reason = folder / REASON
    notes = reason.read_text(encoding="utf-8", errors="replace") if reason.is_file() else ""
    tasks = parts_of(course, gradebook, assignment, student)
    parts = [part for task in tasks for part in task.parts]
    waiting = any(part.score is None for part in parts)
    return PAGE.render(
        not_run=was_not_run(nbformat.read(folder / assignment.file, as_version=4)),
        homework=_title(assignment),
        name=roster.get(student, {}).get("name", student),
        notes=notes.strip(),
        tasks=tasks,
        waiting=waiting,
        score=sum(part.score or 0 for part in parts),
        most=sum(part.most for part in parts),
    )


def parts_of(course: Course, gradebook: Any, assignment: Assignment, student: str) -> list[Task]:
    """All tasks of one student's homework, with points and sentences.

    Raises GradingError if the gradebook does not know the submission.
    """
    path = course.autograded(student, assignment.id) / assignment.file
    found = nbformat.read(path, as_version=4).cells
    cells = {name: cell for cell in found if (name := grade_id(cell))}
    place = (assignment.notebook, assignment.id, student)
    try:
        known = gradebook.find_submission_notebook(*place)
    except MissingEntry:
        raise GradingError(
            f"{assignment.id}: {student} is not in the gradebook; grade again"
        ) from None
    grades = {grade.name: grade for grade in known.grades}

    def part(title, cell_id, sentence):
        grade = grades[cell_id]
        score = None if grade.needs_manual_grade or grade.score is None else grade.score
        return Part(title, score, grade.max_score, sentence)

    def text(cell_id):
        return cells[cell_id].source if cell_id in cells else ""

    def comment(cell_id):  # a grader's; nbgrader's own says "No response." for an empty cell
        return gradebook.find_comment(cell_id, *place).manual_comment or ""

    def of(name):
        parts = [
            part("inputs you can see", f"{name}-visible", _sentence(cells, f"{name}-visible")),
            part("other inputs", f"{name}-hidden", _sentence(cells, f"{name}-hidden")),
        ]
        return Task(name, parts, text(name), comment=comment(name))

    def by_hand(title, name, written, picture=""):
        return Task(title, [part("graded by hand", name, "")], written, picture, comment(name))

    words = text("answer").replace("&lt;", "<")  # `intake` took the tags' sting out; so does PAGE
    return [
        *map(of, assignment.exercises),
        by_hand("the figure", "plot", text("plot"), _picture(cells.get("plot"))),
        by_hand("your own words", "answer", words),
    ]


def _sentence(cells: dict, cell_id: str) -> str:
    """What a test cell says: that all is right, or the diagnosis. Never more than one sentence."""
    cell = cells.get(cell_id)
    for output in cell.outputs if cell else []:
        if output.output_type != "error":
            continue
        if output.ename == NotRight.__name__:
            return output.evalue
        if output.ename in (NOT_RUN, NOT_PROVEN):
            return f"✗ Not passed: {output.evalue}."
        if output.ename in SENTENCES:
            return f"✗ {SENTENCES[output.ename]}"
        # The text of an exception may hold an input; the visible ones are no secret.
        return f"✗ {output.ename}" + (f": {output.evalue}"[:300] if "visible" in cell_id else "")
    said = "".join(o.get("text", "") for o in cell.outputs) if cell else ""
    return said.strip()[:1000]


def _picture(cell) -> str:
    """The last PNG among a cell's outputs, if it is one."""
    for output in reversed(cell.outputs if cell else []):
        data = output.get("data", {}).get("image/png", "")
        try:
            if base64.b64decode("".join(data)).startswith(PNG):
                return "".join("".join(data).split())
        except ValueError:
            continue
    return ""


def _title(assignment: Assignment) -> str:
    first = nbformat.read(assignment.source, as_version=4).cells[0].source
    return first.splitlines()[0].lstrip("# ")


_markdown = mistune.create_markdown(escape=True)  # what is HTML stays text
_pages = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
_pages.filters["markdown"] = lambda text: Markup(_markdown(text))
PAGE = _pages.from_string("""\
<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
      content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{{ homework }}: {{ name }}</title>
<style>
  :root { color-scheme: light dark; --line: #8884; --soft: #8881; --good: #007a5a; --bad: #a63f00 }
  @media (prefers-color-scheme: dark) { :root { --good: #5fd0ac; --bad: #ff9d66 } }
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 46em; margin: 2em auto; padding: 0 1em }
  h1 { font-size: 1.5em; margin-bottom: 0 } h2 { font-size: 1.1em; margin: 2em 0 .3em }
  code, pre { font-family: ui-monospace, monospace; font-size: .88em }
  table { border-collapse: collapse; width: 100% }
  td { border-top: 1px solid var(--line); padding: .35em .8em .35em 0; vertical-align: top }
  td:first-child { width: 11em }
  td.points { text-align: right; white-space: nowrap; padding-right: 0;
              font-variant-numeric: tabular-nums }
  .good { color: var(--good) } .bad { color: var(--bad) }
  .total { font-size: 1.2em } .note { border-left: 4px solid var(--bad); padding: .2em .8em }
  .comment { border-left: 4px solid var(--good); padding: .2em .8em }
  pre { background: var(--soft); padding: .7em; overflow-x: auto; white-space: pre-wrap;
        overflow-wrap: anywhere; margin: .4em 0 }
  summary { cursor: pointer } img { max-width: 100%; background: white }
</style>
<h1>{{ homework }}</h1>
<p>{{ name }}</p>
<p class="total"><strong>{{ "%g" % score }} of {{ "%g" % most }} points</strong>\
{{ " so far; the part that is graded by hand is still to come" if waiting }}</p>
{% if notes %}
<div class="note">
{% if not_run %}
<p>What you handed in could not be run. Open it in JupyterLab; if it shows your work there,
save it and hand it in again.</p>
{% endif %}
{% for note in notes.splitlines() %}
<p>{{ note }}</p>
{% endfor %}
</div>
{% endif %}
{% for task in tasks if not not_run %}
<h2><code>{{ task.title }}</code></h2>
<table>
{% for part in task.parts %}
<tr><td>{{ part.title }}</td>
<td class="{{ 'good' if part.score == part.most else 'bad' }}">{{ part.sentence }}</td>
<td class="points">{{ "–" if part.score is none else "%g" % part.score }} of \
{{ "%g" % part.most }}</td></tr>
{% endfor %}
</table>
{% if task.hint %}
<p>{{ task.hint }}</p>
{% endif %}
{% if task.comment %}
<div class="comment">{{ task.comment | markdown }}</div>
{% endif %}
{% if task.picture %}
<img src="data:image/png;base64,{{ task.picture }}" alt="The figure that you handed in">
{% endif %}
{% if task.written %}
<details><summary>What you handed in</summary><pre>{{ task.written }}</pre></details>
{% endif %}
{% endfor %}
</html>
""")
