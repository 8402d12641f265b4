"""Binder: does repo2docker read binder/ as we mean it?  Nothing is built; no Docker is needed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import run

ROOT = Path(run.__file__).parent
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
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_binder_builds_a_conda_environment_with_our_python(plan):
    assert f"Building conda environment for python={'.'.join(map(str, run.OLDEST_PYTHON))}" in plan
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
