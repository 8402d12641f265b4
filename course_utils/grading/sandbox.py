"""A sandbox for code written by strangers: namespaces, limits, and somebody who watches.

Inside there is a read-only system, an empty folder of its own, no network, no other process and
no way back: what a submission sees is listed in `Sandbox.command`, everything else is absent.
bubblewrap (https://github.com/containers/bubblewrap) makes the namespaces; the kernel's resource
limits bound each process; a filter of system calls closes the doors that lead around those; and a
watch bounds what all processes use together. Instructors only.
"""

from __future__ import annotations

import contextlib
import functools
import glob
import os
import platform
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

import course_utils

__all__ = ["Limits", "NoSandbox", "Sandbox", "Watch", "why_no_sandbox"]

MB = 1024**2
HIDDEN = ("/usr/local/share", "/usr/src")  # nbgrader's exchange may lie there: other students' work
MOST_FILES = 50_000  # in the writable folders: an empty file costs memory, too, but no size
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
    output : bytes of output kept of one cell, and a tenth of what is kept of all; the rest is
        left out.
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
    flood: int = 50 * MB


@dataclass(frozen=True)
class Sandbox:
    """One sandbox to be: what can be seen in it besides the system.

    files : ``{path inside: path outside}``, read-only; relative ones stand in the work folder.
    env : environment variables; nothing of ours is inherited.
    limits : what it may use.
    uid : whom the processes run as; drawn where not given. Only root can choose, and must.
    """

    files: Mapping[str, str | Path] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = Limits()
    uid: int = field(default_factory=lambda: random.randrange(2**30, 2**31 - 2))

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
    if platform.machine() not in _CALLS:
        return f"The filter of system calls does not know {platform.machine()} machines. {HOW}"
    if shutil.which("bwrap") is None:
        return f"bubblewrap is not installed. {HOW}"
    with filter_file() as rules:
        code = "import numpy; print(numpy.arange(3).sum())"
        command = Sandbox().command([sys.executable, "-c", code], rules.fileno())
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
    if done.stdout.strip() == "3":
        return None
    said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
    return (
        f"bubblewrap cannot make a sandbox here ({said}). In a container, allow it user "
        f"namespaces; on Ubuntu 24.04 and later, allow bwrap in AppArmor. {HOW}"
    )


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


def sees(path: Path) -> bool:
    """Whether a folder of ours lies in what every sandbox can read."""
    path = Path(path).resolve()
    if any(path.is_relative_to(hidden) for hidden in HIDDEN):
        return False
    return any(path.is_relative_to(Path(seen).resolve()) for seen in _system_paths())


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


# ------------------------------------------------------------------ the filter of system calls

# Doors around the limits above: memory that no process holds (memfd, System V), namespaces of
# one's own, in which one may mount folders without limits, and rarely used parts of the kernel.
_CALLS = {
    "x86_64": (
        0xC000003E,
        56,
        435,
        {
            "shmget": 29,
            "semget": 64,
            "msgget": 68,
            "ptrace": 101,
            "syslog": 103,
            "personality": 135,
            "pivot_root": 155,
            "chroot": 161,
            "acct": 163,
            "mount": 165,
            "umount2": 166,
            "swapon": 167,
            "reboot": 169,
            "init_module": 175,
            "quotactl": 179,
            "kexec_load": 246,
            "add_key": 248,
            "request_key": 249,
            "keyctl": 250,
            "unshare": 272,
            "perf_event_open": 298,
            "fanotify_init": 300,
            "name_to_handle_at": 303,
            "open_by_handle_at": 304,
            "setns": 308,
            "process_vm_readv": 310,
            "process_vm_writev": 311,
            "finit_module": 313,
            "memfd_create": 319,
            "bpf": 321,
            "userfaultfd": 323,
        },
    ),
    "aarch64": (
        0xC00000B7,
        220,
        435,
        {
            "umount2": 39,
            "mount": 40,
            "pivot_root": 41,
            "chroot": 51,
            "quotactl": 60,
            "acct": 89,
            "personality": 92,
            "unshare": 97,
            "kexec_load": 104,
            "init_module": 105,
            "syslog": 116,
            "ptrace": 117,
            "reboot": 142,
            "msgget": 186,
            "semget": 190,
            "shmget": 194,
            "add_key": 217,
            "request_key": 218,
            "keyctl": 219,
            "swapon": 224,
            "perf_event_open": 241,
            "fanotify_init": 262,
            "name_to_handle_at": 264,
            "open_by_handle_at": 265,
            "setns": 268,
            "process_vm_readv": 270,
            "process_vm_writev": 271,
            "finit_module": 273,
            "memfd_create": 279,
            "bpf": 280,
            "userfaultfd": 282,
        },
    ),
}
# Newer calls have one number on all machines.
_NEW_CALLS = {
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "mount_setattr": 442,
    "memfd_secret": 447,
}


