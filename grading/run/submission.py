"""One submission in two processes: the student's cells in a kernel, the tests in the checker.

The student's kernel runs all cells but the tests, from top to bottom, and leaves a snapshot of
itself wherever tests stand. Then the tests run in the checker, each against the snapshot of its
place. No output of the student's is kept from that moment, and tests with hidden inputs come after
all others, whose sentences show what a function gave back: so hidden inputs cannot come to light.
A cell that kills its kernel, or does not end, is left out, and the others run afresh without it.

A test has passed only on positive evidence: the checker ran it to its last line and says so with a
token of this one test, and all that it said was heard. Everything else is made an error.
"""

from __future__ import annotations

import ast
import json
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from IPython.core.inputtransformer2 import TransformerManager

from grading.cells import grade_id, is_by_hand, is_hidden, is_setup, is_test, mark
from grading.course import MARK, NOT_PROVEN, NOT_RUN
from grading.inside import rights
from grading.inside.hidden import VARIABLE
from grading.inside.tester import names_defined
from grading.run.intake import Unreadable, rebuild
from grading.run.kit import Kit
from grading.sandbox.checker import Checker, Session, fonts
from grading.sandbox.client import Kernel, NotGraded, Run, error, sizes
from grading.sandbox.walls import Sandbox

__all__ = ["Graded", "Grader", "not_done", "sweep"]

PREFIX = "descent-grading-"  # of temporary folders; the number of their process follows
PLACES = 32  # snapshots a kernel can leave: places in a notebook at which tests stand
DEATHS = 3  # kernels that a submission may kill; with the next one it is over


@dataclass(frozen=True)
class Graded:
    """A submission that was run: the notebook with its outputs, and what is to be said of it.

    reason : why it counts as not done as a whole; None where it was run.
    notes : what was mended, left out or stopped, one sentence each.
    """

    notebook: dict[str, Any]
    notes: tuple[str, ...] = ()
    reason: str | None = None


# ------------------------------------------------------------------ one submission


def not_done(kit: Kit, reason: str) -> Graded:
    """The grade of what cannot be run: the notebook as handed out, each test failed."""
    notebook = json.loads(json.dumps(kit.master))
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            outputs = [error(NOT_RUN, reason)] if is_test(cell) else []
            cell.update(outputs=outputs, execution_count=None)
    notebook["metadata"] = {**notebook["metadata"], MARK: {"not_run": True}}
    return Graded(notebook, (reason,), reason)


