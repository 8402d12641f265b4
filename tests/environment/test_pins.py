"""One version of the truth: what pyproject allows, constraints pin and environments install."""

import json
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import distribution, distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from tools import environment

ROOT = environment.ROOT
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
RUNTIME = [Requirement(text) for text in PROJECT["dependencies"]]
TEST = [
    Requirement(text)
    for text in environment.ranges(environment.groups())
    if text not in PROJECT["dependencies"]
]
PINS = {canonicalize_name(name): version for name, version in environment.pins().items()}

CONDA = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
PIP_SECTION = next(item["pip"] for item in CONDA["dependencies"] if isinstance(item, dict))


def test_binders_environment_is_an_identical_copy():
    ours, binders = ROOT / "environment.yml", ROOT / "binder" / "environment.yml"
    assert ours.read_bytes() == binders.read_bytes()


def test_the_environment_pins_exactly_the_runtime_dependencies_as_tested():
    pinned = [line for line in PIP_SECTION if not line.startswith("--")]
    expected = [f"{r.name}=={PINS[canonicalize_name(r.name)]}" for r in RUNTIME]
    assert sorted(pinned) == sorted(expected)


def test_the_environment_finds_the_cpu_build_of_torch():
    assert [line for line in PIP_SECTION if line.startswith("--")] == [
        f"--extra-index-url {environment.CPU_INDEX}"
    ]


@pytest.mark.parametrize("requirement", RUNTIME + TEST, ids=lambda r: r.name)
def test_every_pin_lies_within_its_range(requirement):
    assert requirement.specifier.contains(PINS[canonicalize_name(requirement.name)])


@pytest.mark.parametrize("requirement", RUNTIME + TEST, ids=lambda r: r.name)
def test_every_range_is_one_lower_bound(requirement):
    # `run.py test --lowest` reads it so; an upper bound would need its reason, and a change there.
    (bound,) = requirement.specifier
    assert bound.operator == ">="


def test_every_dependency_gives_its_reason():
    files = [ROOT / "pyproject.toml", ROOT / "grading" / "pyproject.toml"]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    lines = re.findall(r'^    "[\w-]+>=[\d.]+",(.*)$', text, flags=re.M)
    again = 2  # grading names the course, and nbgrader once more
    assert len(lines) == len(RUNTIME + TEST) + again
    assert all(re.match(r" +# \S{2}", comment) for comment in lines)


@pytest.mark.skipif(
    Path(sys.prefix).name in (".venv-lowest", ".venv-newest"),
    reason="what else these versions need is their own affair",
)
def test_nothing_that_a_dependency_needs_is_left_unpinned():
    waiting, seen = RUNTIME + TEST, set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        for extra in ("", *requirement.extras):
            if (name, extra) not in seen:
                seen.add((name, extra))
                needs = map(Requirement, distribution(name).requires or [])
                here = {"extra": extra}
                waiting += [n for n in needs if not n.marker or n.marker.evaluate(here)]
    # setuptools comes with the environment, and pip itself keeps it out of its freeze
    assert {name for name, _ in seen} - set(PINS) <= {"setuptools"}


def test_every_pin_can_be_installed_by_the_oldest_python():
    # Debian 12 has 3.11.2; a pin that asks for 3.11.5 cannot be installed there.
    oldest = ".".join(map(str, environment.OLDEST_PYTHON)) + ".0"
    here = [d for d in distributions() if PINS.get(canonicalize_name(d.name)) == d.version]
    assert len(here) > len(RUNTIME)
    asked = {d.name: d.metadata.get("Requires-Python") or "" for d in here}
    assert {n: r for n, r in asked.items() if not SpecifierSet(r).contains(oldest)} == {}


def test_pins_name_no_platforms_build():
    assert [v for v in PINS.values() if Version(v).local] == []


@pytest.mark.parametrize("path", ["run.py", ".ci/run", "binder/postBuild", "binder/start"])
def test_programs_hold_no_pin_of_their_own(path):
    text = (ROOT / path).read_text(encoding="utf-8")
    assert re.findall(r"[\w\]]==\d", text) == []
    assert PINS["torch"] not in text


def test_the_oldest_python_is_the_same_everywhere():
    oldest = ".".join(map(str, environment.OLDEST_PYTHON))
    assert PROJECT["requires-python"] == f">={oldest}"
    assert f"python={oldest}" in CONDA["dependencies"]
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        named = re.findall(r'python-version: "(.*?)"', path.read_text(encoding="utf-8"))
        assert set(named) == {oldest}, path.name


def test_the_environment_does_not_install_the_course_itself():
    # Binder would have to copy the whole repository first, and lose its cache at every commit.
    assert not any(re.match(r"-e\b|--editable|\.", line) for line in PIP_SECTION)


@pytest.mark.slow
def test_a_fresh_environment_can_install_the_pip_section(tmp_path):
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    python = tmp_path / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    (tmp_path / "requirements.txt").write_text("\n".join(PIP_SECTION), encoding="utf-8")
    done = subprocess.run(
        [str(python), "-m", "pip", "install", "--dry-run", "--report", "report.json"]
        + ["-r", "requirements.txt"],
        cwd=tmp_path,
        env={**os.environ, "PIP_RETRIES": "1", "PIP_DEFAULT_TIMEOUT": "15"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    if (
        done.returncode
        and "network" in environment.explain(done.stdout)
        and not os.environ.get("CI")
    ):
        pytest.skip("needs the network")
    assert done.returncode == 0, done.stdout[-2000:]
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    chosen = {canonicalize_name(i["metadata"]["name"]): i["metadata"] for i in report["install"]}
    for requirement in RUNTIME:
        name = canonicalize_name(requirement.name)
        assert Version(chosen[name]["version"]).public == PINS[name]
