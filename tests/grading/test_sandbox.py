"""What is seen and what can be done in the sandbox, and what happens where there is none."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil
import pytest
import zmq
from jupyter_core.utils import ensure_event_loop

import course_utils
from grading.run.kit import Kit
from grading.run.submission import Grader
from grading.sandbox import walls, watch
from grading.sandbox.client import Kernel
from grading.sandbox.provisioner import sandboxed_kernel
from grading.sandbox.syscalls import filter_file
from grading.sandbox.walls import (
    MB,
    Limits,
    NoSandbox,
    Sandbox,
    why_no_sandbox,
)
from grading.sandbox.watch import Watch
from tests.grading.toy import ALL, hand_in, handed_in, make_course, released, right

needs_sandbox = pytest.mark.skipif(
    bool(why_no_sandbox()) and not os.environ.get("CI"), reason=str(why_no_sandbox())
)


def run_inside(code, **settings):
    """What Python code prints in a sandbox."""
    box = Sandbox(**settings)
    with filter_file() as rules:
        return subprocess.run(
            box.command([sys.executable, "-c", code], rules.fileno()),
            env=box.environment(),
            pass_fds=[rules.fileno()],
            capture_output=True,
            text=True,
            timeout=60,
        ).stdout.strip()


@needs_sandbox
def test_the_system_and_the_package_are_seen_and_nothing_beside_them():
    root = Path(course_utils.__file__).parents[1]
    code = f"""import os
print(sorted(os.listdir('/')), os.listdir({str(root)!r}), os.path.exists('/etc/passwd'))
print(os.listdir('/tmp/work'), sorted(os.environ))"""
    first, second = run_inside(code, env={"GIVEN": "1"}).splitlines()
    assert not any(f"'{name}'" in first for name in ("home", "var", "mnt", "media", "boot", "sys"))
    assert "'notebooks'" not in first and "'homework'" not in first and "'.git'" not in first
    assert first.endswith("False") and second.startswith("[] ")
    ours = {"GIVEN", "LC_CTYPE", "PWD", *Sandbox().environment()}
    assert set(eval(second.removeprefix("[] "))) <= ours


@needs_sandbox
def test_of_grading_only_what_runs_inside_is_seen():
    folder = str(walls.GRADING)
    code = f"""import importlib, os
print(sorted(os.listdir({folder!r})), os.access({folder!r}, os.W_OK))
import grading.inside.tester, grading.inside.hidden
for name in ('course', 'cli', 'cells', 'term.export', 'run.batch', 'sandbox.walls'):
    try: importlib.import_module('grading.' + name); print('SEEN', name)
    except ImportError: pass
    if os.path.exists({folder!r} + '/' + name.replace('.', '/') + '.py'): print('SEEN', name)"""
    assert run_inside(code) == "['__init__.py', 'inside'] False"


@needs_sandbox
def test_files_that_are_given_can_be_read_and_not_written(tmp_path):
    (tmp_path / "table.json").write_text("{}")
    code = """import os
print(open('table.json').read())
for what in (lambda: open('table.json', 'w'), lambda: os.remove('table.json')):
    try: what(); print('DONE')
    except OSError: pass"""
    assert run_inside(code, files={"table.json": tmp_path / "table.json"}) == "{}"


@needs_sandbox
def test_no_writable_folder_is_unlimited():
    code = """import os
