"""Set-up, the programs that run.py starts, and their troubles in words.

The first use makes a virtual environment in `.venv` and installs what constraints.txt pins.
Later uses skip that, until a pyproject.toml or constraints.txt changes.  An installation that was
interrupted or failed is repaired by running the same command again.

Standard library only; old Pythons have to read it as well, far enough to be told their age.
"""

from __future__ import annotations

import ast
import contextlib
import errno
import hashlib
import json
import os
import platform
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

from tools import files
from tools.browser import HOW_TO_GET_A_BROWSER, find_browser

ROOT = Path(__file__).resolve().parent.parent
OLDEST_PYTHON = (3, 11)  # as requires-python in pyproject.toml says
CPU_INDEX = "https://download.pytorch.org/whl/cpu"  # builds without 3 GB of CUDA libraries
LOCAL = ("grading",)  # distributions of their own, each in the folder of its name
TEMPORARY = ("TMPDIR", "TEMP", "TMP")  # where programs look for a place for temporary files


ALT_TEXT = """\
import os, sys
templates = os.path.join(sys.prefix, "etc", "jupyter", "templates")
c.TemplateExporter.extra_template_basedirs = [templates]
c.HTMLExporter.template_name = "descent"
"""

# Without the first, JupyterLab greets a learner with a question about news of its own; without the
# second, nbgrader warns at each start that nobody has configured it.
SETTINGS = {
    "labconfig/page_config.json": json.dumps(
        {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}
    ),
    "nbgrader_config.py": "# Nothing to configure; without this file nbgrader says so each time.\n",
    # Saved as HTML, a figure keeps its alt text, which nbconvert's own template leaves out.
    "jupyter_nbconvert_config.py": ALT_TEXT,
    "jupyter_server_config.py": ALT_TEXT,  # the same for JupyterLab's "Save and Export Notebook As"
    "templates/descent/conf.json": json.dumps(
        {"base_template": "lab", "mimetypes": {"text/html": True}}
    ),
    "templates/descent/index.html.j2": """\
{%- extends 'lab/index.html.j2' -%}
{%- block data_png scoped -%}
{%- set alt = output | get_metadata('alt', 'image/png') -%}
{%- set named = '<img alt="' ~ (alt | escape_html) ~ '" ' if alt else '<img ' -%}
{{ super() | replace('<img ', named, 1) }}
{%- endblock -%}
""",
}


class Stop(Exception):
    """Ends the program with one sentence for its reader."""


# --- Set-up ---------------------------------------------------------------------------------------


def set_up(extras, versions="pinned", *, root=ROOT, run=None, works=None):
    """Make the environment if it is missing or out of date; return the path of its Python.

    `extras` are groups of pyproject.toml, or distributions of our own.  `versions` is "pinned"
    (as in constraints.txt), or one end of the ranges: "lowest" or "newest".  `run` starts a
    program as `attempt` does, `works` judges an interpreter.
    """
    run, works = run or attempt, works or is_ours
    venv = root / (".venv" if versions == "pinned" else f".venv-{versions}")
    python = venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = venv / "setup.stamp"
    if versions == "newest":  # what is newest changes from day to day: never taken for ready
        shutil.rmtree(venv, ignore_errors=True)
    if python.is_file() and is_current(stamp, stamp_text(extras, root)):
        return str(python)
    with alone(root / ".setup.lock"):
        if not (python.is_file() and is_current(stamp, stamp_text(extras, root))):
            make(venv, python, stamp, extras, versions, root, run, works)
    return str(python)


@contextlib.contextmanager
def alone(path):
    """One set-up at a time: a second one waits for the first, and says so."""
    with open(path, "a") as file:
        if not locked(file, wait=False):
            say("Another set-up is at work in this folder; waiting for it to end.")
            locked(file, wait=True)
        yield


def locked(file, wait):
    """Take the lock of an open file; whether it could be had. It goes with the file."""
    try:
        if os.name == "nt":
            import msvcrt

            while True:
                try:
                    file.seek(0)
                    msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
                    return True
                except OSError:
                    if not wait:
                        raise
                    time.sleep(0.5)
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        return True
    except OSError as error:
        if error.errno in (errno.ENOLCK, errno.ENOTSUP, errno.EINVAL):  # a disk that has no locks
            return True
        return False


