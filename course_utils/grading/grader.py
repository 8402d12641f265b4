"""One submission in two kernels: the student's cells in one, the tests in the other.

The student's kernel runs all cells but the tests, from top to bottom, and leaves a snapshot of
itself wherever tests stand. Then the tests run in the checker, each against the snapshot of its
place. No output of the student's is kept from that moment, so hidden inputs cannot come to light.
A cell that kills its kernel, or does not end, is left out, and the others run afresh without it.
Instructors only.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import zmq
from IPython.core.inputtransformer2 import TransformerManager

from course_utils.grading.checker import names_defined
from course_utils.grading.intake import Unreadable, rebuild
from course_utils.grading.provisioner import connect, sandboxed_kernel
from course_utils.grading.sandbox import Limits, Sandbox, Watch, kill_tree

__all__ = ["Assignment", "Graded", "Grader", "NotGraded", "not_done"]

PREFIX = "descent-grading-"  # of temporary folders; the number of their process follows
PLACES = 32  # snapshots a kernel can leave: places in a notebook at which tests stand
DEATHS = 3  # kernels that a submission may kill; with the next one it is over
START_SECONDS = 120
KEPT = ("text/plain", "image/png")  # what a reader of the feedback can be shown safely


class NotGraded(RuntimeError):
    """The instructor's side failed (set-up, sources, machine): the submission has no grade."""


@dataclass(frozen=True)
class Assignment:
    """All that is needed to grade submissions of one notebook, here or on another machine.

    notebook : its name, such as hw02_numerical.
    master : the notebook as handed out, with the full tests (nbformat 4, as a dictionary).
    files : public files beside it: ``{name: bytes}``; both kernels can read them.
    sources, seed : for hidden tests, seen by the checker alone: files of the sources' folder
        by their paths in it, and the seed of the hidden inputs.
    limits : what a submission may use.
    protected : False runs everything with the instructor's rights.
    """

    notebook: str
    master: dict[str, Any]
    files: Mapping[str, bytes] = field(default_factory=dict)
    sources: Mapping[str, bytes] = field(default_factory=dict)
    seed: int = 0
    limits: Limits = Limits()
    protected: bool = True


@dataclass(frozen=True)
class Graded:
    """A submission that was run: the notebook with its outputs, and what is to be said of it.

    reason : why it counts as not done as a whole; None where it was run.
    notes : what was mended, left out or stopped, one sentence each.
    """

    notebook: dict[str, Any]
    notes: tuple[str, ...] = ()
    reason: str | None = None


@dataclass(frozen=True)
class Run:
    """One cell that was run. `end` is None, or how it was stopped: "interrupted" or "died"."""

    outputs: list[dict[str, Any]]
    end: str | None = None
    reason: str = ""

    @property
    def failed(self) -> bool:
        return self.end is not None or any(o["output_type"] == "error" for o in self.outputs)


# ------------------------------------------------------------------ one kernel


