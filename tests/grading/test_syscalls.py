"""The filter of system calls decides as the numbers in the kernel's own headers want it."""

import struct
import sys

import pytest

from grading.sandbox.syscalls import DENIED, system_call_filter, why_no_filter

ALLOWED, NOT_PERMITTED, NO_CALL, KILLED = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000
# Read off the kernel's headers (asm/unistd.h) by hand, once: libseccomp must find the same.
NUMBERS = {
    "x86_64": dict(
        acct=163,
        add_key=248,
        bpf=321,
        chroot=161,
        fanotify_init=300,
        finit_module=313,
        init_module=175,
        kexec_load=246,
        keyctl=250,
        memfd_create=319,
        mount=165,
        msgget=68,
        name_to_handle_at=303,
        open_by_handle_at=304,
        perf_event_open=298,
        personality=135,
        pivot_root=155,
        process_vm_readv=310,
        process_vm_writev=311,
        ptrace=101,
        quotactl=179,
        reboot=169,
        request_key=249,
        semget=64,
        setns=308,
        shmget=29,
        swapon=167,
        syslog=103,
        umount2=166,
        unshare=272,
        userfaultfd=323,
    ),
    "aarch64": dict(
        acct=89,
        add_key=217,
        bpf=280,
        chroot=51,
        fanotify_init=262,
        finit_module=273,
        init_module=105,
        kexec_load=104,
        keyctl=219,
        memfd_create=279,
        mount=40,
        msgget=186,
        name_to_handle_at=264,
        open_by_handle_at=265,
        perf_event_open=241,
        personality=92,
        pivot_root=41,
        process_vm_readv=270,
        process_vm_writev=271,
        ptrace=117,
        quotactl=60,
        reboot=142,
        request_key=218,
        semget=190,
        setns=268,
        shmget=194,
        swapon=224,
        syslog=116,
        umount2=39,
        unshare=97,
        userfaultfd=282,
    ),
}
NEWER = dict(  # these have one number on all machines
    fsconfig=431,
    fsmount=432,
    fsopen=430,
    io_uring_enter=426,
    io_uring_setup=425,
    memfd_secret=447,
    mount_setattr=442,
    move_mount=429,
    open_tree=428,
)
ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
CLONE, CLONE3 = {"x86_64": 56, "aarch64": 220}, 435
NEW_NAMESPACE = 0x7E020000  # CLONE_NEWNS, -CGROUP, -UTS, -IPC, -USER, -PID, -NET


def follow(program, number, architecture, flags=0):
    """What the filter answers to a system call: a little machine for classic BPF."""
    words = {0: number, 4: architecture, 16: flags & 0xFFFFFFFF, 20: flags >> 32}
    instructions = [struct.unpack_from("=HBBI", program, i) for i in range(0, len(program), 8)]
    at, value = 0, 0
    while True:
        code, yes, no, k = instructions[at]
        if code == 0x20:
            value = words[k]
        elif code == 0x54:
            value &= k
        elif code == 0x06:
            return k
        else:
            true = {0x15: value == k, 0x25: value > k, 0x35: value >= k, 0x45: bool(value & k)}
            at += yes if true[code] else no
        at += 1


@pytest.mark.parametrize("machine", NUMBERS)
def test_each_call_is_decided_as_by_its_number(machine):
    program, architecture = system_call_filter(machine), ARCHITECTURE[machine]
    known = {**NUMBERS[machine], **NEWER}
    assert set(known) == set(DENIED)
    denied = {*known.values()}
    for number in range(470):
        wanted = NOT_PERMITTED if number in denied else ALLOWED
        wanted = NO_CALL if number == CLONE3 else wanted
        assert follow(program, number, architecture) == wanted, number


@pytest.mark.parametrize("machine", NUMBERS)
def test_no_flag_of_clone_that_makes_a_namespace_goes_through(machine):
    program, architecture = system_call_filter(machine), ARCHITECTURE[machine]
    for bit in range(64):
        for others in (0, 0x01200011, 0x3D0F00):  # alone, a fork, a thread
            flags = others | 1 << bit
            wanted = NOT_PERMITTED if flags & NEW_NAMESPACE else ALLOWED
            assert follow(program, CLONE[machine], architecture, flags) == wanted, hex(flags)


@pytest.mark.parametrize("machine", NUMBERS)
def test_another_machines_calls_end_the_process(machine):
    program = system_call_filter(machine)
    for other in (0x12345678, 0x40000003, *ARCHITECTURE.values()):  # 0x40000003: 32 bits
        if other != ARCHITECTURE[machine]:
            assert follow(program, 1, other) == KILLED
    if machine == "x86_64":  # x32: the same architecture, other numbers
        assert follow(program, 0x40000001, ARCHITECTURE[machine]) == KILLED


def test_what_the_filter_lacks_is_said(monkeypatch):
    assert "riscv64 machines" in why_no_filter("riscv64")
    assert why_no_filter("x86_64") is None
    monkeypatch.setattr("pyseccomp.resolve_syscall", lambda arch, name: -1)
    assert "libseccomp is too old to know shmget" in why_no_filter("x86_64")
    monkeypatch.setitem(sys.modules, "pyseccomp", None)
    assert "apt install libseccomp2" in why_no_filter("x86_64")
