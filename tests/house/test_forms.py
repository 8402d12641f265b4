"""What GitHub and editors read: forms, the dev container, what blame passes over."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FORMS = sorted(
    path for path in (ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml") if path.stem != "config"
)


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_an_issue_form_is_one_that_github_accepts(path):
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert set(form) == {"name", "description", "labels", "body"}
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    assert len({field["id"] for field in fields}) == len(fields) > 0
    for field in fields:
        assert field["type"] in {"input", "textarea", "dropdown", "checkboxes"}
        assert field["attributes"]["label"]
        assert field["type"] != "dropdown" or len(field["attributes"]["options"]) > 1
    assert any(field.get("validations", {}).get("required") for field in fields)


def test_the_dev_container_is_set_up_by_run_py():
    found = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text(encoding="utf-8"))
    assert found["postCreateCommand"].startswith("python3 run.py ")
    assert found["image"].endswith(":3.11")


def test_blame_passes_over_commits_that_are_in_the_history():
    text = (ROOT / ".git-blame-ignore-revs").read_text(encoding="utf-8")
    commits = re.findall(r"^([0-9a-f]{40})\b", text, flags=re.M)
    assert commits
    shallow = ["git", "rev-parse", "--is-shallow-repository"]
    if subprocess.run(shallow, cwd=ROOT, capture_output=True, text=True).stdout.strip() == "true":
        pytest.skip("a shallow clone has no history to look in")
    for commit in commits:
        known = ["git", "merge-base", "--is-ancestor", commit, "HEAD"]
        assert subprocess.run(known, cwd=ROOT, capture_output=True).returncode == 0, commit


def test_the_change_log_has_a_place_for_what_comes_next():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (.*)$", text, flags=re.M)[0] == "Unreleased"
