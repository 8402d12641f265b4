"""The kernel inside a sandbox: an IPython kernel on sockets that it inherits.

A kernel usually makes its own sockets, so that it needs a folder or a network in common with
whoever talks to it. This one is handed open ones, and the sandbox has nothing in common with the
outside. Before any stranger's code runs, the process gives up root's rights and takes its limits.
Started by `grading.sandbox.provisioner`.
"""

from __future__ import annotations

import json
import os
import resource

import zmq
from ipykernel.kernelapp import IPKernelApp

from grading.inside import snapshots

__all__ = ["INSIDE", "main"]

INSIDE = "DESCENT_INSIDE"  # names what was handed over: sockets, limits, and whom to run as


class InheritedKernelApp(IPKernelApp):
    """An IPython kernel that listens on sockets others have opened."""

    inherited: dict[int, int] = {}  # port → file descriptor

    def _try_bind_socket(self, s, port):
        s.setsockopt(zmq.USE_FD, self.inherited[port])
        s.bind(f"ipc://{self.ip}-{port}")  # with USE_FD the path is a name only
        return port

    def init_heartbeat(self):
        """None: whether the process lives is seen from outside."""

    def init_poller(self):
        """None: the sandbox ends with whoever started it, and its number means nothing here."""


def give_up_rights(uid: int | None) -> None:
    if uid is not None and os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)


def take_limits(limits: dict[str, float]) -> None:
    """Limits of each process; nobody inside can raise them again."""
    for kind, most in [
        (resource.RLIMIT_DATA, limits["memory"]),
        (resource.RLIMIT_AS, 2 * limits["memory"]),
        (resource.RLIMIT_FSIZE, limits["files"]),
        (resource.RLIMIT_CPU, limits["cpu_seconds"]),
        (resource.RLIMIT_NOFILE, 256),
        (resource.RLIMIT_CORE, 0),
    ]:
        most = int(most)
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        try:
            resource.setrlimit(kind, (most, most))
        except (ValueError, OSError):  # macOS knows some of these by name alone
            pass
    # Since Linux 5.14 this counts the processes of a namespace, or of a uid that is ours alone;
    # before, it would count everything that the instructor runs.
    if tuple(int(n) for n in os.uname().release.split(".")[:2] if n.isdigit()) >= (5, 14):
        most = int(limits["processes"])
        resource.setrlimit(resource.RLIMIT_NPROC, (most, most + snapshots.RESERVE))


def main() -> None:
    given = json.loads(os.environ.pop(INSIDE))
    give_up_rights(given["uid"])
    if given["limits"]:
        take_limits(given["limits"])
    for folder in (os.environ["HOME"], os.environ["IPYTHONDIR"]):
        os.makedirs(folder, exist_ok=True)
    InheritedKernelApp.inherited = {int(port): fd for port, fd in given["ports"].items()}
    snapshots.PLACES = given["places"]
    connection = os.path.join(os.environ["HOME"], "connection.json")
    with open(connection, "w") as file:
        json.dump(given["connection"], file)
    InheritedKernelApp.launch_instance(["-f", connection, "--HistoryManager.enabled=False"])


if __name__ == "__main__":
    main()
