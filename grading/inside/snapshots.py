"""The student's side of the channel: snapshots of the process, in which tests call functions.

At the place of each test the process forks. The copy keeps everything as it is at that place and
waits there; the notebook goes on. When all cells have run, the tests connect to the copies: each
connection gets a copy of its own again, so that no test sees what another one did, and a call
that never returns can be killed. All this runs in the sandbox, within the reach of the student's
code: nothing that comes out of it is trusted (see `channel`).
"""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import signal
import socket
import sys
import traceback
import warnings
from typing import Any

import numpy as np

from grading.inside import channel, forks

__all__ = ["NOTHING", "leave", "park"]

NOTHING = "sleep"  # the program

PLACES: list[int] = []  # descriptors of the listening sockets, one for each snapshot


def park(place: int) -> None:
    """Leave a copy of this process at `place`, waiting for tests."""
    from IPython import get_ipython

    namespace = get_ipython().user_ns
    gc.collect()
    if os.fork():
        os.close(PLACES[place])
        return
    try:
        most = resource.getrlimit(resource.RLIMIT_NPROC)[1]
        resource.setrlimit(resource.RLIMIT_NPROC, (most, most))
        _fall_silent()
        _one_thread()
        listener = socket.socket(fileno=PLACES[place])
        forks.serve_copies(listener, lambda connection: _serve(connection, namespace))
    finally:
        os._exit(0)  # never back into the notebook


def leave() -> None:
    """Become a program that holds nothing and has no threads; the copies stay. No answer comes."""
    os.execvp(NOTHING, [NOTHING, "86400"])


def _one_thread() -> None:
    """Let PyTorch compute in this thread alone: of a pool of threads a copy has none, and waits."""
    if "torch" in sys.modules:
        with contextlib.suppress(Exception):  # a stranger's module may have that name
            sys.modules["torch"].set_num_threads(1)


def _fall_silent() -> None:
    """Cut the copy off from the notebook's outputs: what it prints goes nowhere."""
    sys.stdout = sys.stderr = sys.__stdout__ = sys.__stderr__ = open(os.devnull, "w")
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)


def _serve(connection: socket.socket, namespace: dict) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        request = channel.receive(connection, trusted=True)
        try:
            reply = _answer(request, namespace)
        except BaseException as error:
            reply = {"raised": _in_words(error)}
        try:
            message = channel.pack(reply)
        except Exception as error:
            message = channel.pack({"raised": _in_words(error)})
        connection.sendall(message)


def _answer(request: dict[str, Any], namespace: dict) -> dict[str, Any]:
    if "get" in request:
        if request["get"] not in namespace:
            return {"missing": True}
        value = namespace[request["get"]]
        return {"function": True} if callable(value) else {"value": value}
    arguments, keywords = request["arguments"], request["keywords"]
    # As where a notebook's own check calls it (`course_utils.exercises.homework.tell`).
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        value = namespace[request["call"]](*arguments, **keywords)
    return {"value": value, "arguments": tuple(map(_as_it_is_now, arguments))}


def _as_it_is_now(argument: Any) -> Any:
    """An argument that a function may have changed; None for those that nobody can change."""
    if isinstance(argument, list) and any(map(callable, argument)):
        return None
    can_change = isinstance(argument, np.ndarray | list | dict) or hasattr(argument, "detach")
    return argument if can_change else None


def _in_words(error: BaseException) -> dict[str, Any]:
    """An exception as text: its class, its message, and the line that raised it."""
    try:
        message = str(error)
    except BaseException:
        message = ""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename != __file__]
    return {
        "type": type(error).__name__,
        "message": message[: channel.LONGEST_MESSAGE],
        "line": (frames[-1].line or "") if frames else "",
        "number": (frames[-1].lineno or 1) if frames else 1,
    }
