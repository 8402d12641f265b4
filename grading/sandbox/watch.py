"""The watch: bounds what all processes of a sandbox use together, and ends them."""

from __future__ import annotations

import contextlib
import glob
import os
import threading
import time

import psutil

from grading.sandbox.walls import MB, WORK, Limits

__all__ = ["Watch", "family", "kill_tree"]

MOST_FILES = 50_000  # in the writable folders: an empty file costs memory, too, but no size


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