class Grader:
    """Grades submissions of one assignment, one after the other, with kernels started ahead.

    Use as a context, in one thread: a sandbox ends with the thread that started it.
    """

    def __init__(self, kit: Kit) -> None:
        self.kit = kit
        self.folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))  # ours alone
        self.count = 0
        self.waiting: Kernel | None = None  # started ahead
        self.running: set[Kernel] = set()
        self.checker: Checker | None = None
        self.stopped = False
        self._unpack()

    def __enter__(self) -> Grader:
        return self

    def __exit__(self, *_: object) -> None:
        for process in filter(None, (self.waiting, self.checker)):
            process.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def stop(self) -> None:
        """From another thread: end what runs, and start nothing more."""
        self.stopped = True
        for process in filter(None, [self.waiting, self.checker, *self.running]):
            process.process.kill()

    def _unpack(self) -> None:
        kit = self.kit
        given = {"public": kit.files, "sources": kit.sources, "fonts": fonts(kit.protected)}
        for part in (*given, "channel"):
            (self.folder / part).mkdir()
        for part, files in given.items():
            for name, content in files.items():
                path = self.folder / part / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        grading = {"sources": str(self.folder / "sources"), "seed": self.kit.seed}
        (self.folder / "grading.json").write_text(json.dumps(grading))

    # -------------------------------------------------------------- kernels

    def _start(self) -> Kernel:
        """A kernel for a student's cells, not yet ready."""
        if self.stopped:
            raise NotGraded("the batch was stopped")
        self.count += 1
        places = [self._place(self.count, place) for place in range(PLACES)]
        sandbox = Sandbox(
            files=self._public(), limits=self.kit.limits, imports=_imported(self.kit.master)
        )
        folder = self.folder / f"{self.count}"
        return Kernel(sandbox, folder, "the submission", self.kit.protected, places, self.count)

    def _public(self) -> dict[str, str | Path]:
        """What every sandbox sees: the public files, and Matplotlib's list of fonts."""
        public = {name: self.folder / "public" / name for name in self.kit.files}
        return {**public, rights.FONTS: self.folder / "fonts"}

    def _place(self, number: int, place: int) -> str:
        return str(self.folder / "channel" / f"{number}-{place}")

    def _take(self) -> Kernel:
        kernel, self.waiting = self.waiting or self._start(), None
        self.running.add(kernel)
        return kernel

    def start_ahead(self) -> None:
        """Start the next submission's kernel, so that it is ready when it is needed."""
        self.waiting = self.waiting or self._start()

    # -------------------------------------------------------------- grading

    def grade(self, submitted: bytes, ahead: bool = False) -> Graded:
        """Run one submission. `ahead`: start the next one's kernels meanwhile.

        Raises NotGraded where the instructor's side fails; a submission cannot make it raise.
        """
        try:
            notebook, notes = rebuild(self.kit.master, submitted)
        except Unreadable as reason:
            return not_done(self.kit, str(reason))
        end = time.monotonic() + self.kit.limits.total_seconds
        try:
            self._checker()
            student = self._take()
            if ahead:
                self.start_ahead()
            student, places = self._run_cells(student, notebook["cells"], notes, end)
            self._run_tests(student, notebook["cells"], places, notes, end)
        finally:
            while self.running:
                self.running.pop().close()
        return Graded(notebook, tuple(dict.fromkeys(notes)))

    def _run_cells(self, kernel: Kernel, cells, notes, end) -> tuple[Kernel, dict[int, int]]:
        """Run all cells but the tests; returns the kernel and the snapshot of each test cell."""
        left_out: set[int] = set()
        for death in range(DEATHS + 1):
            places, fatal = self._one_pass(kernel, cells, left_out, notes, end)
            if fatal is None or death == DEATHS:
                return kernel, places
            left_out.add(fatal)
            kernel = self._take()
        raise AssertionError

    def _one_pass(self, kernel, cells, left_out, notes, end) -> tuple[dict[int, int], int | None]:
        places: dict[int, int] = {}
        limits, place, fresh, last = self.kit.limits, -1, False, None
        left_of_all = [10 * limits.output, 4 * limits.pictures]
        for index, cell in enumerate(cells):
            if cell["cell_type"] != "code" or index in left_out:
                continue
            if is_test(cell):
                if not fresh:
                    place, fresh = place + 1, True
                    if place >= PLACES:
                        raise NotGraded(f"tests stand at more than {PLACES} places of the notebook")
                    code = f"__import__('{_SNAPSHOTS}', fromlist='_').park({place})"
                    if kernel.run(code, self.kit.limits.cell_seconds, silent=True).end:
                        notes.append("The submission ended its kernel before a test.")
                        return places, last
                places[index] = place
                continue
            if not cell["source"].strip():
                continue
            left = end - time.monotonic()
            if left <= 0:
                notes.append(
                    f"Stopped at code cell {_number(cells, index)}: all cells together "
                    f"ran longer than {self.kit.limits.total_seconds:g} seconds."
                )
                break
            seconds = min(limits.cell_seconds, left)
            room = limits.output, limits.pictures
            if not is_by_hand(cell):  # what a person looks at has its room whatever others show
                room = min(room[0], left_of_all[0]), min(room[1], left_of_all[1])
            done = kernel.run(cell["source"], seconds, room=room)
            cell["outputs"], fresh, last = done.outputs, False, index
            left_of_all = [have - used for have, used in zip(left_of_all, sizes(*done.outputs))]
            if done.end:
                notes.append(f"Code cell {_number(cells, index)}: {done.reason}.")
            if done.end == "died":
                return places, (index if end > time.monotonic() else None)
        # One that ends now was ended by what its last cell left behind.
        return places, (None if kernel.leave() else last)

    def _run_tests(self, student, cells, places, notes, end) -> None:
        reserved = {name for cell in cells if is_setup(cell) for name in _defined(cell)}
        tests = [index for index, cell in enumerate(cells) if is_test(cell)]
        session = None
        try:
            for index in sorted(tests, key=lambda index: is_hidden(cells[index])):
                cell = cells[index]
                if index not in places:
                    cell["outputs"] = [error(NOT_RUN, "the notebook ended before this test")]
                    continue
                session = session or Session(self._checker())
                path = self._place(student.number, places[index])
                place = {"path": path, "reserved": sorted(reserved), "hidden": is_hidden(cell)}
                done = self._test(session, cell["source"], place, end)
                reserved |= set(_defined(cell))
                cell["outputs"] = done.outputs
                if done.share and done.complete:
                    cell["outputs"] = _partly(done, mark(cell)["points"])
                elif done.failed and not any(o["output_type"] == "error" for o in done.outputs):
                    cell["outputs"] = [*done.outputs, error(NOT_PROVEN, done.trouble)]
                if done.end or not done.complete:
                    notes.append(f"The test {grade_id(cell)} did not pass: {done.trouble}.")
                if done.end:
                    session = None
        finally:
            if session:
                session.close()
        if student.watch.verdict:
            notes.append(f"While it was tested, {student.watch.verdict}: tests after that failed.")

    def _test(self, session: Session, source: str, place: dict[str, Any], end) -> Run:
        limits = self.kit.limits
        seconds = min(limits.test_seconds, max(end - time.monotonic(), 5))
        return session.run(source, seconds, {**place, "seconds": limits.call_seconds})

    def _checker(self) -> Checker:
        """The checker, which serves one submission after the other; another if it was ended."""
        if self.checker is None or not self.checker.alive:
            if self.checker is not None:
                self.checker.close()
            if self.stopped:
                raise NotGraded("the batch was stopped")
            self.count += 1
            secret = [self.folder / name for name in ("sources", "grading.json", "channel")]
            files = {**self._public(), **{str(path): path for path in secret}}
            env = {VARIABLE: str(self.folder / "grading.json")}
            sandbox = Sandbox(files=files, env=env, limits=self.kit.limits)
            setup = [cell["source"] for cell in self.kit.master["cells"] if is_setup(cell)]
            folder = self.folder / f"{self.count}"
            self.checker = Checker(sandbox, folder, self.kit.protected, setup)
        return self.checker


