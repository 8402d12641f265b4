"""The kernel inside a sandbox: an IPython kernel on sockets that it inherits.

A kernel usually makes its own sockets, so that it needs a folder or a network in common with
whoever talks to it. This one is handed open ones, and the sandbox has nothing in common with the
outside. Before any stranger's code runs, the process gives up root's rights and takes its limits.
Started by `grading.sandbox.provisioner`.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
from typing import Any

import zmq
from ipykernel.kernelapp import IPKernelApp

from grading.inside import rights, snapshots

__all__ = ["main"]


class InheritedKernelApp(IPKernelApp):
    """An IPython kernel that listens on sockets others have opened."""

    inherited: dict[int, int] = {}  # port → file descriptor
    ahead: list[str] = []  # modules to import before the first cell comes

    def _try_bind_socket(self, s, port):
        s.setsockopt(zmq.USE_FD, self.inherited[port])
        s.bind(f"ipc://{self.ip}-{port}")  # with USE_FD the path is a name only
        return port

    def init_heartbeat(self):
        """None: whether the process lives is seen from outside."""

    def init_shell(self):
        super().init_shell()
        shell: Any = self.shell
        shell.ask_exit = lambda: None  # `quit()` ends no notebook: its tests come after it
        # Whatever form of picture a notebook chooses, a figure is shown as PNG, too.
        png = shell.display_formatter.formatters["image/png"]
        png.for_type("matplotlib.figure.Figure", _as_png)
        png.pop = lambda kind, default=None: default

    def init_gui_pylab(self):
        super().init_gui_pylab()
        for name in self.ahead:  # what is no module, or is not there, the cell itself will say
            with contextlib.suppress(Exception):
                importlib.import_module(name)

    def init_poller(self):
        """None: the sandbox ends with whoever started it, and its number means nothing here."""


def _as_png(figure: Any) -> Any:
    from IPython.core.pylabtools import print_figure

    return print_figure(figure, fmt="png", base64=True)


def main() -> None:
    given = json.loads(os.environ.pop(rights.INSIDE))
    rights.begin(given["uid"], given["limits"])
    InheritedKernelApp.inherited = {int(port): fd for port, fd in given["ports"].items()}
    InheritedKernelApp.ahead = given.get("imports", [])
    snapshots.PLACES = given["places"]
    connection = os.path.join(os.environ["HOME"], "connection.json")
    with open(connection, "w") as file:
        json.dump(given["connection"], file)
    InheritedKernelApp.launch_instance(["-f", connection, "--HistoryManager.enabled=False"])


if __name__ == "__main__":
    main()
