#!/usr/bin/env python3
"""One program to start, test and build the course; needs nothing but Python itself.

The first use makes a virtual environment in `.venv` and installs what constraints.txt pins.
Later uses skip that, until pyproject.toml or constraints.txt changes.  An installation that was
interrupted or failed is repaired by running the same command again.

This file has to be read by old Pythons as well, far enough to tell them that they are too old.
"""

from __future__ import annotations

import argparse
import errno
import hashlib
import os
import queue
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from tools.browser import HOW_TO_GET_A_BROWSER, find_browser

ROOT = Path(__file__).resolve().parent
OLDEST_PYTHON = (3, 11)  # as requires-python in pyproject.toml says
FIRST_PAGE = "notebooks/00_start_here.ipynb"
FIRST_PORT = 8888
CPU_INDEX = "https://download.pytorch.org/whl/cpu"  # builds without 3 GB of CUDA libraries
GRADING = "grading"  # a distribution of its own, beside the groups of pyproject.toml
TEMPORARY = ("TMPDIR", "TEMP", "TMP")  # where programs look for a place for temporary files
EVERYTHING = ["--nbval", "--nbval-current-env", "--nbval-cell-timeout=120"]
# Two at a time, and whole files: the cells of a notebook run in one kernel, in their order.
TWO_AT_A_TIME = ["--numprocesses=2", "--dist=loadfile"]
# Old libraries meet newer ones, which have deprecated since what the old ones lean on.
NOT_OURS = ["-W", "ignore::DeprecationWarning"]


class Stop(Exception):
    """Ends the program with one sentence for its reader."""


# --- The commands ---------------------------------------------------------------------------------


def lab(options, extra):
    """open the course in JupyterLab (other arguments go to JupyterLab, such as --no-browser)"""
    port = options.port or next_free_port(FIRST_PORT)
    if not is_free(port):
        raise Stop(f"port {port} is in use: choose another, or leave out --port to get a free one")
    if not options.port and port != FIRST_PORT:
        say(f"Port {FIRST_PORT} is in use: taking {port}.")
    python = set_up([])
    # JupyterLab refuses to run as root, the usual user of a container, unless told.
    as_root = ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    say("Starting JupyterLab; Ctrl-C here ends it.")
    hand_over(
        [python, "-m", "jupyterlab", f"--ServerApp.root_dir={ROOT}"]
        + [f"--LabApp.default_url=/lab/tree/{FIRST_PAGE}"]
        + [f"--ServerApp.port={port}", *as_root, *extra]
    )


def test(options, extra):
    """run every test: units, notebooks, browser (other arguments go to pytest, such as -k adam)"""
    python = set_up(groups(), options.versions)
    get_browser(python)
    # One thread: sums in another order differ in their last digit, and nbval compares digits.
    old = NOT_OURS if options.versions == "lowest" else []
    hand_over(
        [python, "-m", "pytest", *EVERYTHING, *TWO_AT_A_TIME, *old, *extra], OMP_NUM_THREADS="1"
    )


def build(options, extra):
    """execute notebooks afresh and write them canonically: all, or those named"""
    hand_over([set_up(["test"]), "-m", "tools.notebooks", *extra], OMP_NUM_THREADS="1")


def site(options, extra):
    """build the course as web pages, which need no server, in build/site/html"""
    hand_over([set_up(["site", "test"]), "-m", "tools.site", *extra], OMP_NUM_THREADS="1")


def homework(options, extra):
    """for instructors: release, archive, collect, grade, by-hand, feedback, export homework"""
    if not (ROOT / GRADING / "pyproject.toml").is_file():
        raise Stop("the student edition has no grading: take the whole repository")
    hand_over([set_up([GRADING]), "-m", GRADING, *(extra or ["--help"])])


def bench(options, extra):
    """measure the package against the usual alternatives, side by side"""
    hand_over([set_up(["test"]), "-m", "benchmarks", *extra])


