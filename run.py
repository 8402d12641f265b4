#!/usr/bin/env python3
"""One program to start, test and build the course; needs nothing but Python itself.

The commands stand here; how an environment is set up for them, in tools/environment.py.
Old Pythons have to read this file as well, far enough to be told that they are too old.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # also with -P, the safe path
for _stream in (sys.stdout, sys.stderr):  # a folder's name may hold what no terminal can show
    if hasattr(_stream, "reconfigure"):
        _stream.reconfigure(errors="replace")

from tools import environment, files  # noqa: E402
from tools.environment import ROOT, Stop, pins, read, say  # noqa: E402

FIRST_PAGE = "notebooks/00_start_here.ipynb"
FIRST_PORT = 8888
EVERYTHING = ["--nbval", "--nbval-current-env", "--nbval-cell-timeout=120"]
# Whole files: the cells of a notebook run in one kernel, in their order.
# Three on two cores, for much of a test's time is waiting.
BESIDE_EACH_OTHER = ["--numprocesses=3", "--dist=loadfile"]
# Old libraries meet newer ones, which have deprecated since what the old ones lean on.
NOT_OURS = ["-W", "ignore::DeprecationWarning"]
# `test --quick`: what needs no browser, kernel, sandbox or second environment.
QUICK = ["tests/course_utils", "tests/tools", "tests/environment/test_run.py", "tests/house"]
QUICKLY = ["-m", "not browser and not hostile and not slow", "--hypothesis-profile=quick"]


# --- The commands ---------------------------------------------------------------------------------


def lab(options, extra, do):
    """open the course in JupyterLab (other arguments go to JupyterLab, such as --no-browser)"""
    port = options.port or environment.next_free_port(FIRST_PORT)
    if not environment.is_free(port):
        raise Stop(f"port {port} is in use: choose another, or leave out --port to get a free one")
    if not options.port and port != FIRST_PORT:
        say(f"Port {FIRST_PORT} is in use: taking {port}.")
    python = do.set_up([])
    # JupyterLab refuses to run as root, the usual user of a container, unless told.
    as_root = ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    say("Starting JupyterLab; Ctrl-C here ends it.")
    do.hand_over(
        [python, "-m", "jupyterlab", f"--ServerApp.root_dir={ROOT}"]
        + [f"--LabApp.default_url=/lab/tree/{FIRST_PAGE}"]
        + [f"--ServerApp.port={port}", "--log-level=WARN", *as_root, *extra]
    )


def test(options, extra, do):
    """run every test: units, notebooks, browser (other arguments go to pytest, such as -k adam)"""
    if options.quick:
        python = do.set_up(["lint", "units"], options.versions)
        named = any(re.search(r"\.py\b|[/\\]", text) for text in extra if text[0] != "-")
        quick = [*([] if named else QUICK), *QUICKLY, "--numprocesses=2"]
        do.hand_over([python, "-m", "pytest", *quick, *extra], OMP_NUM_THREADS="1")
        return
    python = do.set_up(do.groups(), options.versions)
    do.get_browser(python)
    # One thread: sums in another order differ in their last digit, and nbval compares digits.
    old = NOT_OURS if options.versions == "lowest" else []
    do.hand_over(
        [python, "-m", "pytest", *EVERYTHING, *BESIDE_EACH_OTHER, *old, *extra], OMP_NUM_THREADS="1"
    )


def build(options, extra, do):
    """execute notebooks afresh and write them canonically: all, or those named"""
    do.hand_over([do.set_up(["units"]), "-m", "tools.notebooks", *extra], OMP_NUM_THREADS="1")


def site(options, extra, do):
    """build the course as web pages, which need no server, in build/site/html"""
    do.hand_over([do.set_up(["site", "units"]), "-m", "tools.site", *extra], OMP_NUM_THREADS="1")


def homework(options, extra, do):
    """for instructors: release, archive, collect, grade, by-hand, feedback, export homework"""
    if not environment.has("grading"):
        raise Stop("the student edition has no grading: take the whole repository")
    do.hand_over([do.set_up(["grading"]), "-m", "grading", *(extra or ["--help"])])


def bench(options, extra, do):
    """measure the package against the usual alternatives, side by side"""
    do.hand_over([do.set_up(["units"]), "-m", "benchmarks", *extra])


def lock(options, extra, do):
    """pin the newest versions in constraints.txt and the environment files (test them after)"""
    python = do.set_up(do.groups(), "newest")
    frozen = subprocess.run(
        [python, "-m", "pip", "freeze", "--exclude-editable"],
        env=environment.variables(),
        check=True,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ).stdout
    pin(frozen, ROOT)
    say("Wrote constraints.txt and both environment.yml; now try them with: run.py test")


def pin(frozen, root):
    """Write the versions that pip froze to every place that names them."""
    frozen = re.sub(r"\+cpu$", "", frozen, flags=re.M)  # other systems have no such local part
    constraints = root / "constraints.txt"
    header = [line for line in read(constraints).splitlines() if line.startswith("#")]
    files.replace(constraints, ("\n".join(header) + "\n" + frozen).encode("utf-8"))
    versions = pins(root)
    for path in (root / "environment.yml", root / "binder" / "environment.yml"):
        pinned = re.sub(r"- (\S+)==\S+", lambda m: f"- {m[1]}=={versions[m[1]]}", read(path))
        files.replace(path, pinned.encode("utf-8"))


def parser():
    top = argparse.ArgumentParser(prog="run.py", description=(__doc__ or "").partition("\n")[0])
    commands = top.add_subparsers(metavar="command", dest="command", required=True)
    made = {}
    for command in (lab, test, build, homework, site, bench, lock):
        made[command] = commands.add_parser(
            command.__name__,
            help=command.__doc__,
            description=command.__doc__,
            allow_abbrev=False,
            add_help=command is not homework,  # its commands have options and help of their own
        )
        made[command].set_defaults(run=command)
    made[lab].add_argument("--port", type=int, help="default: the first free one from 8888")
    made[test].add_argument(
        "--quick",
        action="store_true",
        help="units only: no browser, no notebooks; a minute and a half",
    )
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


def main(arguments=None, do=environment):
    """Run a command; `do` sets up and starts programs, and a test may give its own."""
    try:
        environment.check_python()
        options, extra = parser().parse_known_args(arguments)
        options.run(options, extra, do)
    except Stop as stop:
        print(f"\nrun.py: {stop}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nrun.py: interrupted; run the same command again to go on", file=sys.stderr)
        return 130
    except OSError as error:
        print(f"\nrun.py: {environment.explain_os_error(error)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
