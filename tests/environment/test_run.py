"""run.py: set-up that skips, repairs and explains itself, and commands that hand over."""

import ast
import errno
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

import run
from tools import environment

ROOT = environment.ROOT
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


def stand_in(**functions):
    """What a command sets up and starts programs with, some of it replaced."""
    return SimpleNamespace(**{**vars(environment), **functions})


def raising(error):
    def set_up(*arguments):
        raise error

    return stand_in(set_up=set_up)


# --- The face it shows ----------------------------------------------------------------------------


def test_help_lists_every_command_with_its_purpose():
    code, shown, _ = started("--help", COLUMNS="300")
    assert code == 0
    for command in (run.lab, run.test, run.build, run.site, run.bench, run.lock):
        assert f"{command.__name__} " in shown and command.__doc__ in shown


def test_an_unknown_command_is_refused():
    code, _, said = started("lag")
    assert code != 0 and "invalid choice: 'lag'" in said and "Traceback" not in said


@pytest.mark.parametrize(
    "path",
    ["run.py", *(f"tools/{name}.py" for name in ("__init__", "browser", "environment", "files"))],
)
def test_an_old_python_can_read_far_enough_to_be_told(path):
    ast.parse((ROOT / path).read_text(encoding="utf-8"), feature_version=(3, 8))


@pytest.mark.parametrize("version", [(2, 7, 18), (3, 8, 18), (3, 10, 13)])
def test_a_python_that_is_too_old_is_told_so(version):
    with pytest.raises(
        environment.Stop, match=r"Python {}\.{}, and .* needs 3\.11".format(*version)
    ):
        environment.check_python(version)


@pytest.mark.parametrize("version", [(3, 11, 0), (3, 12, 1), (4, 0, 0)])
def test_a_python_that_is_new_enough_may_go_on(version):
    environment.check_python(version)


# --- Set-up ---------------------------------------------------------------------------------------


class Project:
    """A copy of what set-up reads, with steps that are written down instead of run."""

    def __init__(self, folder):
        self.folder, self.steps = folder, []
        for name in ("pyproject.toml", "constraints.txt"):
            shutil.copy(ROOT / name, folder)

    def attempt(self, title, command, log, hopeless=None):
        self.steps.append(command)
        if "venv" in command:
            python = Path(command[-1]) / ("Scripts/python.exe" if not POSIX else "bin/python")
            python.parent.mkdir(parents=True)
            python.write_text("an interpreter")
        return 0, ""

    def set_up(self, extras=(), versions="pinned", run=None):
        return environment.set_up(
            list(extras),
            versions,
            root=self.folder,
            run=run or self.attempt,
            works=lambda python: python.is_file(),
        )


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


def test_the_second_run_skips_set_up(project):
    first = project.set_up()
    assert len(project.steps) == 3  # environment, torch, the rest
    assert project.set_up() == first and Path(first).is_relative_to(project.folder / ".venv")
    assert len(project.steps) == 3


def test_a_learner_gets_what_the_lessons_need_and_nothing_else(project):
    project.set_up()
    assert project.steps[-1][-2:] == ["-e", "."]


def test_tests_add_to_the_environment_of_the_lab_and_serve_it(project):
    project.set_up()
    project.set_up(["test"])
    assert len(project.steps) == 5 and ".[test]" in project.steps[4]  # the environment stays
    project.set_up()
    assert len(project.steps) == 5


def test_a_group_that_was_installed_once_is_not_forgotten(project):
    project.set_up(["site"])
    project.set_up(["units"])
    assert ".[site,units]" in project.steps[-1]
    project.set_up(["site", "units"])
    assert len(project.steps) == 5


def test_jupyterlab_and_nbgrader_are_told_not_to_greet_with_questions_and_warnings(project):
    project.set_up()
    settings = project.folder / ".venv" / "etc" / "jupyter"
    page = json.loads((settings / "labconfig" / "page_config.json").read_text(encoding="utf-8"))
    assert page["disabledExtensions"] == {"@jupyterlab/apputils-extension:announcements": True}
    assert (settings / "nbgrader_config.py").is_file()


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt", "grading/pyproject.toml"])
def test_a_change_of_what_decides_the_environment_sets_up_again(project, name):
    (project.folder / "grading").mkdir()
    project.set_up()
    with open(project.folder / name, "a", encoding="utf-8") as file:
        file.write("# changed\n")
    project.set_up()
    assert len(project.steps) == 5


