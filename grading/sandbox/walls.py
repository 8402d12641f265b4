"""A sandbox for code written by strangers: namespaces, limits, and somebody who watches.

Inside there is a read-only system, an empty folder of its own, no network, no other process and
no way back: what a submission sees is listed in `Sandbox.command`, everything else is absent.
bubblewrap (https://github.com/containers/bubblewrap) makes the namespaces; the kernel's resource
limits bound each process; a filter of system calls closes the doors that lead around those; and a
watch bounds what all processes use together.
"""

from __future__ import annotations

import functools
import os
import platform
import random
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import course_utils
import grading.inside
from grading.sandbox.syscalls import filter_file, why_no_filter

__all__ = ["Limits", "NoSandbox", "Sandbox", "sees", "why_no_sandbox"]

MB = 1024**2
HIDDEN = ("/usr/local/share", "/usr/src")  # nbgrader's exchange may lie there: other students' work
INSIDE = Path(grading.inside.__file__).parent
GRADING = INSIDE.parent  # appears as an empty folder, with these in it:
SEEN = (GRADING / "__init__.py", INSIDE)
WORK = "/tmp/work"  # where the kernel stands, and finds the assignment's public files
HOW = (
    "Install it (Debian, Ubuntu: `sudo apt install bubblewrap`; Fedora: `sudo dnf install "
    "bubblewrap`), or grade in the container that docs/security.md describes. To run the "
    "submissions with your own rights nevertheless, add --unprotected."
)


class NoSandbox(RuntimeError):
    """There is no sandbox on this machine; the message says why, and what to do."""


@dataclass(frozen=True)
class Limits:
    """What one submission may use. Times are seconds of wall clock where not said otherwise.

    cell_seconds : one cell of the student's.
    call_seconds : one call of a student's function by a test.
    test_seconds : one test cell.
    total_seconds : the whole submission.
    cpu_seconds : processor time of all its processes together.
    memory : bytes, each process and all together.
    processes : processes and threads at one time.
    files : bytes of its own folder, which is in memory; also the largest file.
    output : bytes of text kept of one cell, and a tenth of what is kept of all; the rest is
        left out.
    pictures : bytes of pictures kept of one cell, and a quarter of what is kept of all.
    flood : bytes of output after which the submission is stopped.
    """

    cell_seconds: float = 60
    call_seconds: float = 10
    test_seconds: float = 60
    total_seconds: float = 600
    cpu_seconds: float = 300
    memory: int = 3072 * MB
    processes: int = 128
    files: int = 256 * MB
    output: int = MB
    pictures: int = 8 * MB
    flood: int = 400 * MB


@dataclass(frozen=True)
class Sandbox:
    """One sandbox to be: what can be seen in it besides the system.

    files : ``{path inside: path outside}``, read-only; relative ones stand in the work folder.
    env : environment variables; nothing of ours is inherited.
    limits : what it may use.
    uid : whom the processes run as; drawn where not given. Only root can choose, and must.
    imports : modules that a kernel imports before it is asked for the first cell.
    """

    files: Mapping[str, str | Path] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = Limits()
    uid: int = field(default_factory=lambda: random.randrange(2**30, 2**31 - 2))
    imports: Sequence[str] = ()

    def command(self, inner: Sequence[str], filter_fd: int) -> list[str]:
        """The bubblewrap command that runs `inner`; `filter_fd` holds `system_call_filter()`."""
        as_root = os.geteuid() == 0
        bwrap = [shutil.which("bwrap") or "bwrap", "--die-with-parent", "--new-session"]
        bwrap += ["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"]
        bwrap += ["--unshare-cgroup-try", "--hostname", "sandbox", "--seccomp", str(filter_fd)]
        if as_root:  # the kernel inside takes a number that is nobody's, and then has no rights
            bwrap += ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
        else:
            bwrap += ["--unshare-user"]
        # Every writable place is in memory and of limited size: none of them is outside.
        bwrap += ["--proc", "/proc", "--dev", "/dev"]
        bwrap += ["--perms", "1777", "--size", str(64 * MB), "--tmpfs", "/dev/shm"]
        bwrap += ["--perms", "1777", "--size", str(self.limits.files), "--tmpfs", "/tmp"]
        bwrap += ["--perms", "1777", "--dir", WORK, "--perms", "1777", "--dir", "/tmp/home"]
        for path in _system_paths():
            bwrap += [*_parents(path), "--ro-bind", path, path]
            for hidden in HIDDEN:
                if os.path.isdir(hidden) and Path(hidden).is_relative_to(path):
                    bwrap += ["--size", str(MB), "--tmpfs", hidden, "--remount-ro", hidden]
        bwrap += _ours()
        for link, target in _system_links():
            bwrap += ["--symlink", target, link]
        for inside, outside in self.files.items():
            place = os.path.join(WORK, inside)
            bwrap += [*_parents(place), "--ro-bind", str(outside), place]
        bwrap += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", WORK]
        return [*bwrap, "--", *inner]

    def environment(self, home: str = "/tmp/home") -> dict[str, str]:
        """All that the processes inside shall find in their environment; pass it to Popen."""
        return {
            "HOME": home,
            "USER": "student",
            "TMPDIR": "/tmp",
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"]),
            "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
            "OMP_NUM_THREADS": "1",  # sums add up in the same order everywhere
            "MPLCONFIGDIR": f"{home}/matplotlib",
            "IPYTHONDIR": f"{home}/ipython",
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
            **self.env,
        }