def make(venv, python, stamp, extras, versions, root, run, works):
    """Make the environment, or mend it, and leave the stamp that says so."""
    check_machine()
    say(
        f"Setting up {venv.name}, once: {'a minute and 1.2 GB' if not extras else 'a few minutes'}."
    )
    say("Interrupt it if you must; the same command goes on from there.")
    # Groups that came before stay, and a later stamp has to name them too.
    known = read(stamp).split()[1:] if stamp.is_file() else []
    if stamp.exists():
        stamp.unlink()  # from here until the end, this environment is not ready
    if (venv.exists() or venv.is_symlink()) and not works(python):
        say(f"{venv.name} is incomplete or from another Python: making it anew.")
        remove(venv)
        known = []
    wanted = sorted({*extras, *known} & set(groups(root)))
    install(venv, python, wanted, versions, root, run)
    files.replace(stamp, stamp_text(wanted, root).encode("utf-8"))


def remove(path):
    """Remove a folder; of a link the link alone, for what it leads to is somebody else's."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    else:
        shutil.rmtree(path)


def install(venv, python, extras, versions, root, run):
    """The three steps of set-up, each of which may be done again, and JupyterLab's settings."""
    venv.mkdir(exist_ok=True)
    log = venv / "setup.log"
    step = Steps(log, root, run)
    if not python.exists():
        step("1/3 virtual environment", [sys.executable, "-m", "venv", str(venv)])
    forget_half_installed(venv)
    # Python compiles what is used when it is used: a tenth of what is installed.
    pip = [str(python), "-m", "pip", "install", "--no-compile"]
    install_torch(pip, versions, step)
    # Where all is pinned there is nothing to search: pip would look in vain for ten minutes.
    hopeless = "is looking at multiple versions" if versions == "pinned" else None
    step("3/3 everything else", pip + requirements(extras, versions, root), hopeless)
    for name, text in SETTINGS.items():
        path = venv / "etc" / "jupyter" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        files.replace(path, text.encode("utf-8"))


def stamp_text(extras, root=ROOT):
    """What the stamp holds: a digest of all that decides the environment, then its extras.

    The folder belongs to it: the course is installed as a link to this very place.
    """
    told = ["pyproject.toml", "constraints.txt", *(f"{name}/pyproject.toml" for name in LOCAL)]
    parts = [read(root / name) for name in told if (root / name).is_file()]
    parts += [".".join(map(str, sys.version_info[:2])), str(root), *SETTINGS.values()]
    # A folder's name need not be UTF-8: so a zip from a Korean Windows unpacks on Linux.
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()
    return "\n".join([digest, *sorted(extras)]) + "\n"


def is_current(stamp, wanted):
    """Does the stamp have the wanted digest, and at least the wanted extras?"""
    found = read(stamp).split() if stamp.is_file() else []
    digest, *extras = wanted.split()
    return found[:1] == [digest] and set(extras) <= set(found[1:])


def is_ours(python):
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
            env=variables(),
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


def install_torch(pip, versions, step):
    """PyTorch goes first and by itself: on Linux, PyPI's build would bring CUDA along."""
    title = "2/3 PyTorch, the build for CPUs"
    torch = next(r for r in requirements([], versions, step.root) if is_torch(r))
    install = pip + ["--no-deps", torch]
    if sys.platform.startswith("linux"):
        cpu = install + ["--retries", "0", "--timeout", "15", "--index-url", CPU_INDEX]
        code, output = step.run(title, cpu, step.log)
        if code == 0:
            return
        if explain(output, code) in (DISK_FULL, NOT_ALLOWED, KILLED):  # a larger one is no help
            raise step.failure(output, code)
        title = "2/3 PyTorch, from PyPI instead (larger)"
    step(title, install)


def requirements(extras, versions, root=ROOT):
    """What `pip install` is to be given for these versions."""
    chosen = [extra for extra in extras if extra not in LOCAL]
    ours = ["-e", "." + (f"[{','.join(chosen)}]" if chosen else "")]
    for name in LOCAL:
        ours += ["-e", f"./{name}"] if name in extras else []
    if versions == "pinned":
        return ["-c", "constraints.txt", f"torch=={pins(root)['torch']}", *ours]
    needed = ranges(extras, root)
    if versions == "newest":
        return [*filter(is_torch, needed), *ours]
    return [text.replace(">=", "==") for text in needed] + ours


