"""The checker: it has run the instructor's own cells, and tests each submission in a copy.

Importing what the cells import takes longer than testing. So that is done once: for each submission
the process forks. The copy runs one test after the other, as IPython runs cells, and says of each
what came out and whether it ran to its end. It reaches the student's functions through `tester`.
Started by `grading.sandbox.checker`.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import socket
import sys
import traceback
from typing import Any

from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell

from grading.inside import channel, forks, rights, tester
from grading.inside.hidden import PartlyRight

__all__ = ["main"]

_said: list[dict[str, Any]] = []  # the outputs of the cell that runs, in nbformat's form


class _Stream(io.TextIOBase):
    def __init__(self, name: str) -> None:
        self.name = name

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        last = _said[-1] if _said else {}
        if last.get("output_type") == "stream" and last["name"] == self.name:
            last["text"] += text
        else:
            _said.append({"output_type": "stream", "name": self.name, "text": text})
        return len(text)


class _Display(DisplayPublisher):
    def publish(self, data, metadata=None, *ignored, **more):
        _said.append({"output_type": "display_data", "data": data, "metadata": {}})


class _Result(DisplayHook):
    def write_output_prompt(self):
        pass

    def write_format_data(self, format_dict, md_dict=None):
        made = {"output_type": "execute_result", "data": format_dict, "metadata": {}}
        _said.append({**made, "execution_count": None})

    def finish_displayhook(self):
        pass


class _Shell(InteractiveShell):
    displayhook_class: Any = _Result
    display_pub_class: Any = _Display

    def enable_gui(self, gui=None):
        """There is none."""

    def _showtraceback(self, etype, evalue, stb):
        try:
            text = str(evalue)
        except Exception:
            text = ""
        made = {"output_type": "error", "ename": etype.__name__, "evalue": text}
        _said.append({**made, "traceback": list(stb)})


def main() -> None:
    given = json.loads(os.environ.pop(rights.INSIDE))
    rights.begin(given["uid"], given["limits"])
    os.environ.setdefault("MPLBACKEND", "agg")
    shell: Any = _Shell.instance(history_length=0)
    shell.history_manager.enabled = False
    listener = socket.socket(fileno=given["listener"])
    first, _ = listener.accept()
    with first:
        _answer(first, shell)
    forks.serve_copies(listener, lambda connection: _answer(connection, shell))


def _answer(connection: socket.socket, shell: InteractiveShell) -> None:
    """Run cells as they are asked for, until the other side hangs up."""
    with contextlib.suppress(EOFError):
        while True:
            request = channel.receive(connection, trusted=True)
            try:
                message = channel.pack(_run(shell, **request))
            except BaseException:  # of ours; a cell's own are in its outputs
                broke = traceback.format_exc()[-2000:]
                message = channel.pack({"outputs": [], "done": "", "broke": broke})
            connection.sendall(message)


def _run(
    shell: InteractiveShell, source: str, token: str, place: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Run a cell; a test has a `place`, which names the snapshot it is to look into.

    The token comes back if the cell ran to its end, and only then.
    """
    _said.clear()
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.redirect_stdout(_Stream("stdout")))
        stack.enter_context(contextlib.redirect_stderr(_Stream("stderr")))
        done = None
        if place is None or _bring(shell, source, stack, **place):
            done = shell.run_cell(source, store_history=True)
        sys.stdout.flush()
    raised = done.error_in_exec if done else None
    share = raised.share if isinstance(raised, PartlyRight) else 0.0
    success = done is not None and done.success is True
    return {"outputs": _said, "done": token if success else "", "share": share}


def _bring(shell: Any, source: str, stack: contextlib.ExitStack, reserved, **place: Any) -> bool:
    """Whether a test has what it calls, until the stack ends; if not, the reason is its output."""
    students = stack.enter_context(contextlib.closing(tester.Students(**place)))
    try:
        tester.bring(shell, source, students, reserved)
    except Exception as error:
        words = traceback.format_exception_only(error)
        shell._showtraceback(type(error), error, [word.rstrip() for word in words])
        return False
    return True


if __name__ == "__main__":
    main()