def test_a_moved_project_is_installed_again(project):
    project.set_up()
    moved = project.folder.with_name(project.folder.name + " moved")
    project.folder.rename(moved)
    project.folder = moved
    project.set_up()
    assert len(project.steps) == 5


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("trouble", [KeyboardInterrupt(), OSError(), None], ids=repr)
def test_set_up_that_did_not_end_is_repaired_by_the_next_run(project, number, trouble):
    with pytest.raises(type(trouble) if trouble else environment.Stop):
        project.set_up(run=troubled(project.attempt, number, trouble))
    assert not (project.folder / ".venv" / "setup.stamp").exists()
    project.steps.clear()
    project.set_up()
    again = 3 if number == 1 else 2  # an environment that was made is kept
    assert len(project.steps) == again
    project.set_up()
    assert len(project.steps) == again


def test_an_interrupted_update_is_not_taken_for_the_old_environment(project):
    constraints = project.folder / "constraints.txt"
    project.set_up()
    tested = constraints.read_text(encoding="utf-8")
    constraints.write_text("torch==7.8.9\n", encoding="utf-8")
    with pytest.raises(KeyboardInterrupt):
        project.set_up(run=troubled(project.attempt, 3, KeyboardInterrupt()))
    constraints.write_text(tested, encoding="utf-8")
    project.steps.clear()
    project.set_up()
    assert len(project.steps) == 2


def troubled(healthy, number, trouble):
    """An `attempt` whose step of this number raises `trouble`, or fails where that is None."""

    def attempt(title, command, log, hopeless=None):
        if not title.startswith(f"{number}/3"):
            return healthy(title, command, log, hopeless)
        if trouble:
            raise trouble
        return 1, FULL

    return attempt


def test_a_half_made_environment_is_made_anew(project):
    venv = project.folder / ".venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "left_over").write_text("")
    project.set_up()
    assert not (venv / "left_over").exists()
    assert "venv" in project.steps[0]


def test_each_end_of_the_ranges_has_its_own_environment(project):
    project.set_up(["test"], "lowest")
    project.set_up(["test"], "newest")
    assert len(project.steps) == 6
    assert not (project.folder / ".venv").exists()


def test_lock_writes_what_it_froze_to_every_place(project):
    folder = project.folder
    (folder / "binder").mkdir()
    shutil.copy(ROOT / "environment.yml", folder)
    shutil.copy(ROOT / "environment.yml", folder / "binder")
    lines = environment.read(folder / "constraints.txt").splitlines(keepends=True)
    header = "".join(line for line in lines if line.startswith("#"))
    names = re.findall(r"- (\S+)==", environment.read(folder / "environment.yml"))
    frozen = "".join(f"{name}==99.{i}\n" for i, name in enumerate(names))
    frozen = re.sub(r"^torch==.*", r"\g<0>+cpu", frozen, flags=re.M)
    run.pin(frozen, folder)
    assert environment.read(folder / "constraints.txt") == header + frozen.replace("+cpu", "")
    written = environment.read(folder / "environment.yml")
    assert re.findall(r"==(\S+)", written) == [f"99.{i}" for i in range(len(names))]
    assert environment.read(folder / "binder" / "environment.yml") == written


def test_lowest_turns_every_bound_into_a_pin():
    lowest = environment.requirements(["units"], "lowest")
    *pinned, _, project = lowest
    assert project == ".[units]" and all(re.fullmatch(r"[\w-]+==[\d.]+", text) for text in pinned)
    assert {text.split("==")[0] for text in pinned} > {"numpy", "torch", "pytest"}


def test_newest_ignores_the_constraints():
    torch, *course = environment.requirements(["test"], "newest")
    assert torch.startswith("torch>=") and course == ["-e", ".[test]"]