def ranges(extras, root=ROOT):
    """What pyproject.toml asks for, with these groups; our own distributions left out."""
    table = project_table(root)
    named = [table["optional-dependencies"][extra] for extra in extras if extra not in LOCAL]
    needed = table["dependencies"] + sum(named, [])
    for name in LOCAL:
        more = project_table(root / name)["dependencies"] if name in extras else []
        needed += [text for text in more if text not in needed and not text.startswith("descent-")]
    return needed


def project_table(folder=ROOT):
    import tomllib  # Python 3.11; imported here so that older ones get as far as our message

    return tomllib.loads(read(folder / "pyproject.toml"))["project"]


def has(name, root=ROOT):
    """Is this distribution of ours here? The student edition has none."""
    return (root / name / "pyproject.toml").is_file()


def groups(root=ROOT):
    """All that may come on top of the lessons' own needs: tests prove every part."""
    local = [name for name in LOCAL if has(name, root)]
    return sorted([*project_table(root)["optional-dependencies"], *local])


def is_torch(requirement):
    return re.match(r"torch\b", requirement) is not None


def pins(root=ROOT):
    """Name → version in constraints.txt."""
    lines = read(root / "constraints.txt").splitlines()
    return dict(line.split("==") for line in lines if "==" in line and not line.startswith("#"))


def get_browser(python, *, find=find_browser, run=None):
    """Try to fetch a browser where there is none; the browser tests themselves skip or fail."""
    try:
        if find():
            return
    except ValueError as error:
        raise Stop(str(error)) from None
    log = Path(python).parent.parent / "setup.log"
    fetch = [python, "-m", "playwright", "install", "chromium"]
    (run or attempt)("no browser here: fetching one through Playwright", fetch, log)
    if not find():
        say(f"The browser tests have no browser; to run them, {HOW_TO_GET_A_BROWSER}.")


# --- Programs started from here, and what they say ------------------------------------------------


def hand_over(command, **more):
    """Become `command`, so that its output, its exit code and Ctrl-C are its own."""
    sys.stdout.flush()
    os.chdir(ROOT)
    if os.name == "posix":
        os.execve(command[0], command, variables(**more))
    child = subprocess.Popen(command, env=variables(**more))
    while True:  # Ctrl-C reaches the child as well; it decides what that means
        try:
            sys.exit(child.wait())
        except KeyboardInterrupt:
            pass


# What a reader's Python is told of other places and other ways; an environment has its own.
FOREIGN = ("PYTHONPATH", "PYTHONHOME", "PYTHONSAFEPATH", "PYTHONOPTIMIZE", "PYTHONSTARTUP")
FOREIGN += ("PYTHONWARNINGS", "PYTHONUSERBASE", "PYTHONPLATLIBDIR", "__PYVENV_LAUNCHER__")
# Of pip's settings, those that say how to reach packages. Others would put them elsewhere
# (target, prefix, root), or ask for other versions and files (constraint, require-hashes, no-deps).
REACHING = (
    "index-url",
    "extra-index-url",
    "find-links",
    "no-index",
    "trusted-host",
    "proxy",
    "cert",
)
REACHING += ("client-cert", "timeout", "default-timeout", "retries", "resume-retries", "cache-dir")
REACHING += ("no-cache-dir", "keyring-provider", "use-feature")