for line in open('/proc/self/mounts'):
    path, options = line.split()[1], line.split()[3]
    if options.split(',')[0] == 'rw' and os.access(path, os.W_OK) and 'proc' not in path:
        print(path, 'size=' in options)"""
    found = dict(line.split() for line in run_inside(code).splitlines())
    assert {path for path, limited in found.items() if limited == "True"} >= {"/tmp", "/dev/shm"}
    assert [
        p
        for p, limited in found.items()
        if limited == "False" and os.path.isdir(p) and p not in ("/dev/pts", "/dev/mqueue")
    ] == []


@pytest.mark.parametrize(
    "code, limits, word",
    [
        ("x = bytearray(b'1') * 200_000_000\ninput()", {"memory": 100 * MB}, "memory"),
        ("while True: pass", {"cpu_seconds": 0.2}, "processor time"),
        (
            "import threading, time\nfor _ in range(9): "
            "threading.Thread(target=time.sleep, args=(60,)).start()",
            {"processes": 3},
            "processes",
        ),
    ],
)
def test_the_watch_ends_what_uses_too_much(code, limits, word):
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
    watch = Watch(process.pid, Limits(**limits))
    process.wait(timeout=60)
    end = time.monotonic() + 10
    while watch.verdict is None and time.monotonic() < end:
        time.sleep(0.02)
    watch.close()
    process.stdin.close()
    assert word in watch.verdict and process.returncode != 0


def test_killing_a_tree_leaves_nothing_of_it():
    code = "import subprocess, sys\nsubprocess.run(['sleep', '987'])"
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        root = psutil.Process(process.pid)
        while len(tree := watch.family(root)) < 2:
            time.sleep(0.02)
        watch.kill_tree(root)
        assert [p for p in tree if watch._lives(p)] == []


# ------------------------------------------------------------------ where there is none


@needs_sandbox
def test_a_kernel_is_ended_although_it_takes_no_message(monkeypatch):
    with tempfile.TemporaryDirectory() as folder, zmq.Context() as context:
        kernel = Kernel(Sandbox(), Path(folder) / "k", "the submission", True, [], 1)
        kernel.wait()
        cut = context.socket(zmq.DEALER)  # nobody at its other end: what is sent here waits
        monkeypatch.setattr(kernel.manager, "_control_socket", cut)

        def end():
            with contextlib.closing(ensure_event_loop()):
                kernel.close()

        ending = threading.Thread(target=end, daemon=True)
        ending.start()
        ending.join(30)
        ended = not ending.is_alive() and kernel.process.poll() is not None
        kernel.process.kill()
        cut.close(linger=0)
        assert ended


@pytest.fixture
def no_bubblewrap(monkeypatch):
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "bwrap" else which(name))
    why_no_sandbox.cache_clear()
    yield
    why_no_sandbox.cache_clear()


def test_without_a_sandbox_nothing_runs_and_the_way_to_one_is_shown(no_bubblewrap, tmp_path):
    assert "apt install bubblewrap" in why_no_sandbox() and "--unprotected" in why_no_sandbox()
    with pytest.raises(NoSandbox, match="bubblewrap is not installed"):
        sandboxed_kernel(tmp_path, sandbox=Sandbox())


def test_a_sandbox_without_walls_is_noticed(monkeypatch, tmp_path):
    """A bubblewrap that starts a program and hides nothing, as another of that name might."""
    fake = tmp_path / "bwrap"
    fake.write_text('#!/bin/sh\nwhile [ "$1" != "--" ]; do shift; done\nshift\nexec "$@"\n')
    fake.chmod(0o755)
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: str(fake) if name == "bwrap" else which(name))
    why_no_sandbox.cache_clear()
    said = why_no_sandbox()
    why_no_sandbox.cache_clear()
    for word in ("walls.py", tempfile.gettempdir(), "the network", "another process"):
        assert word in said
    assert "--unprotected" in said


@pytest.mark.parametrize(
    "system, machine, word",
    [
        ("darwin", "arm64", "no bubblewrap"),
        ("linux", "riscv64", "riscv64 machines"),
    ],
)
def test_other_systems_and_machines_are_refused(monkeypatch, system, machine, word):
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr("platform.machine", lambda: machine)
    why_no_sandbox.cache_clear()
    assert word in why_no_sandbox()
    why_no_sandbox.cache_clear()


def test_unprotected_grading_gives_the_same_grades(no_bubblewrap, tmp_path):
    course, _, kit = make_course(tmp_path / "course", protected=False)
    hand_in(course, "ada", right(released(course)))
    assert isinstance(kit, Kit)
    with Grader(kit) as grader:
        graded = grader.grade(handed_in(course, "ada").read_bytes())
    tests = [c for c in graded.notebook["cells"] if c["metadata"].get("nbgrader", {}).get("points")]
    failed = [c for c in tests for o in c.get("outputs", []) if o["output_type"] == "error"]
    assert len(tests) > ALL // 2 and failed == [] and graded.notes == ()
