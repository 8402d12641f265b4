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

__all__ = [
    "PICTURES",
    "Kernel",
    "NotGraded",
    "Outputs",
    "Run",
    "START_SECONDS",
    "error",
    "output_of",
    "sizes",
]

START_SECONDS = 120
LONGEST_TEXT = 2_000  # characters of an error's message, and of a line of its traceback
LONGEST_NAME = 100
MOST_LINES = 50  # of a traceback
MOST_ERRORS = 5  # of a cell: who sends more is no cell
PICTURES = {"image/png": b"\x89PNG", "image/jpeg": b"\xff\xd8\xff"}  # and how they begin
KEPT = ("text/plain", *PICTURES)  # what a reader of the feedback can be shown safely
MOST_MESSAGES = 100_000


class NotGraded(RuntimeError):
    """The instructor's side failed (set-up, sources, machine): the submission has no grade."""


@dataclass(frozen=True)
class Run:
    """One cell that was run.

    end : None, or how it was stopped: "interrupted" or "died".
    status : what the kernel replied: "ok", "error", or "" where no reply came.
    complete : whether all it had to say was heard and kept, to the sign of its end.
    share : of a test's points, what is earned although it failed.
    """

    outputs: list[dict[str, Any]]
    end: str | None = None
    reason: str = ""
    status: str = ""
    complete: bool = False
    share: float = 0.0

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

    def run(
        self,
        code: str,
        seconds: float,
        silent: bool = False,
        room: tuple[int, int] | None = None,
    ) -> Run:
        """Run a cell; after `seconds` interrupt it, and if that does not help, end the kernel.

        room : bytes of text and of pictures to keep, if fewer than for any cell.
        """
        if not self.ready:
            self.wait()
        outputs = Outputs(*(room or (self.limits.output, self.limits.pictures)))
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
                if seen > self.limits.flood or messages > MOST_MESSAGES:
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
    """What a cell shows, from a stranger's messages: of known kinds, of limited size.

    text, pictures : bytes of each that there is room for. Printing takes no room from a picture.
    """

    def __init__(self, text: int, pictures: int) -> None:
        self.most = text, pictures
        self.used = [0, 0]
        self.kept: list[dict[str, Any]] = []
        self.displays: dict[str, dict[str, Any]] = {}  # those that can still be updated
        self.cut, self.errors, self.to_clear = False, 0, False

    def add(self, kind: str, content: dict[str, Any]) -> None:
        if kind == "clear_output":
            self.to_clear = True
        if self.to_clear and not (kind == "clear_output" and content.get("wait")):
            self._clear()
        made = output_of(kind, content)
        if made is None:
            return
        if made["output_type"] == "error":  # short, and never left out: it says that a test failed
            self.errors += 1
            self.cut = self.cut or self.errors > MOST_ERRORS
            if self.errors <= MOST_ERRORS:
                self.kept.append(made)
            return
        name = str((content.get("transient") or {}).get("display_id") or "")
        if kind == "update_display_data":
            self._update(name, made)
        elif made["output_type"] == "stream":
            self._print(made)
        elif self._fits(made):
            self.kept.append(made)
            if name:
                self.displays[name] = made

    def _clear(self) -> None:
        """As a notebook does it between the pictures of an animation; errors stay."""
        self.kept = [each for each in self.kept if each["output_type"] == "error"]
        self.used, self.displays, self.to_clear = [0, 0], {}, False

    def _update(self, name: str, made: dict[str, Any]) -> None:
        shown = self.displays.get(name)
        if shown is None:
            return
        before = self.used
        self.used = [used - size for used, size in zip(before, sizes(shown))]
        if self._fits(made):
            shown.clear()
            shown.update(made)
        else:
            self.used = before

    def _fits(self, made: dict[str, Any]) -> bool:
        """Take the room that an output needs, if there is so much."""
        used = [used + size for used, size in zip(self.used, sizes(made))]
        fits = all(have <= most for have, most in zip(used, self.most))
        if fits:
            self.used = used
        self.cut = self.cut or not fits
        return fits

    def _print(self, made: dict[str, Any]) -> None:
        left = self.most[0] - self.used[0]
        self.cut = self.cut or len(made["text"]) > left
        made["text"] = made["text"][: max(left, 0)]
        self.used[0] += len(made["text"])
        last = self.kept[-1] if self.kept else {}
        if last.get("output_type") == "stream" and last["name"] == made["name"]:
            last["text"] += made["text"]
        elif made["text"]:
            self.kept.append(made)

    def all(self, *more: dict[str, Any]) -> list[dict[str, Any]]:
        left_out = {"output_type": "stream", "name": "stdout", "text": "… (the rest is left out)\n"}
        return [*self.kept, *([left_out] if self.cut else []), *more]


def sizes(*outputs: dict[str, Any]) -> tuple[int, int]:
    """Bytes of text and of pictures; what is said beside a picture counts with it."""
    text = pictures = 0
    for output in outputs:
        size = len(json.dumps(output))
        if any(kind in output.get("data", {}) for kind in PICTURES):
            pictures += size
        else:
            text += size
    return text, pictures


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
    if kind not in ("display_data", "update_display_data", "execute_result"):
        return None
    given = content["data"]
    data = {mime: _string(given[mime]) for mime in KEPT if mime in given}
    for mime, head in PICTURES.items():
        if mime in data and not _is_picture(data[mime], head):
            del data[mime]
    lost = sorted(mime for mime in given if str(mime).startswith("image/") and mime not in data)
    if lost and not any(mime in data for mime in PICTURES):
        data["text/plain"] = (
            f"(a picture that is not kept: {_string(lost[0])[:40]}, no PNG or JPEG)"
        )
    if not data:
        return None
    if kind == "execute_result":
        return {"output_type": kind, "data": data, "metadata": {}, "execution_count": None}
    return {"output_type": "display_data", "data": data, "metadata": {}}


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


def _is_picture(text: str, head: bytes) -> bool:
    """Whether this is a picture in base64, and not the end of an HTML attribute."""
    try:
        return base64.b64decode("".join(text.split()), validate=True).startswith(head)
    except (binascii.Error, ValueError):
        return False


def error(name: str, text: str) -> dict[str, Any]:
    text = _shortened(text, LONGEST_TEXT)
    return {"output_type": "error", "ename": name, "evalue": text, "traceback": [f"{name}: {text}"]}