# ------------------------------------------------------------------ is there one here?


@functools.cache
def why_no_sandbox() -> str | None:
    """Why this machine has no sandbox, in one sentence; None if it has one (tried once)."""
    if not sys.platform.startswith("linux"):
        return f"{platform.system()} has no bubblewrap. {HOW}"
    if why := why_no_filter(platform.machine()):
        return f"{why} {HOW}"
    if shutil.which("bwrap") is None:
        return f"bubblewrap is not installed. {HOW}"
    with (
        filter_file() as rules,
        tempfile.NamedTemporaryFile() as secret,
        socket.create_server(("127.0.0.1", 0)) as server,
    ):
        outside = [secret.name, __file__, str(server.getsockname()[1])]
        command = Sandbox().command([sys.executable, "-c", LOOK_OUT, *outside], rules.fileno())
        try:
            done = subprocess.run(
                command,
                pass_fds=[rules.fileno()],
                stdin=subprocess.DEVNULL,
                timeout=60,
                capture_output=True,
                text=True,
                errors="replace",
                env=Sandbox().environment(),
            )
        except subprocess.TimeoutExpired:
            return f"bubblewrap does not start: no answer within a minute. {HOW}"
    told, _, seen = done.stdout.strip().partition(" ")
    if told == "3":
        return f"bubblewrap runs, but {seen} can be reached from inside. {HOW}" if seen else None
    said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
    return (
        f"bubblewrap cannot make a sandbox here ({said}). In a container, allow it user "
        f"namespaces; on Ubuntu 24.04 and later, allow bwrap in AppArmor. {HOW}"
    )


# Run inside: does NumPy work, and is what stands outside not there?
LOOK_OUT = """
import os, socket, sys
import numpy
*files, port = sys.argv[1:]
seen = [path for path in files if os.path.exists(path)]
try:
    socket.create_connection(("127.0.0.1", int(port)), timeout=5)
    seen.append("the network")
except OSError:
    pass
if sum(name.isdigit() for name in os.listdir("/proc")) > 5:
    seen.append("another process")
if os.access("/usr", os.W_OK):
    seen.append("the system, to write in it")
print(numpy.arange(3).sum(), " and ".join(seen))
"""


def _system_paths() -> list[str]:
    """Programs and libraries: the system's, Python's, ours. Nothing of /home, /var, /root, /etc."""
    wanted = ["/usr", *_real("/bin", "/sbin", "/lib", "/lib32", "/lib64")]
    wanted += ["/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/localtime"]
    wanted += ["/etc/alternatives", "/etc/fonts", "/etc/mime.types"]
    # The course's package alone: homework, gradebook and tests are its neighbours.
    wanted += [sys.base_prefix, sys.prefix, str(Path(course_utils.__file__).parent)]
    found: list[str] = []
    for path in filter(os.path.exists, wanted):
        if not any(Path(path).is_relative_to(parent) for parent in found):
            found.append(path)
    return found


def _ours() -> list[str]:
    """Of grading, what runs inside; its other rooms know the gradebook and these walls."""
    words = [*_parents(str(GRADING)), "--size", str(MB), "--tmpfs", str(GRADING)]
    for path in SEEN:
        words += ["--ro-bind", str(path), str(path)]
    return [*words, "--remount-ro", str(GRADING)]


def sees(path: Path) -> bool:
    """Whether a folder of ours lies in what every sandbox can read."""
    path = Path(path).resolve()
    if any(path.is_relative_to(hidden) for hidden in HIDDEN):
        return False
    shown = [*_system_paths(), *map(str, SEEN)]
    return any(path.is_relative_to(Path(seen).resolve()) for seen in shown)


def _parents(path: str) -> list[str]:
    """Folders above a path that others, too, can go through; bubblewrap's own are its user's."""
    above = [str(parent) for parent in reversed(Path(path).parents)][1:]
    above = [parent for parent in above if parent not in ("/tmp", WORK)]
    return [word for parent in above for word in ("--perms", "0755", "--dir", parent)]


def _real(*paths: str) -> list[str]:
    return [path for path in paths if os.path.isdir(path) and not os.path.islink(path)]


def _system_links() -> list[tuple[str, str]]:
    """/bin and the like are links into /usr on most systems."""
    names = ("/bin", "/sbin", "/lib", "/lib32", "/lib64")
    return [(name, os.readlink(name)) for name in names if os.path.islink(name)]