def test_newest_is_made_anew_each_time(project):
    project.set_up(["test"], "newest")
    project.set_up(["test"], "newest")
    assert len(project.steps) == 6


def test_torch_is_pinned_by_the_constraints_alone(project):
    (project.folder / "constraints.txt").write_text("torch==7.8.9\n", encoding="utf-8")
    project.set_up()
    assert "torch==7.8.9" in project.steps[1] and "--no-deps" in project.steps[1]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only there two builds exist")
def test_torch_comes_from_the_usual_index_where_the_cpu_index_fails(project):
    asked = []

    def no_cpu_index(title, command, log, hopeless=None):
        asked.append(command)
        if environment.CPU_INDEX in command:
            return 1, NO_NETWORK
        return project.attempt(title, command, log, hopeless)

    project.set_up(run=no_cpu_index)
    torch = [command for command in asked if any(map(environment.is_torch, command))]
    assert [environment.CPU_INDEX in command for command in torch[:2]] == [True, False]


def test_a_package_that_pip_did_not_finish_is_forgotten(tmp_path):
    packages = tmp_path / ("lib/python3.11/site-packages" if POSIX else "Lib/site-packages")
    for name in ("half", "whole"):
        (packages / f"{name}-1.0.dist-info").mkdir(parents=True)
        (packages / f"{name}-1.0.dist-info" / "METADATA").write_text(f"Name: {name}")
    (packages / "whole-1.0.dist-info" / "INSTALLER").write_text("pip")
    (packages / "~alf").mkdir()
    environment.forget_half_installed(tmp_path)
    assert [path.name for path in packages.iterdir()] == ["whole-1.0.dist-info"]


def test_an_interpreter_works_if_it_is_ours_and_has_pip(tmp_path):
    assert not environment.is_ours(tmp_path / "bin" / "python")
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True)
    python = bare / ("bin/python" if POSIX else "Scripts/python.exe")
    assert python.is_file() and not environment.is_ours(python)
    if (ROOT / ".venv").exists() and Path(sys.prefix) == ROOT / ".venv":
        assert environment.is_ours(Path(sys.executable))


@pytest.mark.skipif(not POSIX, reason="a script stands in for an interpreter")
def test_an_interpreter_of_another_version_does_not_work(tmp_path):
    other = tmp_path / "python"
    other.write_text("#!/bin/sh\necho 3 9\n")
    other.chmod(0o755)
    assert not environment.is_ours(other)


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
    assert "1/3" in done.stdout and "2/3" in done.stdout
    assert not (tmp_path / ".venv" / "setup.stamp").exists()
    assert "torch" in (tmp_path / ".venv" / "setup.log").read_text(encoding="utf-8")


# --- Programs started -----------------------------------------------------------------------------


def test_a_step_shows_its_title_keeps_its_output_and_returns_its_code(tmp_path, capsys):
    log = tmp_path / "log"
    code = "import sys; print('é'); print('why', file=sys.stderr); sys.exit(3)"
    assert environment.attempt("1/1 a title", [sys.executable, "-c", code], log) == (3, "é\nwhy\n")
    assert log.read_text(encoding="utf-8").endswith("é\nwhy\n")
    assert "1/1 a title" in capsys.readouterr().out


def test_a_step_without_hope_is_ended_at_once_and_leaves_nothing_behind(tmp_path):
    code = "import tempfile as t, time; print(t.mkdtemp(), 'in vain', flush=True); time.sleep(600)"
    ended, output = environment.attempt(
        "1/1", [sys.executable, "-c", code], tmp_path / "log", "in vain"
    )
    assert ended != 0 and output.endswith(" in vain\n")
    assert "descent-" in output and not Path(output.removesuffix(" in vain\n")).exists()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_log_on_a_full_disk_becomes_the_sentence_about_the_disk(capsys):
    command = [sys.executable, "-c", "print('x' * 100_000)"]
    full = stand_in(set_up=lambda extras: environment.attempt("1/1", command, Path("/dev/full")))
    assert run.main(["lab"], full) == 1
    assert capsys.readouterr().err.strip() == f"run.py: {environment.DISK_FULL}"


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
    assert environment.doing(line) == words