def lock(options, extra):
    """pin the newest versions in constraints.txt and the environment files (test them after)"""
    python = set_up(groups(), "newest")
    frozen = subprocess.run(
        [python, "-m", "pip", "freeze", "--exclude-editable"],
        env=environment(),
        check=True,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ).stdout
    frozen = re.sub(r"\+cpu$", "", frozen, flags=re.M)  # other systems have no such local part
    constraints = ROOT / "constraints.txt"
    header = [line for line in read(constraints).splitlines() if line.startswith("#")]
    constraints.write_text("\n".join(header) + "\n" + frozen, encoding="utf-8")
    versions = pins()
    for path in (ROOT / "environment.yml", ROOT / "binder" / "environment.yml"):
        pinned = re.sub(r"- (\S+)==\S+", lambda m: f"- {m[1]}=={versions[m[1]]}", read(path))
        path.write_text(pinned, encoding="utf-8")
    say("Wrote constraints.txt and both environment.yml; now try them with: run.py test")


# --- Set-up ---------------------------------------------------------------------------------------


def set_up(extras, versions="pinned"):
    """Make the environment if it is missing or out of date; return the path of its Python.

    `extras` are optional dependency groups of pyproject.toml.  `versions` is "pinned" (as in
    constraints.txt), or one end of pyproject's ranges: "lowest" or "newest".
    """
    venv = ROOT / (".venv" if versions == "pinned" else f".venv-{versions}")
    python = venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp, wanted = venv / "setup.stamp", stamp_text(extras)
    if versions == "newest":  # what is newest changes from day to day: never taken for ready
        shutil.rmtree(venv, ignore_errors=True)
    if python.is_file() and is_current(stamp, wanted):
        return str(python)

    say(f"Setting up {venv.name}, once: about 2 minutes and 2 GB. Interrupt it if you must;")
    say("the same command goes on from there.")
    if stamp.exists():
        stamp.unlink()  # from here until the end, this environment is not ready
    log = venv / "setup.log"
    if venv.exists() and not works(python):
        say(f"{venv.name} is incomplete or from another Python: making it anew.")
        shutil.rmtree(venv)
    venv.mkdir(exist_ok=True)
    if not python.exists():
        step("1/4 virtual environment", [sys.executable, "-m", "venv", str(venv)], log)
    forget_half_installed(venv)
    pip = [str(python), "-m", "pip", "install"]
    install_torch(pip, versions, log)
    # Where all is pinned there is nothing to search: pip would look in vain for ten minutes.
    hopeless = "is looking at multiple versions" if versions == "pinned" else None
    step("3/4 everything else", pip + requirements(extras, versions), log, hopeless)
    # Without this, JupyterLab greets a learner with a question about news of its own.
    news = "@jupyterlab/apputils-extension:announcements"
    step("4/4 JupyterLab", [str(python), "-m", "jupyterlab.labextensions", "disable", news], log)

    written = stamp.with_suffix(".new")
    written.write_text(wanted, encoding="utf-8")
    os.replace(written, stamp)
    return str(python)


def stamp_text(extras):
    """What the stamp holds: a digest of all that decides the environment, then its extras.

    The folder belongs to it: the course is installed as a link to this very place.
    """
    told = ["pyproject.toml", "constraints.txt", f"{GRADING}/pyproject.toml"]
    parts = [read(ROOT / name) for name in told if (ROOT / name).is_file()]
    parts += [".".join(map(str, sys.version_info[:2])), str(ROOT)]
    digest = hashlib.sha256("\0".join(parts).encode("utf-8")).hexdigest()
    return "\n".join([digest, *sorted(extras)]) + "\n"


def is_current(stamp, wanted):
    """Does the stamp have the wanted digest, and at least the wanted extras?"""
    found = read(stamp).split() if stamp.is_file() else []
    digest, *extras = wanted.split()
    return found[:1] == [digest] and set(extras) <= set(found[1:])