def sweep() -> None:
    """Remove the temporary folders of graders that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        number = folder.name.removeprefix(PREFIX).partition("-")[0]
        ours = folder.lstat().st_uid == os.geteuid() and not folder.is_symlink()
        if number.isdigit() and ours and not psutil.pid_exists(int(number)):
            shutil.rmtree(folder, ignore_errors=True)


_SNAPSHOTS = "grading.inside.snapshots"


def _imported(master: dict[str, Any]) -> list[str]:
    """The modules that the instructor's own cells import, and what drawing a figure needs."""
    found = []
    for cell in filter(is_setup, master["cells"]):
        for node in ast.walk(ast.parse(TransformerManager().transform_cell(cell["source"]))):
            if isinstance(node, ast.Import):
                found += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                found += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    draws = any("matplotlib" in name or "course_utils.plots" in name for name in found)
    return [*found, "matplotlib.pyplot", "matplotlib_inline.backend_inline"] if draws else found


def _partly(done: Run, points: float) -> list[dict[str, Any]]:
    """The outputs of a test that gives a share of its points, as nbgrader reads them."""
    said = "".join(o["evalue"] for o in done.outputs if o["output_type"] == "error")
    earned = {"text/plain": f"{done.share * points:.2f}"}
    return [
        {"output_type": "stream", "name": "stdout", "text": said + "\n"},
        {"output_type": "execute_result", "data": earned, "metadata": {}, "execution_count": None},
    ]


def _defined(cell: dict[str, Any]) -> list[str]:
    return names_defined(TransformerManager().transform_cell(cell["source"]))


def _number(cells: list[dict[str, Any]], index: int) -> int:
    """Which code cell this is, counted from one."""
    return sum(cell["cell_type"] == "code" for cell in cells[: index + 1])