def test_lab_opens_the_first_lesson_with_the_project_as_root():
    commands = []
    do = stand_in(set_up=lambda extras: f"python for {extras}", hand_over=commands.append)
    assert run.main(["lab", "--no-browser"], do) == 0
    (command,) = commands
    assert command[0] == "python for []"
    assert f"--ServerApp.root_dir={ROOT}" in command
    assert "--LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb" in command
    assert command[-1] == "--no-browser"


@pytest.fixture
def calls():
    """What `run.py test` starts: `calls.of(arguments)` gives command, variables and groups."""
    seen = []

    def set_up(extras, versions):
        seen.append(extras)
        return f"{versions} python"

    do = stand_in(
        set_up=set_up,
        get_browser=lambda python: seen.append("browser"),
        hand_over=lambda command, **more: seen.append((command, more)),
    )

    def of(*arguments):
        seen.clear()
        assert run.main(["test", *arguments], do) == 0
        return seen

    return of


def test_tests_end_in_one_pytest_with_the_readers_own_arguments(calls):
    groups, browser, (command, variables) = calls("--newest", "-k", "optimizers", "-x")
    assert groups == environment.groups() and browser == "browser"
    assert command[:3] == ["newest python", "-m", "pytest"] and "--nbval" in command
    assert command[-3:] == ["-k", "optimizers", "-x"]
    assert variables == {"OMP_NUM_THREADS": "1"}
    lowest = calls("--lowest")[-1][0]
    assert run.NOT_OURS == lowest[-2:] and run.NOT_OURS[0] not in command


def test_quick_tests_install_less_need_no_browser_and_run_no_notebook(calls):
    groups, (command, _) = calls("--quick", "-k", "adam")
    assert groups == ["lint", "units"] and "--nbval" not in command
    assert command[-2:] == ["-k", "adam"] and set(run.QUICK) <= set(command)


def test_quick_tests_of_a_named_file_are_those_of_that_file(calls):
    _, (command, _) = calls("--quick", f"{__file__}::test_x")
    assert not set(run.QUICK) & set(command) and set(run.QUICKLY) <= set(command)


