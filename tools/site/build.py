"""All pages together: prepared in a folder, written by Sphinx."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from nbformat import NotebookNode

from tools.notebooks import LESSONS, ROOT, NotebookError, to_text
from tools.site.cache import executed_all
from tools.site.glossary import glossary, key_terms
from tools.site.lessons import first_explorer, prepare
from tools.site.links import page, relink
from tools.site.pages import index, reference
from tools.site.settings import BUILD, DOCS, PACKAGE, SiteError

__all__ = ["build", "classic_script", "main"]


def build(output: Path = BUILD / "html") -> None:
    """Write the site into the folder `output`, which is made anew.

    Raises
    ------
    NotebookError : a lesson does not run.
    SiteError : a page cannot be prepared, or Sphinx warned; it has said of what.
    """
    paths = sorted(LESSONS.glob("*.ipynb"))
    notebooks = dict(zip([p.stem for p in paths], executed_all(paths)))
    work = output.parent / f".{output.name}-work"
    for folder in (work, output):
        shutil.rmtree(folder, ignore_errors=True)
    source, assets = work / "source", work / "assets"
    assets.mkdir(parents=True)
    module = (PACKAGE / "explore" / "explore.js").read_text(encoding="utf-8")
    (assets / "explore.js").write_text(classic_script(module), encoding="utf-8")
    shutil.copy(PACKAGE / "explore" / "explore.css", assets)
    _stage(source, assets, notebooks)
    warnings = _sphinx(source, assets, output, work)
    if warnings:
        raise SiteError(f"Sphinx gave {warnings} warnings; each is an error")
    for path in paths:  # what a reader downloads is the lesson itself, not our copy
        shutil.copy(path, output / "_sources" / "notebooks")
    (output / ".nojekyll").touch()  # GitHub Pages would leave out folders that begin with _
    shutil.rmtree(work)


def _stage(source: Path, assets: Path, notebooks: Mapping[str, NotebookNode]) -> None:
    """Write all that Sphinx reads into the folder `source`."""
    (source / "notebooks").mkdir(parents=True)
    for name, notebook in notebooks.items():
        ready = prepare(notebook, LESSONS / f"{name}.ipynb", assets)
        (source / "notebooks" / f"{name}.ipynb").write_text(to_text(ready), encoding="utf-8")
    for picture in DOCS.glob("*.png"):
        shutil.copy(picture, source)
    files = [f for f in DOCS.glob("*.md") if f.name != "index.md"] + [ROOT / "CONTRIBUTING.md"]
    for file in files:
        name = file.relative_to(ROOT).as_posix()
        text = relink(file.read_text(encoding="utf-8"), name)
        (source / page(name)).write_text(text, encoding="utf-8")
    terms = {name: key_terms(notebook, name) for name, notebook in notebooks.items()}
    (source / "glossary.md").write_text(glossary(terms), encoding="utf-8")
    reference(source / "api")
    explorer = first_explorer(next(iter(notebooks.values())), assets)
    pages = [p.relative_to(source).with_suffix("").as_posix() for p in source.rglob("*.md")]
    (source / "index.md").write_text(index(notebooks, explorer, pages), encoding="utf-8")


def classic_script(module: str) -> str:
    """The explorers' ES module as a classic script, which works in a page on a disk too."""
    last = "export default { render };"
    if module.count("export") != 1 or not module.rstrip().endswith(last):
        raise SiteError(f"course_utils/explore/explore.js has to end with its one export, `{last}`")
    body = module.replace(last, "return { render };")
    return f"window.descentExplorer = (() => {{\n{body}}})();\n"


def _sphinx(source: Path, assets: Path, output: Path, work: Path) -> int:
    """Run Sphinx; return the number of its warnings, each of which it has printed."""
    from sphinx.application import Sphinx
    from sphinx.util.docutils import docutils_namespace, patch_docutils

    static = [str(DOCS / "_static"), str(assets)]
    with patch_docutils(), docutils_namespace():
        app = Sphinx(
            str(source),
            str(DOCS),
            str(output),
            str(work / "doctrees"),
            "html",
            confoverrides={"html_static_path": static},
            status=None,
            warning=sys.stderr,
        )
        app.build()
        return app._warncount


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="run.py site", description=build.__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=BUILD / "html", help="the folder to write")
    options = parser.parse_args(arguments)
    output = options.output.resolve()
    try:
        build(output)
    except (NotebookError, SiteError) as error:
        print(f"✗ {error}", file=sys.stderr)
        return 1
    shown = output.relative_to(ROOT) if output.is_relative_to(ROOT) else output
    print(f"✓ the site is in {shown}: open {shown / 'index.html'} in a browser")
    return 0