def variables(**more):
    """The environment of a child: UTF-8 everywhere, no other Python's, and pip asks nothing."""
    pip = {"PIP_NO_INPUT": "1", "PIP_PROGRESS_BAR": "off", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    ours = {name: value for name, value in os.environ.items() if name.upper() not in FOREIGN}
    return {**ours, **pip, "PIP_USER": "0", "PYTHONNOUSERSITE": "1", "PYTHONUTF8": "1", **more}


def for_pip(python, **more):
    """The environment of a pip: of a reader's settings those in `REACHING`, and no others."""
    given = variables(**more)
    told = subprocess.run(
        [python, "-m", "pip", "config", "list"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
        encoding="utf-8",
        errors="replace",
        env=given,
    ).stdout
    found = {}
    for line in told.splitlines():
        place, _, value = line.partition("=")
        section, _, name = place.rpartition(".")
        found[section, name.replace("_", "-")] = value
    kept = {}
    for section in ("global", "install", ":env:"):  # later ones win, as in pip
        for (where, name), value in found.items():
            if where == section and name in REACHING:
                kept["PIP_" + name.upper().replace("-", "_")] = ast.literal_eval(value)
    others = {name: value for name, value in given.items() if not name.upper().startswith("PIP_")}
    own = {name: given[name] for name in ("PIP_NO_INPUT", "PIP_PROGRESS_BAR", "PIP_USER")}
    own["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    return {**others, **kept, **own, "PIP_CONFIG_FILE": os.devnull}


class Steps:
    """Runs programs one after the other; one that fails ends all, with a sentence that says why."""

    def __init__(self, log, root, run):
        self.log, self.root, self.run = log, root, run

    def __call__(self, title, command, hopeless=None):
        code, output = self.run(title, command, self.log, hopeless)
        if code:
            raise self.failure(output, code)

    def failure(self, output, code=1):
        return Stop(f"{explain(output, code)} (details: {self.log.relative_to(self.root)})")


def attempt(title, command, log, hopeless=None):
    """Run `command`, showing what it is at; return its exit code and output, kept in `log` too.

    A line with the text `hopeless` ends it at once.
    """
    # A pip that is ended early leaves its downloads behind; in a folder of ours they go with it.
    with tempfile.TemporaryDirectory(prefix="descent-", ignore_cleanup_errors=True) as folder:
        places = {**dict.fromkeys(TEMPORARY, folder), "PYTHONUNBUFFERED": "1"}
        is_pip = command[1:3] == ["-m", "pip"]
        env = for_pip(command[0], **places) if is_pip else variables(**places)
        return watch(title, command, log, hopeless, env)


def watch(title, command, log, hopeless, env):
    """The body of `attempt`, in an environment of these variables."""
    start, shown, at, output = time.monotonic(), 0.0, "starting", []
    child = subprocess.Popen(
        command,
        cwd=str(ROOT),
        env=env,
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


KILLED = (
    "the system ended pip, most likely because memory ran out (it needs about 1 GB): close other "
    "programs, then run this again"
)
BROKEN_OFF = "the download broke off midway: run this again, and it goes on with the next file"
NO_INTEL_MAC = (
    "PyTorch has no build for Macs with an Intel processor: use the course on Binder or its site "
    "(README.md has the links), or a Mac with an Apple processor"
)


def check_machine(system=sys.platform, machine=None):
    if system == "darwin" and (machine or platform.machine()) == "x86_64":
        raise Stop(NO_INTEL_MAC)


# Long because each trouble has its sentence.
def explain(output, code=1):
    """The likely cause of a failed installation, from all that pip or venv said."""
    if code in (-9, 137):
        return KILLED
    low = " ".join(output.lower().split())  # venv breaks its lines in the middle of a phrase

    def said(*texts):
        return any(text in low for text in texts)

    if said("no space left", "errno 28]", "not enough space on the disk", "quota exceeded"):
        return DISK_FULL
    if said("ensurepip is not available", "no module named ensurepip", "no module named venv"):
        return f"this Python cannot make environments: run `sudo apt install {PYTHON}-venv` first"
    if said("permission denied", "errno 13]", "winerror 5]", "read-only file system"):
        return NOT_ALLOWED
    if said("winerror 32]", "being used by another process"):
        return "another program holds a file of .venv: close JupyterLab, then run this again"
    if said("winerror 1260]", "blocked by group policy"):
        return "this computer's administrators forbid programs here: ask them, or use Binder"
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
    if said(
        "readtimeouterror",
        "read timed out",
        "incompleteread",
        "incomplete-download",
        "incomplete download",
        "connection broken",
        "protocolerror",
        "connectionreseterror",
        "connection reset by peer",
        "do not match the hashes",
    ):
        return BROKEN_OFF
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
