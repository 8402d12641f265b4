"""A copy of a process for each connection, which ends with it.

Snapshots of a student's process answer so, and the checker does: what one connection did, the next
one does not see, and a call that never returns can be killed: whoever asked hangs up.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
from collections.abc import Callable

__all__ = ["serve_copies"]


def serve_copies(listener: socket.socket, serve: Callable[[socket.socket], None]) -> None:
    """Accept connections for ever, one after the other, and serve each in a copy."""
    while True:
        connection, _ = listener.accept()
        with connection:
            _in_a_copy(connection, listener, serve)


def _in_a_copy(connection, listener, serve) -> None:
    child = os.fork()
    if not child:
        try:
            os.setpgid(0, 0)
            listener.close()
            serve(connection)
        finally:
            os._exit(0)
    with contextlib.suppress(ProcessLookupError, ChildProcessError):
        hung_up = select.poll()
        hung_up.register(connection, select.POLLRDHUP | select.POLLHUP)
        while not os.waitpid(child, os.WNOHANG)[0]:
            if hung_up.poll(50):
                os.killpg(child, signal.SIGKILL)
                os.waitpid(child, 0)
                return
