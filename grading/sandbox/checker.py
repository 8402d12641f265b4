"""The checker, seen from outside: started once for many submissions, asked for each test."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from grading.inside import channel
from grading.inside.rights import INSIDE
from grading.sandbox.client import START_SECONDS, NotGraded, Outputs, Run, error
from grading.sandbox.provisioner import listen
from grading.sandbox.syscalls import filter_file
from grading.sandbox.walls import NoSandbox, Sandbox, why_no_sandbox
from grading.sandbox.watch import Watch, kill_tree

__all__ = ["Checker", "Session", "fonts"]

NAME = "a test"


class Checker:
    """A process in a sandbox that has run the instructor's own cells; `session` asks a copy of it.

    Raises NoSandbox, and NotGraded where the cells fail.
    """

    def __init__(
        self, sandbox: Sandbox, folder: Path, protected: bool, setup: Sequence[str]
    ) -> None:
        folder.mkdir(mode=0o700)
        self.limits, self.folder, self.closed = sandbox.limits, folder, False
        self.path = str(folder / "checker")
        if protected and (reason := why_no_sandbox()):
            raise NoSandbox(reason)
        self.process = _started(sandbox, folder, self.path, protected)
        self.watch = Watch(self.process.pid, sandbox.limits, NAME)
        try:
            with contextlib.closing(Session(self)) as first:
                for source in setup:
                    self._prepare(first, source)
        except BaseException:
            self.close()
            raise

    def _prepare(self, session: Session, source: str) -> None:
        done = session.run(source, START_SECONDS)
        if done.failed:
            said = [o["evalue"] for o in done.outputs if o["output_type"] == "error"]
            why = said[0] if said else f"{done.trouble} {self._last_words()}"
            raise NotGraded(f"the notebook's own cells fail in the checker: {why}")

    def _last_words(self) -> str:
        if self.process.poll() is None:
            return ""
        said = self.process.stderr.read(10_000).decode(errors="replace").strip()
        return (said.splitlines() or ["no reason given"])[-1]

    @property
    def alive(self) -> bool:
        return not self.closed and self.watch.verdict is None and self.process.poll() is None

    def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        self.watch.close()
        kill_tree(self.watch.root)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=10)
        self.process.stderr.close()


class Session:
    """One copy of the checker; it ends when the session is closed, whatever it is at."""

    def __init__(self, checker: Checker) -> None:
        self.checker = checker
        self.connection = socket.socket(socket.AF_UNIX)
        try:
            self.connection.settimeout(START_SECONDS)
            self.connection.connect(checker.path)
        except OSError as error:
            self.connection.close()
            raise NotGraded(f"the checker does not answer ({error})") from None

    def close(self) -> None:
        self.connection.close()

    def run(self, source: str, seconds: float, place: dict[str, Any] | None = None) -> Run:
        """Run a cell in the copy; `place` is that of a test: `Students` and the names reserved.

        A run that ends otherwise than by a reply has ended the session.
        """
        token = secrets.token_hex(16)
        request: dict[str, Any] = {"source": source, "token": token}
        outputs = Outputs(self.checker.limits.output, self.checker.limits.pictures)
        try:
            self.connection.sendall(
                channel.pack(request if place is None else {**request, "place": place})
            )
            reply = channel.receive(self.connection, seconds)
        except TimeoutError:
            return self._ended(f"a test ran longer than {seconds:g} seconds")
        except (OSError, EOFError, channel.BadMessage):
            return self._ended(self.checker.watch.verdict or "the test ended its own process")
        if "broke" in reply:
            raise NotGraded(f"the checker failed: {reply['broke']}")
        for made in reply["outputs"]:
            outputs.add(made["output_type"], made)
        status = "ok" if secrets.compare_digest(reply["done"], token) else "error"
        return Run(outputs.all(), status=status, complete=not outputs.cut, share=reply["share"])

    def _ended(self, reason: str) -> Run:
        self.close()
        return Run([error("Stopped", reason)], "died", reason)


def _started(sandbox: Sandbox, folder: Path, path: str, protected: bool) -> Any:
    """The process, which listens at `path`."""
    command = [sys.executable, "-m", "grading.inside.checker"]
    environment, place = sandbox.environment(), None
    with contextlib.closing(listen(path)) as listener, filter_file() as rules:
        if protected:
            command = sandbox.command(command, rules.fileno())
        else:
            place = folder / "work"
            place.mkdir()
            environment = sandbox.environment(str(folder / "home"))
        given = {
            "listener": listener.fileno(),
            "limits": asdict(sandbox.limits) if protected else None,
            "uid": sandbox.uid if protected else None,
        }
        return subprocess.Popen(
            command,
            env={**environment, INSIDE: json.dumps(given)},
            pass_fds=[rules.fileno(), listener.fileno()],
            cwd=place,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,  # read if it does not start
        )


@functools.cache
def fonts(protected: bool) -> dict[str, bytes]:
    """Matplotlib's list of fonts as a sandbox sees them, by the name of its file.

    Made once: without it each process that draws would search the system for fonts anew.
    """
    code = (
        "import glob, json, os, sys, matplotlib.font_manager\n"
        "files = glob.glob(os.environ['MPLCONFIGDIR'] + '/*.json')\n"
        "json.dump({os.path.basename(f): open(f).read() for f in files}, sys.stdout)"
    )
    if not protected:
        return {}
    with filter_file() as rules, tempfile.TemporaryFile() as said:
        box = Sandbox()
        subprocess.run(
            box.command([sys.executable, "-c", code], rules.fileno()),
            env=box.environment(),
            pass_fds=[rules.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.DEVNULL,
            timeout=START_SECONDS,
        )
        said.seek(0)
        found = json.loads(said.read() or b"{}")
    return {name: text.encode() for name, text in found.items() if os.sep not in name}
