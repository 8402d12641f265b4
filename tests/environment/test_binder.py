"""Binder and CI: does repo2docker read binder/ as we mean it, and .ci/run do what it says?

Nothing is built or installed; no Docker is needed.
"""

import os
import shutil
import subprocess
import sys

import pytest

from tools import environment

ROOT = environment.ROOT
SCRIPTS = ["binder/postBuild", "binder/start", ".ci/run"]

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Binder and its scripts live on Linux")


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    """What repo2docker says it would build from this repository's binder/."""
    # A copy, for it reads the whole folder it is given, environments included.
    folder = tmp_path_factory.mktemp("repository")
    shutil.copytree(ROOT / "binder", folder / "binder")
    for name in ("environment.yml", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder)
    done = subprocess.run(
        [sys.executable, "-m", "repo2docker", "--no-build", "--debug", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=120,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_binder_builds_a_conda_environment_with_our_python(plan):
    assert (
        f"Building conda environment for python={'.'.join(map(str, environment.OLDEST_PYTHON))}"
        in plan
    )
    assert 'env update -p ${NB_PYTHON_PREFIX} --file "binder/environment.yml"' in plan


def test_binder_runs_our_scripts(plan):
    assert "RUN ./binder/postBuild" in plan
    assert 'R2D_ENTRYPOINT="${REPO_DIR}/binder/start"' in plan


def test_binder_can_reuse_the_environment_when_only_lessons_change(plan):
    environment = plan.index('--file "binder/environment.yml"')
    whole_repository = plan.index(" src/ ${REPO_DIR}/")
    assert environment < whole_repository < plan.index("RUN ./binder/postBuild")


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_are_executable_and_well_formed(script):
    assert os.access(ROOT / script, os.X_OK)
    subprocess.run(["bash", "-n", str(ROOT / script)], check=True)


def test_start_becomes_the_program_it_is_given():
    start = [str(ROOT / "binder" / "start"), sys.executable, "-c"]
    code = "import os; print(os.environ['OMP_NUM_THREADS'], os.getppid())"
    done = subprocess.run([*start, code], stdout=subprocess.PIPE, encoding="utf-8", check=True)
    assert done.stdout.split() == ["1", str(os.getpid())]


@pytest.mark.parametrize("browser", [True, False])
def test_ci_fetches_a_browser_only_where_there_is_none_and_then_tests(tmp_path, browser):
    stand_ins = {
        "python3": f"[ $1 = run.py ] && echo python3 $@ || exit {0 if browser else 1}",
        "apt-get": "echo apt-get $@",
        "sudo": "$@",
    }
    for name, body in stand_ins.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        [str(ROOT / ".ci" / "run")],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=True,
    )
    install = "apt-get install -y --no-install-recommends chromium fonts-noto-cjk"
    fetched = [] if browser else ["apt-get update", install]
    assert done.stdout.splitlines() == [*fetched, "python3 run.py test"]