class Kernel:
    """A kernel in a sandbox, its client, and who watches it."""

    def __init__(
        self,
        sandbox: Sandbox,
        folder: Path,
        name: str,
        protected: bool,
        places: list[str],
        number: int,
    ) -> None:
        folder.mkdir(mode=0o700)
        work = folder / "work"
        if not protected:
            for each in (work, folder / "home"):
                each.mkdir()
            for inside, outside in sandbox.files.items():
                if not Path(inside).is_absolute():
                    shutil.copy(outside, work / inside)
        self.limits, self.name, self.number = sandbox.limits, name, number
        self.manager = sandboxed_kernel(
            folder, sandbox=sandbox, protected=protected, places=places, work=str(work)
        )
        self.process = self.manager.provisioner.process
        self.watch = Watch(self.process.pid, sandbox.limits, name)
        self.client = connect(self.manager)
        self.poller = zmq.Poller()
        for channel in (self.client.shell_channel, self.client.iopub_channel):
            self.poller.register(channel.socket, zmq.POLLIN)
        self.ready = self.closed = False

    def wait(self) -> None:
        """Return when the kernel answers. Raises NotGraded where it does not."""
        end = time.monotonic() + START_SECONDS
        shell, iopub = self.client.shell_channel.socket, self.client.iopub_channel.socket
        heard = set()
        while not self.ready:
            if time.monotonic() > end or self.process.poll() is not None:
                raise NotGraded(f"a kernel did not start: {self._last_words()}")
            self.client.kernel_info()
            again = time.monotonic() + 0.5  # what it publishes is lost until we are subscribed
            while not self.ready and time.monotonic() < again:
                for socket, _ in self.poller.poll(100):
                    socket.recv_multipart()
                    heard.add(socket)
                self.ready = heard == {shell, iopub}
        self.process.stderr.close()  # from here on it is the stranger's

    def _last_words(self) -> str:
        if self.process.poll() is None:
            return f"no answer within {START_SECONDS} seconds"
        said = self.process.stderr.read(10_000).decode(errors="replace").strip()
        return (said.splitlines() or ["no reason given"])[-1]

    def run(self, code: str, seconds: float, silent: bool = False, keep: int | None = None) -> Run:
        """Run a cell; after `seconds` interrupt it, and if that does not help, end the kernel.

        keep : bytes of output to keep, if fewer than for any cell.
        """
        if not self.ready:
            self.wait()
        outputs = Outputs(self.limits.output if keep is None else min(keep, self.limits.output))
        try:
            return self._run(code, seconds, silent, outputs)
        except zmq.Again:
            return self._died(outputs, f"{self.name} cut the line to its kernel")

    def _run(self, code: str, seconds: float, silent: bool, outputs: Outputs) -> Run:
        client = self.client
        number = client.execute(
            code, silent=silent, store_history=not silent, allow_stdin=False, stop_on_error=False
        )
        shell = client.shell_channel.socket
        replied = idle = interrupted = False
        seen = messages = 0
        end = time.monotonic() + seconds
        while not (replied and idle):
            if self.watch.verdict or self.process.poll() is not None:
                return self._died(outputs, self.watch.verdict or f"{self.name} ended its kernel")
            if time.monotonic() > end:
                if replied:  # the sign of its end was lost, in a flood perhaps
                    break
                if interrupted:
                    return self._died(outputs, f"a cell ran longer than {seconds:g} seconds")
                client.control_channel.send(client.session.msg("interrupt_request"))
                interrupted, end = True, time.monotonic() + 3
            for socket, _ in self.poller.poll(100):
                frames = socket.recv_multipart()
                seen, messages = seen + sum(map(len, frames)), messages + 1
                if seen > self.limits.flood or messages > 20_000:
                    return self._died(
                        outputs, f"{self.name} printed more than can be read (a flood of output)"
                    )
                try:
                    message = client.session.deserialize(client.session.feed_identities(frames)[1])
                    if message["parent_header"].get("msg_id") != number:
                        continue
                    kind, content = message["msg_type"], message["content"]
                    if socket is shell:
                        replied = replied or kind == "execute_reply"
                        if replied:
                            end = min(end, time.monotonic() + 5)
                    elif kind == "status":
                        idle = idle or content["execution_state"] == "idle"
                    else:
                        outputs.add(kind, content)
                except Exception:  # a message that is none; a stranger's kernel may send anything
                    continue
        if interrupted:
            reason = f"a cell ran longer than {seconds:g} seconds and was stopped"
            return Run(outputs.all(error("Stopped", reason)), "interrupted", reason)
        return Run(outputs.all())

    def _died(self, outputs: Outputs, reason: str) -> Run:
        self.close()
        return Run(outputs.all(error("Stopped", reason)), "died", reason)

    def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        self.watch.close()
        self.client.stop_channels()
        self.client.context.destroy(linger=0)
        # Not manager.shutdown_kernel: it first sends an interrupt, and waits for ever where the
        # submission has cut the line that it sends on.
        kill_tree(self.watch.root)  # knows it by its start, too: its number may be another's by now
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=10)
        self.process.stderr.close()
        self.manager.cleanup_resources()


class Outputs:
    """What a cell shows, from a stranger's messages: of known kinds, of limited size."""

    def __init__(self, limit: int) -> None:
        self.left, self.kept = max(limit, 0), []
        self.cut = False

    def add(self, kind: str, content: dict[str, Any]) -> None:
        made = output_of(kind, content)
        if made is None or self.cut:
            return
        size = len(json.dumps(made))
        if size > self.left:
            self.cut = True
            if made["output_type"] != "stream":
                return
            made["text"] = made["text"][: self.left]
        self.left -= size
        last = self.kept[-1] if self.kept else {}
        if made["output_type"] == "stream" == last.get("output_type"):
            if made["name"] == last["name"]:
                last["text"] += made["text"]
                return
        self.kept.append(made)

    def all(self, *more: dict[str, Any]) -> list[dict[str, Any]]:
        left_out = {"output_type": "stream", "name": "stdout", "text": "… (the rest is left out)\n"}
        return [*self.kept, *([left_out] if self.cut else []), *more]