def system_call_filter(machine: str | None = None) -> bytes:
    """The filter as the kernel reads it: a classic BPF program (seccomp(2)).

    Denied calls fail with "not permitted". `clone3` fails with "no such call", because a filter
    cannot look at its arguments; the C library then takes `clone`, whose flags are looked at.
    """
    architecture, clone, clone3, numbers = _CALLS[machine or platform.machine()]
    load, equal, at_least, any_bit, give = 0x20, 0x15, 0x35, 0x45, 0x06
    allow, kill, not_permitted, no_call = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026
    new_namespace = 0x7E020000  # CLONE_NEWNS, -CGROUP, -UTS, -IPC, -USER, -PID, -NET

    program = [(load, 0, 0, 4), (equal, 1, 0, architecture), (give, 0, 0, kill)]
    program += [(load, 0, 0, 0), (at_least, 0, 1, 0x40000000), (give, 0, 0, no_call)]
    for number in sorted({*numbers.values(), *_NEW_CALLS.values()}):
        program += [(equal, 0, 1, number), (give, 0, 0, not_permitted)]
    program += [(equal, 0, 1, clone3), (give, 0, 0, no_call)]
    program += [(equal, 0, 3, clone), (load, 0, 0, 16), (any_bit, 0, 1, new_namespace)]
    program += [(give, 0, 0, not_permitted), (give, 0, 0, allow)]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def filter_file():
    """The filter in a file that bubblewrap can inherit; close it when bubblewrap has started."""
    file = tempfile.TemporaryFile()
    file.write(system_call_filter())
    file.flush()
    file.seek(0)
    return file


# ------------------------------------------------------------------ the watch


class Watch:
    """Watches the processes of a sandbox together, and kills them all when they use too much.

    Use as a context; `verdict` says what was exceeded, and is None while nothing is.
    """

    INTERVAL = 0.1

    def __init__(self, pid: int, limits: Limits, name: str = "the submission") -> None:
        self.verdict: str | None = None
        self.limits, self.name = limits, name
        self.root = psutil.Process(pid)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"watch {pid}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._end.wait(self.INTERVAL):
            try:
                self.verdict = self._exceeded(family(self.root))
                if self.verdict:
                    kill_tree(self.root)
                    return
            except psutil.NoSuchProcess:
                return

    def _exceeded(self, processes: list[psutil.Process]) -> str | None:
        limits = self.limits
        cpu = threads = memory = 0.0
        for process in processes:
            try:
                with process.oneshot():
                    cpu += sum(process.cpu_times()[:4])
                    threads += process.num_threads()
                    memory += process.memory_info().rss
            except psutil.Error:  # it ended while we looked
                continue
        if memory > limits.memory:  # processes share pages: count each page once
            memory = sum(map(_own_memory, processes))
        if memory > limits.memory:
            return f"{self.name} used more than {limits.memory // MB:,} MB of memory"
        if cpu > limits.cpu_seconds:
            return f"{self.name} used more than {limits.cpu_seconds:g} seconds of processor time"
        if _files_of(processes[-1].pid) > MOST_FILES:
            return f"{self.name} made more than {MOST_FILES:,} files"
        if threads > 2 * limits.processes:
            return f"{self.name} started more than {2 * limits.processes} processes"
        return None


def _files_of(pid: int) -> int:
    """Files in the writable folders of a sandbox, which one of its processes sees."""
    count = 0
    if not os.path.isdir(f"/proc/{pid}/root{WORK}"):
        return 0
    for folder in ("/tmp", "/dev/shm"):
        with contextlib.suppress(OSError):
            found = os.statvfs(f"/proc/{pid}/root{folder}")
            count += found.f_files - found.f_ffree
    return count


def _own_memory(process: psutil.Process) -> int:
    try:
        return process.memory_full_info().pss
    except psutil.Error:
        return 0


def family(root: psutil.Process) -> list[psutil.Process]:
    """A process and all that came from it: in a sandbox, all that there are.

    Raises psutil.NoSuchProcess where it has ended.
    """
    if not os.path.exists(f"/proc/{root.pid}/task/{root.pid}/children"):
        return [root, *root.children(recursive=True)]
    # The kernel's own lists: psutil would look at every process of the machine.
    found, waiting = [], [root.pid]
    while waiting and len(found) < 10_000:
        pid = waiting.pop()
        with contextlib.suppress(psutil.NoSuchProcess):
            found.append(psutil.Process(pid))
        for path in glob.glob(f"/proc/{pid}/task/*/children"):
            with contextlib.suppress(OSError), open(path) as file:
                waiting += map(int, file.read().split())
    if not root.is_running():
        raise psutil.NoSuchProcess(root.pid)
    return found


def kill_tree(root: psutil.Process, patience: float = 10.0) -> None:
    """Kill a process and all that came from it; return when none is left.

    With a sandbox, the end of its first process is the end of all: they share its namespace.
    """
    try:
        processes = [root, *family(root)[1:]]
    except psutil.NoSuchProcess:
        return
    # The first one last: it sees the others end, and nobody is left behind as a zombie.
    for process in reversed(processes):
        if process is root:
            _wait_for([root], patience=2.0 if len(processes) > 1 else 0.0)
        with contextlib.suppress(psutil.Error):
            process.kill()
    _wait_for(processes, patience)


def _wait_for(processes: list[psutil.Process], patience: float) -> None:
    end = time.monotonic() + patience
    while time.monotonic() < end and any(map(_lives, processes)):
        time.sleep(0.01)


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
