"""The filter of system calls: it closes the doors that lead around a sandbox's limits."""

from __future__ import annotations

import platform
import struct
import tempfile

__all__ = ["filter_file", "knows", "system_call_filter"]

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


def knows(machine: str) -> bool:
    """Whether there is a filter for this kind of machine, as platform.machine() names it."""
    return machine in _CALLS


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