def works(python):
    """Is this an interpreter of our own version, with a pip that starts?"""
    if not python.is_file():
        return False
    code = "import pip._internal.cli.main, sys; print(*sys.version_info[:2])"
    try:
        done = subprocess.run(
            [str(python), "-c", code],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
            timeout=60,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and done.stdout.split() == [str(n) for n in sys.version_info[:2]]


def forget_half_installed(venv):
    """Remove what an interrupted pip left behind, so that pip does not take it for installed.

    pip copies a package's files first and writes INSTALLER after the last of them; a package
    without one is unfinished.  Names that begin with ~ are halves of an interrupted removal.
    """
    for folder in [*venv.glob("lib/python*/site-packages"), *venv.glob("Lib/site-packages")]:
        broken = [d for d in folder.glob("*.dist-info") if not (d / "INSTALLER").is_file()]
        for path in [*broken, *folder.glob("~*")]:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def install_torch(pip, versions, log):
    """PyTorch goes first and by itself: on Linux, PyPI's build would bring CUDA along."""
    title = "2/4 PyTorch, the build for CPUs"
    install = pip + ["--no-deps", next(r for r in requirements([], versions) if is_torch(r))]
    if sys.platform.startswith("linux"):
        cpu = install + ["--retries", "0", "--timeout", "15", "--index-url", CPU_INDEX]
        code, output = attempt(title, cpu, log)
        if code == 0:
            return
        if explain(output) in (DISK_FULL, NOT_ALLOWED):  # a larger build would not help
            raise failure(output, log)
        title = "2/4 PyTorch, from PyPI instead (larger)"
    step(title, install, log)


def requirements(extras, versions):
    """What `pip install` is to be given for these versions."""
    chosen = [extra for extra in extras if extra != GRADING]
    ours = ["-e", "." + (f"[{','.join(chosen)}]" if chosen else "")]
    ours += ["-e", f"./{GRADING}"] if GRADING in extras else []
    if versions == "pinned":
        return ["-c", "constraints.txt", f"torch=={pins()['torch']}", *ours]
    needed = ranges(extras)
    if versions == "newest":
        return [*filter(is_torch, needed), *ours]
    return [text.replace(">=", "==") for text in needed] + ours


def ranges(extras):
    """What pyproject.toml asks for, with these groups; our own distributions left out."""
    table = project_table()
    named = [table["optional-dependencies"][extra] for extra in extras if extra != GRADING]
    needed = table["dependencies"] + sum(named, [])
    if GRADING in extras:
        more = project_table(GRADING)["dependencies"]
        needed += [text for text in more if text not in needed and not text.startswith("descent-")]
    return needed


def project_table(folder="."):
    import tomllib  # Python 3.11; imported here so that older ones get as far as our message

    return tomllib.loads(read(ROOT / folder / "pyproject.toml"))["project"]


def groups():
    """All that may come on top of the lessons' own needs: tests prove every part."""
    grading = [GRADING] if (ROOT / GRADING / "pyproject.toml").is_file() else []
    return sorted([*project_table()["optional-dependencies"], *grading])


def is_torch(requirement):
    return re.match(r"torch\b", requirement) is not None


def pins():
    """Name → version in constraints.txt."""
    lines = read(ROOT / "constraints.txt").splitlines()
    return dict(line.split("==") for line in lines if "==" in line and not line.startswith("#"))


def get_browser(python):
    """Try to fetch a browser where there is none; the browser tests themselves skip or fail."""
    try:
        if find_browser():
            return
    except ValueError as error:
        raise Stop(str(error)) from None
    log = Path(python).parent.parent / "setup.log"
    fetch = [python, "-m", "playwright", "install", "chromium"]
    attempt("no browser here: fetching one through Playwright", fetch, log)
    if not find_browser():
        say(f"The browser tests have no browser; to run them, {HOW_TO_GET_A_BROWSER}.")


# --- Programs started from here, and what they say ------------------------------------------------


def hand_over(command, **variables):
    """Become `command`, so that its output, its exit code and Ctrl-C are its own."""
    sys.stdout.flush()
    os.chdir(ROOT)
    if os.name == "posix":
        os.execve(command[0], command, environment(**variables))
    child = subprocess.Popen(command, env=environment(**variables))
    while True:  # Ctrl-C reaches the child as well; it decides what that means
        try:
            sys.exit(child.wait())
        except KeyboardInterrupt:
            pass


def environment(**variables):
    """The environment of a child: UTF-8 everywhere, and pip neither asks nor draws."""
    pip = {"PIP_NO_INPUT": "1", "PIP_PROGRESS_BAR": "off", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    return {**os.environ, **pip, "PIP_USER": "0", "PYTHONUTF8": "1", **variables}


def step(title, command, log, hopeless=None):
    """Run `command`; if it fails, stop with a sentence that says why and where to read more."""
    code, output = attempt(title, command, log, hopeless)
    if code:
        raise failure(output, log)


def failure(output, log):
    return Stop(f"{explain(output)} (details: {log.relative_to(ROOT)})")


def attempt(title, command, log, hopeless=None):
    """Run `command`, showing what it is at; return its exit code and output, kept in `log` too.

    A line with the text `hopeless` ends it at once.
    """
    # A pip that is ended early leaves its downloads behind; in a folder of ours they go with it.
    with tempfile.TemporaryDirectory(prefix="descent-", ignore_cleanup_errors=True) as folder:
        places = dict.fromkeys(TEMPORARY, folder)
        return watch(title, command, log, hopeless, environment(PYTHONUNBUFFERED="1", **places))


def watch(title, command, log, hopeless, variables):
    """The body of `attempt`, in an environment of these variables."""
    start, shown, at, output = time.monotonic(), 0.0, "starting", []
    child = subprocess.Popen(
        command,
        cwd=str(ROOT),
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    try:
        with open(log, "a", encoding="utf-8") as file:
            file.write(f"$ {' '.join(command)}\n")
            for line in lines_or_silence(child.stdout):
                output.append(line)
                file.write(line)
                at = doing(line) or at
                if hopeless and hopeless in line:
                    child.terminate()
                seconds = time.monotonic() - start
                if sys.stdout.isatty() or seconds - shown > 5:
                    shown = seconds
                    progress(f"  {title} · {seconds:.0f} s · {at}")
    except BaseException:  # our own trouble, such as Ctrl-C or a full disk: end the child too
        child.terminate()
        child.wait()
        raise
    code = child.wait()
    progress(f"  {title} · {time.monotonic() - start:.0f} s · {'failed' if code else 'done'}", "\n")
    return code, "".join(output)


def lines_or_silence(stream, patience=0.5):
    """The lines of a stream as they come, and an empty one after each `patience` seconds of none.

    A thread waits for the lines, because on Windows a pipe cannot be waited for with a limit.
    """
    lines = queue.Queue()

    def listen():
        with stream:
            for line in stream:
                lines.put(line)
        lines.put(None)

    threading.Thread(target=listen, daemon=True).start()
    while True:
        try:
            line = lines.get(timeout=patience)
        except queue.Empty:
            line = ""
        if line is None:
            return
        yield line


def doing(line):
    """What a line of pip's output says it is doing, in a few words; None for other lines.

    >>> doing("  Downloading numpy-2.4.6-cp311-cp311-manylinux_2_28_x86_64.whl (16.9 MB)")
    'downloading numpy 2.4.6 (16.9 MB)'
    """
    words = line.split()
    if line.startswith("Installing collected packages:"):
        return "installing " + (words[3] if len(words) == 4 else f"{len(words) - 3} packages")
    if "Retrying (Retry(" in line:
        return "waiting for the network"
    match = re.match(r"\s*(Collecting|Downloading|Using cached|Processing) (\S+)(.*)", line)
    if not match:
        return None
    verb, what, rest = match.groups()
    name = re.sub(r"^([^-]+)-([^-]+)-.*", r"\1 \2", what.rsplit("/", 1)[-1])
    size = re.search(r"\([\d.]+ [kM]B\)", rest)
    verb = {"Collecting": "looking for", "Processing": "reading"}.get(verb, verb.lower())
    return f"{verb} {name}" + (f" {size[0]}" if size else "")


def progress(text, end=""):
    """On a terminal, one line that is written over; elsewhere, a line each time."""
    if sys.stdout.isatty():
        width = shutil.get_terminal_size().columns - 1
        print("\r" + text[:width].ljust(width), end=end, flush=True)
    else:
        print(text, flush=True)


def say(text):
    print(text, flush=True)


# --- Troubles, each in one sentence ---------------------------------------------------------------

DISK_FULL = "the disk is full: make room for 2 GB (temporary files too), then run this again"
NOT_ALLOWED = "no permission to write here: move the course into a folder of your own"
PYTHON = f"python{sys.version_info[0]}.{sys.version_info[1]}"


def explain(output):
    """The likely cause of a failed installation, from all that pip or venv said."""
    low = " ".join(output.lower().split())  # venv breaks its lines in the middle of a phrase

    def said(*texts):
        return any(text in low for text in texts)

    if said("no space left", "errno 28]", "not enough space on the disk", "quota exceeded"):
        return DISK_FULL
    if said("ensurepip is not available", "no module named ensurepip", "no module named venv"):
        return f"this Python cannot make environments: run `sudo apt install {PYTHON}-venv` first"
    if said("permission denied", "errno 13]", "winerror 5]", "read-only file system"):
        return NOT_ALLOWED
    if said("long path support", "winerror 206]"):
        return "a path is too long for Windows: move the course to C:\\descent or the like"
    if said("certificate_verify_failed"):
        return "the network's certificate is not trusted: set PIP_CERT to your network's own"
    # Without a network, too, pip ends with "no matching distribution": it could find no version.
    missing = re.search(r"no matching distribution found for (\S+)", output, flags=re.I)
    retried = said("retrying (retry(", "max retries exceeded", "newconnectionerror", "proxyerror")
    if retried and (not missing or "(from versions: none)" in low):
        return "the network cannot be reached: check connection and proxy, then run this again"
    if missing:
        return (
            f"there is no build of {missing[1]} for {PYTHON} on this kind of machine: "
            "use a 64-bit Python 3.11, which the course was tested with"
        )
    if said("resolutionimpossible", "conflicting dependencies", "looking at multiple versions"):
        return (
            f"the versions in constraints.txt do not fit together on this {PYTHON}: use the newest "
            "Python 3.11, 64-bit, or, if you changed pyproject.toml, look for a contradiction"
        )
    last = [line.strip() for line in output.splitlines() if "error" in line.lower()][-1:]
    return f"the installation failed: {last[0] if last else 'nothing was said about why'}"


def explain_os_error(error):
    """The sentence for an error of our own reading, writing and starting."""
    if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
        return DISK_FULL
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return NOT_ALLOWED
    return f"the system refused: {error}"


def check_python(version=sys.version_info):
    if tuple(version[:2]) < OLDEST_PYTHON:
        raise Stop(
            "this is Python {}.{}, and the course needs {}.{} or newer: get it from "
            "https://www.python.org/downloads/ and start run.py with it".format(
                *version[:2], *OLDEST_PYTHON
            )
        )


def is_free(port):
    with socket.socket() as probe:
        if os.name == "posix":  # a connection that ended a moment ago does not count as use
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def next_free_port(first):
    for port in range(first, first + 100):
        if is_free(port):
            return port
    raise Stop(f"ports {first} to {first + 99} are all in use; name a free one with --port")


def read(path):
    return path.read_text(encoding="utf-8")


def parser():
    top = argparse.ArgumentParser(prog="run.py", description=__doc__.splitlines()[0])
    commands = top.add_subparsers(metavar="command", dest="command", required=True)
    made = {}
    for command in (lab, test, build, homework, site, bench, lock):
        made[command] = commands.add_parser(
            command.__name__, help=command.__doc__, description=command.__doc__, allow_abbrev=False
        )
        made[command].set_defaults(run=command)
    made[lab].add_argument("--port", type=int, help="default: the first free one from 8888")
    ends = made[test].add_mutually_exclusive_group()
    for end in ("lowest", "newest"):
        ends.add_argument(
            f"--{end}",
            dest="versions",
            action="store_const",
            const=end,
            default="pinned",
            help=f"with the {end} versions that pyproject.toml allows, in .venv-{end}",
        )
    return top


def main(arguments=None):
    try:
        check_python()
        options, extra = parser().parse_known_args(arguments)
        options.run(options, extra)
    except Stop as stop:
        print(f"\nrun.py: {stop}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nrun.py: interrupted; run the same command again to go on", file=sys.stderr)
        return 130
    except OSError as error:
        print(f"\nrun.py: {explain_os_error(error)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