def output_of(kind: str, content: dict[str, Any]) -> dict[str, Any] | None:
    """An output made afresh from a message; None where nothing of it can be shown safely."""
    if kind == "stream":
        name = "stderr" if content["name"] == "stderr" else "stdout"
        return {"output_type": "stream", "name": name, "text": _string(content["text"])}
    if kind == "error":
        lines = [_string(line) for line in list(content["traceback"])[:200]]
        return {
            "output_type": "error",
            "ename": _string(content["ename"]),
            "evalue": _string(content["evalue"]),
            "traceback": lines,
        }
    if kind not in ("display_data", "execute_result"):
        return None
    data = {mime: _string(content["data"][mime]) for mime in KEPT if mime in content["data"]}
    if "image/png" in data and not _is_png(data["image/png"]):
        del data["image/png"]
    if not data:
        return None
    made = {"output_type": kind, "data": data, "metadata": {}}
    return {**made, "execution_count": None} if kind == "execute_result" else made


def _string(text: Any) -> str:
    if not isinstance(text, str):
        raise TypeError("no text")
    return text.encode("utf-8", "replace").decode()


def _is_png(text: str) -> bool:
    """Whether this is a picture in base64, and not the end of an HTML attribute."""
    try:
        data = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return False
    return data.startswith(b"\x89PNG\r\n\x1a\n")


def error(name: str, text: str) -> dict[str, Any]:
    return {"output_type": "error", "ename": name, "evalue": text, "traceback": [f"{name}: {text}"]}


# ------------------------------------------------------------------ one submission


def not_done(assignment: Assignment, reason: str) -> Graded:
    """The grade of what cannot be run: the notebook as handed out, each test failed."""
    notebook = json.loads(json.dumps(assignment.master))
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            outputs = [error("NotRun", reason)] if is_test(cell) else []
            cell.update(outputs=outputs, execution_count=None)
    return Graded(notebook, (reason,), reason)


