"""A sandboxed kernel, seen from outside: cells go in, outputs of known kinds come out."""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import zmq

from grading.inside import snapshots
from grading.sandbox.provisioner import connect, sandboxed_kernel
from grading.sandbox.walls import Sandbox
from grading.sandbox.watch import Watch, family, kill_tree

__all__ = ["Kernel", "NotGraded", "Outputs", "Run", "START_SECONDS", "error", "output_of"]

START_SECONDS = 120
LONGEST_TEXT = 2_000  # characters of an error's message, and of a line of its traceback
LONGEST_NAME = 100
MOST_LINES = 50  # of a traceback
MOST_ERRORS = 5  # of a cell: who sends more is no cell
KEPT = ("text/plain", "image/png")  # what a reader of the feedback can be shown safely


class NotGraded(RuntimeError):
    """The instructor's side failed (set-up, sources, machine): the submission has no grade."""


@dataclass(frozen=True)
class Run:
    """One cell that was run.

    end : None, or how it was stopped: "interrupted" or "died".
    status : what the kernel replied: "ok", "error", or "" where no reply came.
    complete : whether all it had to say was heard and kept, to the sign of its end.
    """

    outputs: list[dict[str, Any]]
    end: str | None = None
    reason: str = ""
    status: str = ""
    complete: bool = False

    @property
    def failed(self) -> bool:
        """Whether anything is missing of a run to the last line, with all of it heard."""
        raised = any(o["output_type"] == "error" for o in self.outputs)
        return self.end is not None or self.status != "ok" or not self.complete or raised

    @property
    def trouble(self) -> str:
        """Why a run without an error counts as failed, in words; "" where nothing is the matter."""
        if self.end is not None:
            return self.reason
        if not self.complete:
            return "not all that it said was heard"
        return "" if self.status == "ok" else "it did not run to its end"


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
        self.process: Any = self.manager.provisioner.process
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

    # Long because a reply, outputs, a clock and a watch are waited for at once.
    def _run(self, code: str, seconds: float, silent: bool, outputs: Outputs) -> Run:
        client = self.client
        number = client.execute(
            code,
            silent=silent,
            store_history=not silent,
            allow_stdin=False,
            stop_on_error=False,
        )
        reply: dict[str, Any] = {}
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
                        if kind == "execute_reply":
                            replied, reply = True, content
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
        status = reply.get("status") if reply.get("status") in ("ok", "error") else ""
        return Run(outputs.all(), status=str(status), complete=idle and not outputs.cut)

    def leave(self) -> bool:
        """Leave nothing of the process but its snapshots; False if it ends before it has left."""
        if not self.ready:
            self.wait()
        self.client.execute(
            f"__import__('{snapshots.__name__}', fromlist='_').leave()", silent=True
        )
        end = time.monotonic() + 5
        while time.monotonic() < end and self.process.poll() is None:
            with contextlib.suppress(psutil.Error):
                if any(each.name() == snapshots.NOTHING for each in family(self.watch.root)):
                    break
            time.sleep(0.005)
        return self.process.poll() is None

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
        self.cut, self.errors = False, 0

    def add(self, kind: str, content: dict[str, Any]) -> None:
        made = output_of(kind, content)
        if made is None:
            return
        if made["output_type"] == "error":  # short, and never left out: it says that a test failed
            self.errors += 1
            self.cut = self.cut or self.errors > MOST_ERRORS
            if self.errors <= MOST_ERRORS:
                self.kept.append(made)
            return
        if self.cut:
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
        return {
            "output_type": "error",
            "ename": _shortened(content.get("ename"), LONGEST_NAME),
            "evalue": _shortened(content.get("evalue"), LONGEST_TEXT),
            "traceback": _lines(content.get("traceback")),
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


def _shortened(text: Any, most: int) -> str:
    """Text of a stranger's, cut in the middle where it is long; of an error nothing is refused."""
    text = _string(text) if isinstance(text, str) else "?"
    half = most // 2
    return text if len(text) <= most else f"{text[:half]} … {text[-half:]}"


def _lines(traceback: Any) -> list[str]:
    lines = traceback if isinstance(traceback, list) else []
    if len(lines) > MOST_LINES:
        lines = [*lines[: MOST_LINES // 2], "…", *lines[-MOST_LINES // 2 :]]
    return [_shortened(line, LONGEST_TEXT) for line in lines]


def _is_png(text: str) -> bool:
    """Whether this is a picture in base64, and not the end of an HTML attribute."""
    try:
        data = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return False
    return data.startswith(b"\x89PNG\r\n\x1a\n")


def error(name: str, text: str) -> dict[str, Any]:
    text = _shortened(text, LONGEST_TEXT)
    return {"output_type": "error", "ename": name, "evalue": text, "traceback": [f"{name}: {text}"]}
