"""What surrounds the course: workflows, licences, and the one address of the repository."""

import re
import tomllib

import pytest
import yaml

from tools import environment

ROOT = environment.ROOT
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ADDRESS = PROJECT["urls"]["Repository"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def steps(path):
    jobs = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]
    return [step for job in jobs.values() for step in job["steps"]]


def commands(name):
    return [s["run"] for s in steps(ROOT / ".github" / "workflows" / name) if "run" in s]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_are_valid_and_need_no_secret(path):
    text = path.read_text(encoding="utf-8")
    workflow = yaml.safe_load(text)
    assert set(workflow) == {"name", True, "permissions", "jobs"}  # YAML 1.1 reads `on` as true
    assert workflow["permissions"] == {"contents": "read"}
    assert "secrets." not in text
    assert all(set(step) & {"uses", "run"} for step in steps(path))
    assert all("timeout-minutes" in job for job in workflow["jobs"].values())


def test_every_system_runs_the_same_command_as_a_reader():
    workflow = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text(encoding="utf-8"))
    systems = workflow["jobs"]["test"]["strategy"]["matrix"]["os"]
    assert {name.split("-")[0] for name in systems} == {"ubuntu", "macos", "windows"}
    # On Linux through .ci/run, which adds what grading needs and ends in the same command.
    assert commands("test.yml")[1:] == [".ci/run", "python run.py test"]
    last = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()[-1]
    assert last == "exec python3 run.py test"


def test_both_ends_of_the_ranges_and_every_seed_are_tested_weekly():
    workflow = yaml.safe_load((ROOT / ".github/workflows/weekly.yml").read_text(encoding="utf-8"))
    assert "schedule" in workflow[True]
    ends, seeds = workflow["jobs"].values()
    assert ends["strategy"]["matrix"]["end"] == ["lowest", "newest"]
    assert seeds["steps"][-1]["env"] == {"DESCENT_EVERY_SEED": "1"}
    assert commands("weekly.yml") == [
        "python run.py test --${{ matrix.end }}",
        "python run.py test tests/test_notebooks.py -k every_seed",
    ]


def test_the_image_is_built_as_binder_builds_it():
    assert any(re.match(r"jupyter-repo2docker \.", text) for text in commands("binder.yml"))


def test_citation_agrees_with_the_package():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == PROJECT["version"]
    assert citation["repository-code"] == ADDRESS
    assert citation["authors"] == PROJECT["authors"]
    assert " AND ".join(citation["license"]) == PROJECT["license"]


def test_every_page_names_the_repository_as_pyproject_does():
    owner_and_name = ADDRESS.removeprefix("https://github.com/")
    owner = owner_and_name.split("/")[0]
    link = re.compile(
        rf"(?:github\.com/|mybinder\.org/v2/gh/|githubusercontent\.com/)({owner}/[\w.-]+)"
    )
    binder = re.compile(r"mybinder\.org/v2/gh/([\w.-]+/[\w.-]+)")
    pages = [*ROOT.glob("*.md"), *ROOT.glob("notebooks/*.ipynb"), ROOT / "CITATION.cff"]
    texts = {page.name: page.read_text(encoding="utf-8") for page in pages}
    found = {(name, a) for name, t in texts.items() for a in link.findall(t) + binder.findall(t)}
    assert found, "no page names the repository"
    assert {(name, a) for name, a in found if a.removesuffix(".git") != owner_and_name} == set()


def test_each_licence_file_is_the_one_that_pyproject_names():
    named = PROJECT["license-files"]
    texts = [(ROOT / name).read_text(encoding="utf-8") for name in named]
    assert named == ["LICENSE", "LICENSE-TEXT"]
    assert texts[0].startswith("BSD 3-Clause License")
    assert "https://creativecommons.org/licenses/by/4.0/" in texts[1]
