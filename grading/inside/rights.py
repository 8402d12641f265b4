"""What every process in a sandbox does first: it gives up root's rights, and takes its limits."""

from __future__ import annotations

import os
import resource
import shutil
from pathlib import Path

__all__ = ["FONTS", "INSIDE", "RESERVE", "begin"]

INSIDE = "DESCENT_INSIDE"  # names what was handed over: sockets, limits, and whom to run as
RESERVE = 32  # processes that copies may start beyond the limit of the notebook's own
FONTS = "/tmp/fonts"  # Matplotlib's list of fonts, made once for all sandboxes, if it was


def begin(uid: int | None, limits: dict[str, float] | None) -> None:
    """Before any stranger's code runs. No uid, no limits: without protection."""
    _give_up_rights(uid)
    if limits:
        _take_limits(limits)
    for folder in (os.environ["HOME"], os.environ["IPYTHONDIR"], os.environ["MPLCONFIGDIR"]):
        os.makedirs(folder, exist_ok=True)
    for file in Path(FONTS).glob("*.json") if limits else ():
        shutil.copy(file, os.environ["MPLCONFIGDIR"])


def _give_up_rights(uid: int | None) -> None:
    if uid is not None and os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)


def _take_limits(limits: dict[str, float]) -> None:
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
        resource.setrlimit(resource.RLIMIT_NPROC, (most, most + RESERVE))
