"""What the site is made of and where it leads: said here, read by docs/conf.py too."""

from __future__ import annotations

import re
import tomllib

from tools.notebooks import ROOT

DOCS = ROOT / "docs"
PACKAGE = ROOT / "course_utils"
BUILD = ROOT / "build" / "site"
STATE = "application/vnd.jupyter.widget-state+json"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
REPOSITORY = PROJECT["urls"]["Repository"]
BINDER = REPOSITORY.replace("https://github.com", "https://mybinder.org/v2/gh") + (
    "/HEAD?urlpath=lab/tree/"
)

# Pages beside the lessons, under their headings in the contents; those that exist are taken.
SECTIONS = {
    "Look up": ["glossary", "api/index"],
    "Teach": ["instructors", "students", "homework", "security"],
    "Maintain": ["maintainers", "contributing"],
}
# Files of the repository that become a page elsewhere than in docs.
PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md"}
# The exercises' modules hold the answers.
UNDOCUMENTED = re.compile(r"course_utils\.(exercises\.lesson\d\d|patients)$")


class SiteError(Exception):
    """A page cannot be made. The message says which, and what to change."""
