"""run.py: set-up that skips, repairs and explains itself, and commands that hand over."""

import ast
import errno
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

import run

ROOT = Path(run.__file__).parent
POSIX = os.name == "posix"


def started(*arguments, **variables):
    """run.py in a process of its own: its exit code, standard output and standard error."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "run.py"), *arguments],
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    return done.returncode, done.stdout, done.stderr


def stand_in(monkeypatch, name, action):
    """Let the command of this name do `action` instead."""

    def command(options, extra):
        """a stand-in"""
        action()

    command.__name__ = name
    monkeypatch.setattr(run, name, command)


# --- The face it shows ----------------------------------------------------------------------------


def test_help_lists_every_command_with_its_purpose():
    code, shown, _ = started("--help", COLUMNS="300")
    assert code == 0
    for command in (run.lab, run.test, run.build, run.site, run.bench, run.lock):
        assert f"{command.__name__} " in shown and command.__doc__ in shown


def test_an_unknown_command_is_refused():
    code, _, said = started("lag")
    assert code != 0 and "invalid choice: 'lag'" in said and "Traceback" not in said


@pytest.mark.parametrize("path", ["run.py", "tools/__init__.py", "tools/browser.py"])
def test_an_old_python_can_read_far_enough_to_be_told(path):
    ast.parse((ROOT / path).read_text(encoding="utf-8"), feature_version=(3, 8))


@pytest.mark.parametrize("version", [(2, 7, 18), (3, 8, 18), (3, 10, 13)])
def test_a_python_that_is_too_old_is_told_so(version):
    with pytest.raises(run.Stop, match=r"Python {}\.{}, and .* needs 3\.11".format(*version)):
        run.check_python(version)


@pytest.mark.parametrize("version", [(3, 11, 0), (3, 12, 1), (4, 0, 0)])
def test_a_python_that_is_new_enough_may_go_on(version):
    run.check_python(version)


# --- Set-up ---------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A copy of what set-up reads, with steps that are written down instead of run."""
    for name in ("pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    steps = []

    def attempt(title, command, log, hopeless=None):
        steps.append(command)
        if "venv" in command:
            python = Path(command[-1]) / ("Scripts/python.exe" if not POSIX else "bin/python")
            python.parent.mkdir(parents=True)
            python.write_text("an interpreter")
        return 0, ""

    monkeypatch.setattr(run, "ROOT", tmp_path)
    monkeypatch.setattr(run, "attempt", attempt)
    monkeypatch.setattr(run, "works", lambda python: python.is_file())
    return tmp_path, steps


def test_the_second_run_skips_set_up(project):
    folder, steps = project
    first = run.set_up([])
    assert len(steps) == 4  # environment, torch, the rest, JupyterLab's question
    assert run.set_up([]) == first and Path(first).is_relative_to(folder / ".venv")
    assert len(steps) == 4


def test_tests_add_to_the_environment_of_the_lab_and_serve_it(project):
    _, steps = project
    run.set_up([])
    run.set_up(["test"])
    assert len(steps) == 7 and ".[test]" in steps[5]  # the environment itself stays
    run.set_up([])
    assert len(steps) == 7


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_a_change_of_either_file_sets_up_again(project, name):
    folder, steps = project
    run.set_up([])
    with open(folder / name, "a", encoding="utf-8") as file:
        file.write("# changed\n")
    run.set_up([])
    assert len(steps) == 7


def test_a_moved_project_is_installed_again(project, monkeypatch):
    folder, steps = project
    run.set_up([])
    moved = folder.with_name(folder.name + " moved")
    folder.rename(moved)
    monkeypatch.setattr(run, "ROOT", moved)
    run.set_up([])
    assert len(steps) == 7


@pytest.mark.parametrize("number", [1, 2, 3, 4])
@pytest.mark.parametrize("trouble", [KeyboardInterrupt(), OSError(), None], ids=repr)
def test_set_up_that_did_not_end_is_repaired_by_the_next_run(project, number, trouble):
    folder, steps = project
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "attempt", troubled(run.attempt, number, trouble))
        with pytest.raises(type(trouble) if trouble else run.Stop):
            run.set_up([])
    assert not (folder / ".venv" / "setup.stamp").exists()
    steps.clear()
    run.set_up([])
    assert len(steps) == (4 if number == 1 else 3)  # an environment that was made is kept
    run.set_up([])
    assert len(steps) == (4 if number == 1 else 3)


