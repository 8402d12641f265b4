"""Where a link of a lesson or guide leads on the site."""

from __future__ import annotations

import os
import re
from pathlib import Path

from tools.notebooks import ROOT
from tools.site.settings import PAGES, REPOSITORY

__all__ = ["page", "relink"]


def relink(text: str, where: str) -> str:
    """Markdown links to files of the repository, as they have to be on the site.

    `where` is the file that the text stands in. A file that is a page of the site is linked as
    that page, any other as the file in the repository.
    """
    here = Path(where)

    def link(match):
        target, _, anchor = match[1].partition("#")
        file = (ROOT / here.parent / target).resolve()
        if not target or "://" in target or not file.is_relative_to(ROOT) or not file.exists():
            return match[0]
        name = file.relative_to(ROOT).as_posix()
        shown = page(name)
        if shown is None:
            return f"]({REPOSITORY}/blob/main/{name}{'#' + anchor if anchor else ''})"
        own = Path(page(where) or "index.md")
        relative = os.path.relpath(shown, own.parent).replace(os.sep, "/")
        return f"]({relative}{'#' + anchor if anchor else ''})"

    return re.sub(r"\]\(([^)\s]+)\)", link, text)


def page(name: str) -> str | None:
    """The source of the site's page that shows this file of the repository, if there is one."""
    if re.fullmatch(r"notebooks/[^/]+\.ipynb", name):
        return name
    if re.fullmatch(r"docs/[^/]+\.(md|png)", name):
        return name.removeprefix("docs/")
    return PAGES.get(name)