class Grader:
    """Grades submissions of one assignment, one after the other, with kernels started ahead.

    Use as a context, in one thread: a sandbox ends with the thread that started it.
    """

    def __init__(self, assignment: Assignment) -> None:
        self.assignment = assignment
        self.folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))  # ours alone
        self.count = 0
        self.waiting: dict[str, Kernel] = {}  # started ahead, by role
        self.running: set[Kernel] = set()
        self.stopped = False
        self._unpack()

    def __enter__(self) -> Grader:
        return self

    def __exit__(self, *_: object) -> None:
        for kernel in self.waiting.values():
            kernel.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def stop(self) -> None:
        """From another thread: end what runs, and start nothing more."""
        self.stopped = True
        for kernel in [*self.waiting.values(), *self.running]:
            kernel.process.kill()

    def _unpack(self) -> None:
        for part in ("public", "sources", "channel"):
            (self.folder / part).mkdir()
        given = {"public": self.assignment.files, "sources": self.assignment.sources}
        for part, files in given.items():
            for name, content in files.items():
                path = self.folder / part / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        grading = {"sources": str(self.folder / "sources"), "seed": self.assignment.seed}
        (self.folder / "grading.json").write_text(json.dumps(grading))

    # -------------------------------------------------------------- kernels

    def _start(self, role: str) -> Kernel:
        """A kernel for the student's cells ("student") or the tests ("checker"), not yet ready."""
        if self.stopped:
            raise NotGraded("the batch was stopped")
        self.count += 1
        folder = self.folder / f"{self.count}"
        public = self.folder / "public"
        files: dict[str, str | Path] = {name: public / name for name in self.assignment.files}
        env, places = {}, []
        if role == "checker":
            secret = [self.folder / name for name in ("sources", "grading.json", "channel")]
            files.update({str(path): path for path in secret})
            env["DESCENT_GRADING"] = str(self.folder / "grading.json")
        else:
            places = [self._place(self.count, place) for place in range(PLACES)]
        sandbox = Sandbox(files=files, env=env, limits=self.assignment.limits)
        name = "the submission" if role == "student" else "a test"
        return Kernel(sandbox, folder, name, self.assignment.protected, places, self.count)

    def _place(self, number: int, place: int) -> str:
        return str(self.folder / "channel" / f"{number}-{place}")

    def _take(self, role: str) -> Kernel:
        kernel = self.waiting.pop(role, None) or self._start(role)
        self.running.add(kernel)
        return kernel

    def start_ahead(self) -> None:
        """Start the next submission's kernels, so that they are ready when they are needed."""
        for role in ("student", "checker"):
            if role not in self.waiting:
                self.waiting[role] = self._start(role)

    # -------------------------------------------------------------- grading

    def grade(self, submitted: bytes, ahead: bool = False) -> Graded:
        """Run one submission. `ahead`: start the next one's kernels meanwhile.

        Raises NotGraded where the instructor's side fails; a submission cannot make it raise.
        """
        try:
            notebook, notes = rebuild(self.assignment.master, submitted)
        except Unreadable as reason:
            return not_done(self.assignment, str(reason))
        end = time.monotonic() + self.assignment.limits.total_seconds
        try:
            student, checker = self._take("student"), self._take("checker")
            if ahead:
                self.start_ahead()
            student, places = self._run_cells(student, notebook["cells"], notes, end)
            self._run_tests(checker, student, notebook["cells"], places, notes, end)
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
            kernel = self._take("student")
        raise AssertionError

    def _one_pass(self, kernel, cells, left_out, notes, end) -> tuple[dict[int, int], int | None]:
        places: dict[int, int] = {}
        place, fresh, room = -1, False, 10 * self.assignment.limits.output
        for index, cell in enumerate(cells):
            if cell["cell_type"] != "code" or index in left_out:
                continue
            if is_test(cell):
                if not fresh:
                    place, fresh = place + 1, True
                    if place >= PLACES:
                        raise NotGraded(f"tests stand at more than {PLACES} places of the notebook")
                    code = f"__import__('{_AGENT}', fromlist='_').park({place})"
                    if kernel.run(code, self.assignment.limits.cell_seconds, silent=True).end:
                        # Which cell spoilt it nobody can say: no test finds anything here.
                        notes.append("The submission ended its kernel before a test.")
                        return places, None
                places[index] = place
                continue
            if not cell["source"].strip():
                continue
            left = end - time.monotonic()
            if left <= 0:
                notes.append(
                    f"Stopped at code cell {_number(cells, index)}: all cells together "
                    f"ran longer than {self.assignment.limits.total_seconds:g} seconds."
                )
                return places, None
            seconds = min(self.assignment.limits.cell_seconds, left)
            done = kernel.run(cell["source"], seconds, keep=room)
            cell["outputs"], fresh = done.outputs, False
            room -= len(json.dumps(done.outputs))
            if done.end:
                notes.append(f"Code cell {_number(cells, index)}: {done.reason}.")
            if done.end == "died":
                return places, (index if end > time.monotonic() else None)
        return places, None

    def _run_tests(self, kernel, student, cells, places, notes, end) -> None:
        limits = self.assignment.limits
        self._set_up(kernel, cells)
        reserved = {name for cell in cells if is_setup(cell) for name in _defined(cell)}
        for index, cell in enumerate(cells):
            if not is_test(cell):
                continue
            if index not in places:
                cell["outputs"] = [error("NotRun", "the notebook ended before this test")]
                continue
            path = self._place(student.number, places[index])
            reserved_now = sorted(reserved)
            reserved |= set(_defined(cell))
            start = f"__import__('{_CHECKER}', fromlist='_').start"
            code = f"{start}({path!r}, {limits.call_seconds!r}, {reserved_now!r})"
            if kernel.run(code, 30, silent=True).failed:
                raise NotGraded("the checker failed before a test")
            seconds = min(limits.test_seconds, max(end - time.monotonic(), 5))
            done = kernel.run(cell["source"], seconds)
            cell["outputs"] = done.outputs
            if done.end:
                notes.append(f"A test was stopped: {done.reason}.")
            if done.end == "died":
                kernel = self._take("checker")
                self._set_up(kernel, cells)

    def _set_up(self, kernel: Kernel, cells) -> None:
        """Run the instructor's own cells in the checker. They must not fail: see `checker`."""
        for cell in filter(is_setup, cells):
            done = kernel.run(cell["source"], START_SECONDS)
            if done.failed:
                said = [o["evalue"] for o in done.outputs if o["output_type"] == "error"]
                raise NotGraded(f"the notebook's own cells fail in the checker: {said[0]}")


def sweep() -> None:
    """Remove the temporary folders of graders that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        number = folder.name.removeprefix(PREFIX).partition("-")[0]
        ours = folder.lstat().st_uid == os.geteuid() and not folder.is_symlink()
        if number.isdigit() and ours and not psutil.pid_exists(int(number)):
            shutil.rmtree(folder, ignore_errors=True)


_AGENT, _CHECKER = "course_utils.grading.agent", "course_utils.grading.checker"


def _mark(cell: dict[str, Any]) -> dict[str, Any]:
    return cell.get("metadata", {}).get("nbgrader", {})


def is_test(cell: dict[str, Any]) -> bool:
    """A cell that is run to give points."""
    mark = _mark(cell)
    return cell["cell_type"] == "code" and bool(mark.get("grade")) and not mark.get("solution")


def is_setup(cell: dict[str, Any]) -> bool:
    """A locked code cell of the instructor's that is no test."""
    mark = _mark(cell)
    locked = bool(mark.get("locked")) and not mark.get("grade") and not mark.get("solution")
    return cell["cell_type"] == "code" and locked


def _defined(cell: dict[str, Any]) -> list[str]:
    return names_defined(TransformerManager().transform_cell(cell["source"]))


def _number(cells: list[dict[str, Any]], index: int) -> int:
    """Which code cell this is, counted from one."""
    return sum(cell["cell_type"] == "code" for cell in cells[: index + 1])