@pytest.mark.slow
def test_quick_tests_come_from_every_room_of_the_package_and_none_is_slow():
    command = [sys.executable, "-m", "pytest", *run.QUICK, *run.QUICKLY]
    done = subprocess.run(
        [*command, "--collect-only", "-q", "-p", "no:cacheprovider"],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stdout[-2000:]
    collected = {line.split("::")[0] for line in done.stdout.splitlines() if "::" in line}
    units = {
        path.relative_to(ROOT).as_posix() for path in ROOT.glob("tests/course_utils/**/test_*.py")
    }
    assert units <= collected
    assert not [name for name in collected if "browser" in name or name.endswith(".ipynb")]
    assert "test_lab_serves_the_course" not in done.stdout


def test_to_hand_over_is_to_become_the_program_with_its_exit_code():
    code = (
        "from tools.environment import hand_over; import sys\n"
        "hand_over([sys.executable, '-c', 'import sys; sys.exit(7)'])"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 7


def test_without_a_browser_playwright_is_asked_and_one_line_says_what_to_do(capsys, tmp_path):
    asked = []
    environment.get_browser(
        str(tmp_path / "bin" / "python"),
        find=lambda: None,
        run=lambda title, command, log: asked.append(command),
    )
    assert asked[0][1:] == ["-m", "playwright", "install", "chromium"]
    said = capsys.readouterr().out
    assert said.count("\n") == 1 and "DESCENT_BROWSER" in said


@pytest.mark.slow
@pytest.mark.skipif(not POSIX, reason="ends the server with a signal")
@pytest.mark.skipif(
    Path(sys.prefix) != ROOT / ".venv"
    or not environment.is_current(ROOT / ".venv" / "setup.stamp", environment.stamp_text([])),
    reason="these tests were not started by `run.py test`, so lab would have to set up first",
)
def test_lab_serves_the_course(tmp_path):
    port = environment.next_free_port(9300)
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
        until = time.monotonic() + 180
        while environment.is_free(port):
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
    sentence = environment.explain(output)
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
def test_an_error_of_the_system_is_one_sentence_without_a_traceback(capsys, number, cause):
    refused = OSError(number, os.strerror(number), "constraints.txt")
    assert run.main(["build"], raising(refused)) == 1
    said = capsys.readouterr().err.strip()
    assert cause in said and "\n" not in said


def test_ctrl_c_says_how_to_go_on(capsys):
    assert run.main(["lab"], raising(KeyboardInterrupt())) == 130
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
    assert not environment.is_free(taken_port)
    port = environment.next_free_port(taken_port)
    assert port > taken_port and environment.is_free(port)


def test_a_browser_that_does_not_exist_is_named(monkeypatch):
    monkeypatch.setenv("DESCENT_BROWSER", "no-such-browser")
    with pytest.raises(environment.Stop, match="DESCENT_BROWSER is 'no-such-browser'"):
        environment.get_browser(sys.executable)


# --- The world around it --------------------------------------------------------------------------


def test_another_pythons_variables_stay_out_of_ours(monkeypatch):
    for name in environment.FOREIGN:
        monkeypatch.setenv(name, "/somewhere/else")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy")
    given = environment.variables(MORE="1")
    assert not set(environment.FOREIGN) & set(given)
    assert given["HTTPS_PROXY"] == "http://proxy" and given["MORE"] == "1"
    assert given["PYTHONNOUSERSITE"] == "1"


def test_pip_keeps_of_a_readers_settings_how_to_reach_packages_alone(tmp_path, monkeypatch):
    settings = tmp_path / "pip.conf"
    settings.write_text(
        "[global]\nindex-url = https://mirror.example/simple\ntarget = /elsewhere\n"
        "constraint = /no/such.txt\n[install]\nprefix = /elsewhere\nrequire-hashes = true\n"
        "trusted-host = mirror.example\n"
    )
    for name in [n for n in os.environ if n.upper().startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(settings))
    monkeypatch.setenv("PIP_NO_DEPS", "1")
    monkeypatch.setenv("PIP_ROOT", "/elsewhere")
    monkeypatch.setenv("PIP_TIMEOUT", "7")
    given = environment.for_pip(sys.executable)
    pip = {name for name in given if name.startswith("PIP_")}
    own = {"PIP_NO_INPUT", "PIP_PROGRESS_BAR", "PIP_USER", "PIP_DISABLE_PIP_VERSION_CHECK"}
    reaching = {"PIP_" + name.upper().replace("-", "_") for name in environment.REACHING}
    assert pip <= own | reaching | {"PIP_CONFIG_FILE"}
    assert given["PIP_INDEX_URL"] == "https://mirror.example/simple"
    assert given["PIP_TRUSTED_HOST"] == "mirror.example" and given["PIP_TIMEOUT"] == "7"
    assert given["PIP_CONFIG_FILE"] == os.devnull


def a_wheel(folder, name="toy", version="1.0"):
    """A wheel of one module: so small that it is installed in a second."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    parts = {
        f"{name}.py": f"version = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(path, "w") as packed:
        for member, text in parts.items():
            packed.writestr(member, text)
        record = "".join(f"{member},,\n" for member in [*parts, f"{info}/RECORD"])
        packed.writestr(f"{info}/RECORD", record)
    return path


@pytest.mark.slow
def test_toy_wheels_land_in_the_environment_whatever_a_reader_has_set(tmp_path, monkeypatch):
    wheels, venv = tmp_path / "wheels", tmp_path / "venv"
    wheels.mkdir()
    a_wheel(wheels)
    other = tmp_path / "other"
    other.mkdir()
    (other / "toy.py").write_text("version = 'foreign'")
    (tmp_path / "constraints").write_text("toy==9\n")
    for name, value in {
        "PYTHONPATH": str(other),
        "PYTHONOPTIMIZE": "2",
        "PIP_TARGET": str(tmp_path / "target"),
        "PIP_CONSTRAINT": str(tmp_path / "constraints"),
        "PIP_REQUIRE_HASHES": "1",
        "PIP_FIND_LINKS": str(wheels),
        "PIP_NO_INDEX": "1",
    }.items():
        monkeypatch.setenv(name, value)
    log = tmp_path / "setup.log"
    code, _ = environment.attempt("1", [sys.executable, "-m", "venv", str(venv)], log)
    assert code == 0
    python = str(venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
    code, said = environment.attempt("2", [python, "-m", "pip", "install", "toy"], log)
    assert code == 0, said
    done = subprocess.run(
        [python, "-c", "import toy; print(toy.version, toy.__file__)"],
        env=environment.variables(),
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith("1.0") and str(venv) in done.stdout
    assert not (tmp_path / "target").exists()


@pytest.mark.skipif(not POSIX, reason="links")
@pytest.mark.parametrize("kind", ["file", "link", "dangling", "link to a file"])
def test_an_environment_that_is_a_link_or_a_file_is_made_anew(project, tmp_path, kind):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "thesis.txt").write_text("the only copy")
    venv = project.folder / ".venv"
    if kind == "file":
        venv.write_text("no folder")
    else:
        target = {"link": elsewhere, "dangling": tmp_path / "nowhere"}
        venv.symlink_to(target.get(kind, elsewhere / "thesis.txt"))
    assert Path(project.set_up()).is_file()
    assert venv.is_dir() and not venv.is_symlink()
    assert (elsewhere / "thesis.txt").read_text() == "the only copy"


@pytest.mark.skipif(not POSIX, reason="names are bytes on POSIX alone")
def test_a_folder_whose_name_is_no_utf_8_has_a_stamp(tmp_path):
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + "/강의".encode("cp949")))
    folder.mkdir()
    project = Project(folder)
    project.set_up()
    steps = len(project.steps)
    project.set_up()
    assert steps == len(project.steps) == 3


def test_a_second_set_up_waits_for_the_first_and_finds_it_ready(project, capsys):
    began, go_on = threading.Event(), threading.Event()

    def slowly(*arguments):
        began.set()
        go_on.wait(20)
        return project.attempt(*arguments)

    first = threading.Thread(target=project.set_up, kwargs={"run": slowly})
    first.start()
    assert began.wait(20)
    second = threading.Thread(target=project.set_up)
    second.start()
    end = time.monotonic() + 20
    said = ""
    while "waiting for it" not in said and time.monotonic() < end:
        said += capsys.readouterr().out
        time.sleep(0.01)
    assert "Another set-up is at work in this folder" in said
    go_on.set()
    for each in (first, second):
        each.join(20)
        assert not each.is_alive()
    assert len(project.steps) == 3  # the second one had nothing left to do


@pytest.mark.parametrize("options", [["-OO"], ["-P"], ["-I"]])
def test_run_starts_under_every_option_of_python(options):
    done = subprocess.run(
        [sys.executable, *options, str(ROOT / "run.py"), "--help"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONSAFEPATH": "1"},
    )
    assert done.returncode == 0 and "lab" in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("output", "code", "cause"),
    [
        ("", -9, "memory ran out"),
        ("Killed", 137, "memory ran out"),
        ("pip._vendor.urllib3.exceptions.ReadTimeoutError: Read timed out.", 1, "broke off midway"),
        ("error: incomplete-download\n\nx Download failed", 1, "broke off midway"),
        ("ProtocolError('Connection broken: IncompleteRead(1 bytes read)')", 1, "broke off midway"),
        ("[WinError 32] The process cannot access the file because", 1, "close JupyterLab"),
        ("[WinError 1260] This program is blocked by group policy", 1, "administrators"),
    ],
)
def test_what_broke_is_told_apart(output, code, cause):
    assert cause in environment.explain(output, code)


def test_a_mac_with_an_intel_processor_is_told_before_anything_is_loaded(project, monkeypatch):
    with pytest.raises(environment.Stop, match=r"Intel.*Binder"):
        environment.check_machine("darwin", "x86_64")
    environment.check_machine("darwin", "arm64")
    environment.check_machine("linux", "x86_64")
    check = environment.check_machine
    monkeypatch.setattr(environment, "check_machine", lambda: check("darwin", "x86_64"))
    with pytest.raises(environment.Stop, match="Intel"):
        project.set_up()
    assert project.steps == []
