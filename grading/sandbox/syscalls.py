"""The filter of system calls: it closes the doors that lead around a sandbox's limits.

libseccomp (https://github.com/seccomp/libseccomp) knows each call's number on each machine.
"""

from __future__ import annotations

import errno
import platform
import tempfile
from typing import IO

__all__ = ["DENIED", "filter_file", "system_call_filter", "why_no_filter"]

MACHINES = {"x86_64": "X86_64", "aarch64": "AARCH64"}  # on which it was tried; libseccomp's names
# Doors around the limits: memory that no process holds (memfd, System V), namespaces of one's own,
# in which one may mount folders without limits, and rarely used parts of the kernel.
DENIED = (
    *("shmget", "semget", "msgget", "memfd_create", "memfd_secret"),
    *("unshare", "setns", "mount", "umount2", "pivot_root", "chroot", "mount_setattr"),
    *("open_tree", "move_mount", "fsopen", "fsconfig", "fsmount"),
    *("ptrace", "process_vm_readv", "process_vm_writev", "personality"),
    *("name_to_handle_at", "open_by_handle_at", "userfaultfd", "perf_event_open", "bpf"),
    *("io_uring_setup", "io_uring_enter", "fanotify_init", "add_key", "request_key", "keyctl"),
    *("init_module", "finit_module", "kexec_load", "reboot", "swapon", "quotactl", "acct"),
    "syslog",
)
NAMESPACES = (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000)


def why_no_filter(machine: str) -> str | None:
    """Why there is no filter for this kind of machine, in one sentence; None if there is one."""
    if machine not in MACHINES:
        return f"The filter of system calls does not know {machine} machines."
    try:
        import pyseccomp
    except (ImportError, RuntimeError, OSError):  # the library itself is the system's
        return (
            "libseccomp is not installed (Debian, Ubuntu: `sudo apt install libseccomp2`; "
            "Fedora: `sudo dnf install libseccomp`)."
        )
    for name in DENIED:
        if pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name) == -1:
            return f"libseccomp is too old to know {name}: 2.5.2 or newer does."
    return None


def filter_file(machine: str | None = None) -> IO[bytes]:
    """The filter in a file that bubblewrap can inherit; close it when bubblewrap has started.

    It holds a classic BPF program, as the kernel reads it (seccomp(2)). Denied calls fail with
    "not permitted". `clone3` fails with "no such call", because a filter cannot look at its
    arguments; the C library then takes `clone`, whose flags are looked at. Another machine's
    calls end the process.
    """
    import pyseccomp
    from pyseccomp import ALLOW, ERRNO, KILL_PROCESS, MASKED_EQ, Arch, Arg, Attr

    rules = pyseccomp.SyscallFilter(ALLOW)
    rules.set_attr(Attr.ACT_BADARCH, KILL_PROCESS)
    wanted = getattr(Arch, MACHINES[machine or platform.machine()])
    if not rules.exist_arch(wanted):
        rules.add_arch(wanted)
        rules.remove_arch(Arch.NATIVE)
    for name in DENIED:
        rules.add_rule(ERRNO(errno.EPERM), name)
    for flag in NAMESPACES:
        rules.add_rule(ERRNO(errno.EPERM), "clone", Arg(0, MASKED_EQ, flag, flag))
    rules.add_rule(ERRNO(errno.ENOSYS), "clone3")
    file = tempfile.TemporaryFile()
    rules.export_bpf(file)
    file.seek(0)
    return file


def system_call_filter(machine: str | None = None) -> bytes:
    """The filter's program, for this machine or another."""
    with filter_file(machine) as file:
        return file.read()