def test_an_interrupted_update_is_not_taken_for_the_old_environment(project):
    folder, steps = project
    run.set_up([])
    tested = (folder / "constraints.txt").read_text(encoding="utf-8")
    (folder / "constraints.txt").write_text("torch==7.8.9\n", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "attempt", troubled(run.attempt, 3, KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            run.set_up([])
    (folder / "constraints.txt").write_text(tested, encoding="utf-8")
    steps.clear()
    run.set_up([])
    assert len(steps) == 3


def troubled(healthy, number, trouble):
    """An `attempt` whose step of this number raises `trouble`, or fails where that is None."""

    def attempt(title, command, log, hopeless=None):
        if not title.startswith(f"{number}/4"):
            return healthy(title, command, log, hopeless)
        if trouble:
            raise trouble
        return 1, FULL

    return attempt


def test_a_half_made_environment_is_made_anew(project):
    folder, steps = project
    (folder / ".venv" / "bin").mkdir(parents=True)
    (folder / ".venv" / "left_over").write_text("")
    run.set_up([])
    assert not (folder / ".venv" / "left_over").exists()
    assert "venv" in steps[0]


def test_each_end_of_the_ranges_has_its_own_environment(project):
    folder, steps = project
    run.set_up(["test"], "lowest")
    run.set_up(["test"], "newest")
    assert len(steps) == 8
    assert not (folder / ".venv").exists()


def test_lock_writes_what_it_froze_to_every_place(project, monkeypatch):
    folder, _ = project
    (folder / "binder").mkdir()
    shutil.copy(ROOT / "environment.yml", folder)
    shutil.copy(ROOT / "environment.yml", folder / "binder")
    lines = run.read(folder / "constraints.txt").splitlines(keepends=True)
    header = "".join(line for line in lines if line.startswith("#"))
    names = re.findall(r"- (\S+)==", run.read(folder / "environment.yml"))
    frozen = "".join(f"{name}==99.{i}\n" for i, name in enumerate(names))
    frozen = re.sub(r"^torch==.*", r"\g<0>+cpu", frozen, flags=re.M)
    answer = subprocess.CompletedProcess([], 0, stdout=frozen)
    monkeypatch.setattr(run.subprocess, "run", lambda *args, **options: answer)
    assert run.main(["lock"]) == 0
    assert run.read(folder / "constraints.txt") == header + frozen.replace("+cpu", "")
    written = run.read(folder / "environment.yml")
    assert re.findall(r"==(\S+)", written) == [f"99.{i}" for i in range(len(names))]
    assert run.read(folder / "binder" / "environment.yml") == written


def test_lowest_turns_every_bound_into_a_pin():
    lowest = run.requirements(["test"], "lowest")
    *pinned, _, project = lowest
    assert project == ".[test]" and all(re.fullmatch(r"[\w-]+==[\d.]+", text) for text in pinned)
    assert {text.split("==")[0] for text in pinned} > {"numpy", "torch", "pytest"}


def test_newest_ignores_the_constraints():
    torch, *course = run.requirements(["test"], "newest")
    assert torch.startswith("torch>=") and course == ["-e", ".[test]"]


def test_newest_is_made_anew_each_time(project):
    _, steps = project
    run.set_up(["test"], "newest")
    run.set_up(["test"], "newest")
    assert len(steps) == 8


def test_torch_is_pinned_by_the_constraints_alone(project):
    folder, steps = project
    (folder / "constraints.txt").write_text("torch==7.8.9\n", encoding="utf-8")
    run.set_up([])
    assert "torch==7.8.9" in steps[1] and "--no-deps" in steps[1]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only there two builds exist")
def test_torch_comes_from_the_usual_index_where_the_cpu_index_fails(project, monkeypatch):
    healthy, asked = run.attempt, []

    def no_cpu_index(title, command, log, hopeless=None):
        asked.append(command)
        if run.CPU_INDEX in command:
            return 1, NO_NETWORK
        return healthy(title, command, log, hopeless)

    monkeypatch.setattr(run, "attempt", no_cpu_index)
    run.set_up([])
    torch = [command for command in asked if any(map(run.is_torch, command))]
    assert [run.CPU_INDEX in command for command in torch[:2]] == [True, False]


def test_a_package_that_pip_did_not_finish_is_forgotten(tmp_path):
    packages = tmp_path / ("lib/python3.11/site-packages" if POSIX else "Lib/site-packages")
    for name in ("half", "whole"):
        (packages / f"{name}-1.0.dist-info").mkdir(parents=True)
        (packages / f"{name}-1.0.dist-info" / "METADATA").write_text(f"Name: {name}")
    (packages / "whole-1.0.dist-info" / "INSTALLER").write_text("pip")
    (packages / "~alf").mkdir()
    run.forget_half_installed(tmp_path)
    assert [path.name for path in packages.iterdir()] == ["whole-1.0.dist-info"]


def test_an_interpreter_works_if_it_is_ours_and_has_pip(tmp_path):
    assert not run.works(tmp_path / "bin" / "python")
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True)
    python = bare / ("bin/python" if POSIX else "Scripts/python.exe")
    assert python.is_file() and not run.works(python)
    if (ROOT / ".venv").exists() and Path(sys.prefix) == ROOT / ".venv":
        assert run.works(Path(sys.executable))


@pytest.mark.skipif(not POSIX, reason="a script stands in for an interpreter")
def test_an_interpreter_of_another_version_does_not_work(tmp_path):
    other = tmp_path / "python"
    other.write_text("#!/bin/sh\necho 3 9\n")
    other.chmod(0o755)
    assert not run.works(other)


@pytest.mark.slow
def test_a_first_run_without_a_network_says_so_and_leaves_no_stamp(tmp_path):
    for name in ("run.py", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "tools", tmp_path / "tools")
    nowhere = "http://127.0.0.1:9"
    hidden = ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_INDEX_URL", "PIP_NO_INDEX")
    offline = {name: value for name, value in os.environ.items() if name not in hidden}
    offline.update(PIP_CONFIG_FILE=os.devnull, PIP_RETRIES="1", NO_PROXY="", no_proxy="")
    offline.update(http_proxy=nowhere, https_proxy=nowhere)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    command = [sys.executable, str(tmp_path / "run.py"), "lab"]
    done = subprocess.run(command, cwd=elsewhere, env=offline, capture_output=True, text=True)
    assert done.returncode == 1
    (sentence,) = done.stderr.split("\n")[1:-1]
    assert "the network cannot be reached" in sentence and "setup.log" in sentence
    assert "1/4" in done.stdout and "2/4" in done.stdout
    assert not (tmp_path / ".venv" / "setup.stamp").exists()
    assert "torch" in (tmp_path / ".venv" / "setup.log").read_text(encoding="utf-8")


# --- Programs started -----------------------------------------------------------------------------


def test_a_step_shows_its_title_keeps_its_output_and_returns_its_code(tmp_path, capsys):
    log = tmp_path / "log"
    code = "import sys; print('é'); print('why', file=sys.stderr); sys.exit(3)"
    assert run.attempt("1/1 a title", [sys.executable, "-c", code], log) == (3, "é\nwhy\n")
    assert log.read_text(encoding="utf-8").endswith("é\nwhy\n")
    assert "1/1 a title" in capsys.readouterr().out


def test_a_step_without_hope_is_ended_at_once_and_leaves_nothing_behind(tmp_path):
    code = "import tempfile as t, time; print(t.mkdtemp(), 'in vain', flush=True); time.sleep(600)"
    ended, output = run.attempt("1/1", [sys.executable, "-c", code], tmp_path / "log", "in vain")
    assert ended != 0 and output.endswith(" in vain\n")
    assert "descent-" in output and not Path(output.removesuffix(" in vain\n")).exists()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_log_on_a_full_disk_becomes_the_sentence_about_the_disk(monkeypatch, capsys):
    command = [sys.executable, "-c", "print('x' * 100_000)"]
    stand_in(monkeypatch, "lab", lambda: run.attempt("1/1", command, Path("/dev/full")))
    assert run.main(["lab"]) == 1
    assert capsys.readouterr().err.strip() == f"run.py: {run.DISK_FULL}"


@pytest.mark.parametrize(
    "line, words",
    [
        ("Collecting numpy==2.4.6 (from -r r.txt)\n", "looking for numpy==2.4.6"),
        (
            "  Downloading numpy-2.4.6-cp311-cp311-manylinux_2_28_x86_64.whl (16.9 MB)\n",
            "downloading numpy 2.4.6 (16.9 MB)",
        ),
        (
            "  Using cached torch-2.13.0%2Bcpu-cp311-cp311-linux_x86_64.whl (190.0 MB)\n",
            "using cached torch 2.13.0%2Bcpu (190.0 MB)",
        ),
        ("Installing collected packages: a, b, c\n", "installing 3 packages"),
        ("Installing collected packages: torch\n", "installing torch"),
        ("WARNING: Retrying (Retry(total=4, connect=None)) after …\n", "waiting for the network"),
        ("Successfully installed a-1 b-2\n", None),
    ],
)
def test_progress_names_what_pip_is_at(line, words):
    assert run.doing(line) == words


def test_lab_opens_the_first_lesson_with_the_project_as_root(monkeypatch):
    commands = []
    monkeypatch.setattr(run, "set_up", lambda extras: "python")
    monkeypatch.setattr(run, "hand_over", commands.append)
    assert run.main(["lab", "--no-browser"]) == 0
    (command,) = commands
    assert f"--ServerApp.root_dir={ROOT}" in command
    assert "--LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb" in command
    assert command[-1] == "--no-browser"


def test_tests_end_in_one_pytest_with_the_readers_own_arguments(monkeypatch):
    calls = []
    monkeypatch.setattr(run, "set_up", lambda extras, versions: f"{versions} python")
    monkeypatch.setattr(run, "get_browser", lambda python: None)
    monkeypatch.setattr(run, "hand_over", lambda command, **env: calls.append((command, env)))
    assert run.main(["test", "--newest", "-k", "optimizers", "-x"]) == 0
    ((command, variables),) = calls
    assert command[:3] == ["newest python", "-m", "pytest"] and "--nbval" in command
    assert command[-3:] == ["-k", "optimizers", "-x"]
    assert variables == {"OMP_NUM_THREADS": "1"}
    assert run.main(["test", "--lowest"]) == 0
    assert run.NOT_OURS == calls[-1][0][-2:] and run.NOT_OURS[0] not in command


def test_to_hand_over_is_to_become_the_program_with_its_exit_code():
    code = "import run, sys; run.hand_over([sys.executable, '-c', 'import sys; sys.exit(7)'])"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 7


def test_without_a_browser_playwright_is_asked_and_one_line_says_what_to_do(
    monkeypatch, capsys, tmp_path
):
    asked = []
    monkeypatch.setattr(run, "find_browser", lambda: None)
    monkeypatch.setattr(run, "attempt", lambda title, command, log: asked.append(command))
    run.get_browser(str(tmp_path / "bin" / "python"))
    assert asked[0][1:] == ["-m", "playwright", "install", "chromium"]
    said = capsys.readouterr().out
    assert said.count("\n") == 1 and "DESCENT_BROWSER" in said


@pytest.mark.slow
@pytest.mark.skipif(not POSIX, reason="ends the server with a signal")
@pytest.mark.skipif(
    Path(sys.prefix) != ROOT / ".venv"
    or not run.is_current(ROOT / ".venv" / "setup.stamp", run.stamp_text([])),
    reason="these tests were not started by `run.py test`, so lab would have to set up first",
)
def test_lab_serves_the_course(tmp_path):
    port = run.next_free_port(9300)
    address = f"http://127.0.0.1:{port}/lab/tree/{run.FIRST_PAGE}"
    server = subprocess.Popen(
        [sys.executable, str(ROOT / "run.py"), "lab", "--port", str(port), "--no-browser"]
        + ["--IdentityProvider.token="],
        cwd=tmp_path,
        env={**os.environ, "JUPYTER_CONFIG_DIR": str(tmp_path), "HOME": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + 60
        while run.is_free(port):
            assert server.poll() is None and time.monotonic() < until, "JupyterLab did not start"
            time.sleep(0.2)
        with urllib.request.urlopen(address, timeout=30) as answer:
            page = answer.read().decode()
        assert answer.status == 200 and "<title>JupyterLab</title>" in page
        assert "@jupyterlab/apputils-extension:announcements" in page  # as a disabled extension
    finally:
        server.terminate()
        server.wait()


# --- Troubles -------------------------------------------------------------------------------------

NO_NETWORK = """\
WARNING: Retrying (Retry(total=0, connect=None, read=None, redirect=None, status=None)) after
connection broken by 'NewConnectionError('<pip._vendor.urllib3.connection.HTTPSConnection object>:
Failed to establish a new connection: [Errno -2] Name or service not known')': /simple/torch/
ERROR: Could not find a version that satisfies the requirement torch==2.13.0 (from versions: none)
ERROR: No matching distribution found for torch==2.13.0
"""
NO_WHEEL = """\
ERROR: Could not find a version that satisfies the requirement torch==2.13.0 (from versions: 3.0)
ERROR: No matching distribution found for torch==2.13.0
"""
FULL = """\
ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device
"""
NO_VENV = """\
The virtual environment was not created successfully because ensurepip is not
available.  On Debian/Ubuntu systems, you need to install the python3-venv
package using the following command.

    apt install python3.11-venv
"""


@pytest.mark.parametrize(
    "output, cause",
    [
        (NO_NETWORK, "the network cannot be reached"),
        (NO_WHEEL, "there is no build of torch==2.13.0 for python3"),
        (NO_NETWORK.replace("versions: none", "versions: 3.0"), "there is no build of torch"),
        (FULL, "the disk is full"),
        (NO_NETWORK + FULL, "the disk is full"),
        ("OSError: [WinError 112] There is not enough space on the disk", "the disk is full"),
        (NO_VENV, "sudo apt install python3."),
        ("/usr/bin/python3: No module named venv", "sudo apt install python3."),
        (FULL.replace("28] No space left on device", "13] Permission denied"), "no permission"),
        ("OSError: [Errno 2] … Windows Long Path support …", "too long for Windows"),
        (
            "SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] …",
            "certificate is not trusted",
        ),
        ("ERROR: ResolutionImpossible: for help visit …", "do not fit together"),
        ("INFO: pip is looking at multiple versions of a to …", "do not fit together"),
        ("Collecting a\nERROR: a new kind of trouble\n", "failed: ERROR: a new kind of trouble"),
        ("", "nothing was said about why"),
    ],
)
def test_a_failed_installation_is_explained_in_one_sentence(output, cause):
    sentence = run.explain(output)
    assert cause in sentence and "\n" not in sentence


@pytest.mark.parametrize(
    "number, cause",
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EACCES, "no permission to write here"),
        (errno.EROFS, "no permission to write here"),
        (errno.EIO, "the system refused"),
    ],
)
def test_an_error_of_the_system_is_one_sentence_without_a_traceback(
    monkeypatch, capsys, number, cause
):
    def refused():
        raise OSError(number, os.strerror(number), "constraints.txt")

    stand_in(monkeypatch, "build", refused)
    assert run.main(["build"]) == 1
    said = capsys.readouterr().err.strip()
    assert cause in said and "\n" not in said


def test_ctrl_c_says_how_to_go_on(monkeypatch, capsys):
    def interrupted():
        raise KeyboardInterrupt

    stand_in(monkeypatch, "lab", interrupted)
    assert run.main(["lab"]) == 130
    assert "run the same command again" in capsys.readouterr().err


@pytest.fixture
def taken_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test_a_port_in_use_is_one_sentence_before_any_set_up(taken_port):
    code, shown, said = started("lab", "--port", str(taken_port))
    assert code == 1 and shown == ""
    assert said.strip() == (
        f"run.py: port {taken_port} is in use: "
        "choose another, or leave out --port to get a free one"
    )


def test_without_a_wish_the_next_free_port_is_taken(taken_port):
    assert not run.is_free(taken_port)
    port = run.next_free_port(taken_port)
    assert port > taken_port and run.is_free(port)


def test_a_browser_that_does_not_exist_is_named(monkeypatch):
    monkeypatch.setenv("DESCENT_BROWSER", "no-such-browser")
    with pytest.raises(run.Stop, match="DESCENT_BROWSER is 'no-such-browser'"):
        run.get_browser(sys.executable)
