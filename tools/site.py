"""The course as web pages that need no server: built from the notebooks, in build/site/html.

    python -m tools.site                   build the site
    python -m tools.site --output FOLDER   build it there

`run.py site` calls this. Nothing is fetched, neither now nor by the pages later: explorers run
from the state that a kernel left (docs/_static/site.js), mathematics is MathML in a font that
is served along. The lessons stay what they are; whatever the web needs is done to copies of them.
"""

from __future__ import annotations

import argparse
import ast
import base64
import copy
import hashlib
import html
import json
import multiprocessing
import os
import re
import shutil
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path
from string import Template

import nbformat
from nbformat import NotebookNode

from tools.notebooks import (
    LESSONS,
    ROOT,
    VIEW,
    NotebookError,
    canonical,
    execute,
    tags,
    to_text,
)

__all__ = ["SiteError", "Term", "build", "executed", "glossary", "key_terms", "prepare", "relink"]

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

MATH_FONT = ("ziamath", "ziamath/fonts/STIXTwoMath-Regular.ttf")
MATH_CHARACTERS = [
    *range(0x20, 0x7F),
    *range(0xA0, 0x100),
    *range(0x2C6, 0x2DE),
    *range(0x370, 0x400),  # letters
    *range(0x2010, 0x2065),
    *range(0x2100, 0x2150),
    *range(0x2190, 0x21D6),  # ′ … ℎ ← ⇒
    *range(0x2200, 0x22C8),
    *range(0x22EE, 0x22F2),
    *range(0x2308, 0x230C),  # ∇ √ ∑ ⋯ ⌈
    *range(0x27E8, 0x27EA),
    *range(0x1D400, 0x1D468),
    *range(0x1D6A4, 0x1D71C),  # ⟨⟩, bold, italic
]


class SiteError(Exception):
    """A page cannot be made. The message says which, and what to change."""


# --- executing ------------------------------------------------------------------------------------


def executed(path: Path, cache: Path = BUILD / "executed") -> NotebookNode:
    """The lesson at `path` executed, with its explorers' state; from the cache if nothing changed.

    Raises NotebookError if a cell fails.
    """
    name = f"{path.stem}-{_digest(path)}.ipynb"
    kept = cache / name
    if not kept.is_file():
        notebook = nbformat.read(path, as_version=4)
        done = canonical(execute(notebook, path.name, path.parent), with_state=True)
        cache.mkdir(parents=True, exist_ok=True)
        for old in cache.glob(f"{path.stem}-*.ipynb"):
            old.unlink(missing_ok=True)
        new = cache / f".{os.getpid()}-{name}"
        new.write_text(to_text(done), encoding="utf-8")
        os.replace(new, kept)
    return nbformat.read(kept, as_version=4)


def _digest(path: Path) -> str:
    """Of all that decides what the lesson shows: itself, the package, the versions."""
    files = [path, ROOT / "constraints.txt", ROOT / "tools" / "notebooks.py"]
    files += sorted(file for file in PACKAGE.rglob("*") if file.is_file() and file.suffix != ".pyc")
    digest = hashlib.sha256()
    for file in files:
        content = file.read_bytes()
        digest.update(f"{file.name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:16]


def _executed_all(paths: Sequence[Path]) -> list[NotebookNode]:
    # Two at a time, each in a process of its own: event loops and kernels do not share one.
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(executed, paths))


# --- a lesson, made ready for the web -------------------------------------------------------------


def prepare(notebook: NotebookNode, path: Path, assets: Path) -> NotebookNode:
    """A copy of an executed lesson as Sphinx is to get it; pictures and states go to `assets`.

    Figures and explorers become HTML that names files in `assets`; the cells that hold a
    prediction's answer lose their source; links that leave the site go to the repository.

    Raises
    ------
    SiteError : a picture has no alt text, or a table of key terms cannot be read.
    """
    result = copy.deepcopy(notebook)
    states = result.metadata.pop("widgets", {}).get(STATE, {}).get("state", {})
    where = path.relative_to(ROOT).as_posix()
    cells = []
    for number, cell in enumerate(result.cells, start=1):
        cells.append(cell)
        if cell.cell_type == "markdown":
            cell.source = _for_the_web(relink(cell.source, where))
            continue
        if "hide-input" in tags(cell) or cell.metadata.get("jupyter", {}).get("source_hidden"):
            cell.metadata = NotebookNode(tags=["remove-input"])
        for output in cell.get("outputs", []):
            if "data" in output:
                _shown_output(output, states, assets, f"{path.name}, cell {number}")
            elif not all(line[0] in "✓✗○" for line in output.get("text", "").splitlines() if line):
                cell.metadata.setdefault("tags", []).append("as-printed")  # columns: not wrapped
        if "your-turn" in tags(cell):
            cells.append(
                nbformat.v4.new_markdown_cell(
                    f"*Here the code cannot run: [do this task on Binder]({BINDER}{where}), "
                    "or in your own JupyterLab, where your answer is checked.*",
                    id=f"{cell.id}-where",
                )
            )
    result.cells = cells
    return result


def _for_the_web(source: str) -> str:
    """Bold lines that stand for headings become headings; key terms lead to the glossary."""
    source = re.sub(r"(?m)^\*\*(Key terms|Exercises)\*\*$", r"### \1", source)

    head, mark, rest = source.partition("### Key terms\n")
    return head + mark + re.sub(r"(?m)^\|(?! English|-).+\|$", _row_with_link, rest)


def _row_with_link(row: re.Match) -> str:
    term = _term(row[0])
    link = f'<a href="../glossary.html#{term.anchor}">{html.escape(term.english)}</a>'
    return f"| {link} | {term.korean_html} | {term.meaning} |"


def _shown_output(output: NotebookNode, states: Mapping, assets: Path, where: str) -> None:
    """Replace the data of a picture or an explorer by HTML that names its files."""
    data = output.data
    if VIEW in data:
        output.data = NotebookNode({"text/html": _explorer_html(data, states, assets, where)})
    elif "image/png" in data:
        about = output.metadata.get("image/png", {})
        picture = _picture(data["image/png"], assets, about, about.get("alt"), where)
        output.data = NotebookNode({"text/html": f'<figure class="descent">{picture}</figure>'})


def _explorer_html(
    data: Mapping, states: Mapping, assets: Path, where: str, up: str = "../"
) -> str:
    """The place of an explorer: a still picture, which site.js replaces by what moves."""
    widget = states[data[VIEW]["model_id"]]
    spec = widget["state"]["spec"]
    status = html.escape(data["text/plain"].removeprefix("Explorer: "))
    size = {"width": round(spec["width"]), "height": round(spec["height"])}
    picture = _picture(data["image/png"], assets, size, spec["alt"], where, up)
    state = {"spec": spec}
    state |= {buffer["path"][0]: buffer["data"].replace("\n", "") for buffer in widget["buffers"]}
    text = json.dumps(state, ensure_ascii=False, separators=(",", ":"))
    key = hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]
    file = assets / "explorers" / f"{key}.js"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f'descentState("{key}",{text});\n', encoding="utf-8")
    return (
        f'<figure class="descent" data-explorer="{key}">{picture}'
        f"<figcaption>{status}</figcaption></figure>"
    )


def _picture(png: str, assets: Path, about: Mapping, alt: str | None, where: str, up="../") -> str:
    if not alt or not alt.strip():
        raise SiteError(f"{where}: the picture has no alt text; draw it with course_utils.plots")
    content = base64.b64decode(png)
    name = hashlib.sha256(content).hexdigest()[:16] + ".png"
    file = assets / "pictures" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    size = "".join(f' {side}="{int(about[side])}"' for side in ("width", "height") if side in about)
    return f'<img src="{up}_static/pictures/{name}" alt="{html.escape(alt)}"{size} loading="lazy">'


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
        page = _page(name)
        if page is None:
            return f"]({REPOSITORY}/blob/main/{name}{'#' + anchor if anchor else ''})"
        own = Path(_page(where) or "index.md")
        relative = os.path.relpath(page, own.parent).replace(os.sep, "/")
        return f"]({relative}{'#' + anchor if anchor else ''})"

    return re.sub(r"\]\(([^)\s]+)\)", link, text)


def _page(name: str) -> str | None:
    """The source of the site's page that shows this file of the repository, if there is one."""
    if re.fullmatch(r"notebooks/[^/]+\.ipynb", name):
        return name
    if re.fullmatch(r"docs/[^/]+\.(md|png)", name):
        return name.removeprefix("docs/")
    return PAGES.get(name)


# --- glossary -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Term:
    """A key term, as a lesson's table has it."""

    english: str
    korean: str
    meaning: str

    @property
    def anchor(self) -> str:
        return "term-" + re.sub(r"[^a-z0-9]+", "-", self.english.lower()).strip("-")

    @property
    def korean_html(self) -> str:
        return f'<span lang="ko">{html.escape(self.korean)}</span>'  # read out as Korean


def key_terms(notebook: NotebookNode, name: str = "notebook") -> list[Term]:
    """The rows of the lesson's table *Key terms*.

    Raises SiteError if there is none, or a row has not three cells.
    """
    sources = [c.source for c in notebook.cells if c.cell_type == "markdown"]
    tables = [s.split("**Key terms**", 1)[1] for s in sources if "**Key terms**" in s]
    if len(tables) != 1:
        raise SiteError(f"{name}: found {len(tables)} lines **Key terms**, expected one")
    table = re.match(r"\n+((?:\|.*\n?)+)", tables[0])
    rows = table[1].splitlines()[2:] if table else []
    if not rows:
        raise SiteError(f"{name}: no table follows the line **Key terms**")
    try:
        return [_term(row) for row in rows]
    except ValueError as error:
        raise SiteError(f"{name}: {error}") from None


def _term(row: str) -> Term:
    cells = [cell.strip() for cell in row.strip().strip("|").split("|")]
    if len(cells) != 3:
        raise ValueError(f"a row of key terms has three cells, not {len(cells)}: {row}")
    return Term(*cells)


def glossary(lessons: Mapping[str, Sequence[Term]]) -> str:
    """The page of all terms, in the order of the alphabet; `lessons` maps a notebook's name."""
    places: dict[str, list[str]] = {}
    first: dict[str, Term] = {}
    for name, terms in lessons.items():
        for term in terms:
            first.setdefault(term.anchor, term)
            places.setdefault(term.anchor, []).append(name)
    rows = {}
    for anchor, term in first.items():
        links = ", ".join(
            f"[{name.split('_')[0]}](notebooks/{name}.ipynb#key-terms)" for name in places[anchor]
        )
        english = f'<span id="{anchor}">{html.escape(term.english)}</span>'
        rows[term.english] = f"| {english} | {term.korean_html} | {term.meaning} | {links} |"
    in_order = [row for _, row in sorted(rows.items(), key=lambda item: _letters(item[0]))]
    return "\n".join(
        [
            "# Glossary",
            "",
            "The key terms of all lessons. The number leads to the lesson that explains the term.",
            "",
            "| English | 한국어 | what it means | lesson |",
            "|---|---|---|---|",
            *in_order,
            "",
        ]
    )


def _letters(text: str) -> str:
    return re.sub(r"\W", "", text).casefold()


# --- the other pages ------------------------------------------------------------------------------


def _title(notebook: NotebookNode) -> str:
    return notebook.cells[0].source.splitlines()[0].removeprefix("# ")


def _index(lessons: Mapping[str, NotebookNode], explorer: str, pages: Iterable[str]) -> str:
    items, entries = [], []
    for name, notebook in lessons.items():
        topic, _, question = _title(notebook).partition(": ")
        topic = f"{name.split('_')[0]} {topic}"
        items.append(
            f"- **[{topic}](notebooks/{name}.ipynb)**\\\n  " + question[:1].upper() + question[1:]
        )
        entries.append(f"{topic} <notebooks/{name}>")
    pages = set(pages)
    trees = {"Lessons": entries}
    trees |= {title: [p for p in names if p in pages] for title, names in SECTIONS.items()}
    return Template((DOCS / "index.md").read_text(encoding="utf-8")).substitute(
        explorer=explorer,
        lessons="\n".join(items),
        binder=BINDER + "notebooks/00_start_here.ipynb",
        repository=REPOSITORY,
        toctrees="\n\n".join(_toctree(title, names) for title, names in trees.items() if names),
    )


def _toctree(title: str, names: Iterable[str]) -> str:
    caption = [f":caption: {title}"] if title else []
    return "\n".join(["```{toctree}", ":hidden:", *caption, "", *names, "```"])


def _reference(folder: Path) -> None:
    """One page for each module of the package, and one that lists them."""
    folder.mkdir(parents=True)
    names = sorted(
        p.stem if p.is_file() else p.name
        for p in PACKAGE.iterdir()
        if p.stem[0] not in "_." and (p.suffix == ".py" or (p / "__init__.py").is_file())
    )
    rows = []
    for name in names:
        package = PACKAGE / name
        source = package / "__init__.py" if package.is_dir() else package.with_suffix(".py")
        text = source.read_text(encoding="utf-8")
        inner = sorted(p.stem for p in package.glob("*.py") if p.stem[0] != "_")
        modules = [f"course_utils.{name}", *(f"course_utils.{name}.{p}" for p in inner)]
        # What the package itself shows of its modules is not shown twice.
        shown = [m for m in modules if not UNDOCUMENTED.match(m) and f"from {m} import" not in text]
        parts = [f"{name}\n{'=' * len(name)}"]
        for module in shown:
            if module != shown[0]:
                short = module.removeprefix("course_utils.")
                parts.append(f"{short}\n{'-' * len(short)}")
            parts.append(f".. automodule:: {module}\n   :members:")
        (folder / f"{name}.rst").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
        about = ast.get_docstring(ast.parse(text)) or ""
        rows.append(f"| [{name}]({name}.rst) | {' '.join(about.split(chr(10) * 2)[0].split())} |")
    package = ast.get_docstring(ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8")))
    text = "\n".join(
        [
            "# The helper package",
            "",
            package,
            "",
            "| module | what it is |",
            "|---|---|",
            *rows,
            "",
            _toctree("", names),
            "",
        ]
    )
    (folder / "index.md").write_text(text, encoding="utf-8")


# --- what the pages are served with ---------------------------------------------------------------


def _assets(folder: Path) -> None:
    """Explorers' code as a classic script, their style, and the font of mathematics."""
    folder.mkdir(parents=True)
    module = (PACKAGE / "explore" / "explore.js").read_text(encoding="utf-8")
    last = "export default { render };"
    if module.count("export") != 1 or not module.rstrip().endswith(last):
        raise SiteError(f"course_utils/explore/explore.js has to end with its one export, `{last}`")
    body = module.replace(last, "return { render };")
    script = f"window.descentExplorer = (() => {{\n{body}}})();\n"
    (folder / "explore.js").write_text(script, encoding="utf-8")
    shutil.copy(PACKAGE / "explore" / "explore.css", folder)
    _write_math_font(folder / "math.woff")


def _write_math_font(path: Path) -> None:
    """The part of STIX Two Math (SIL Open Font License) that a lesson may use, for the web."""
    from fontTools import subset

    package, name = MATH_FONT
    options = subset.Options(
        flavor="woff",
        layout_features=["*"],
        hinting=False,
        name_IDs=["*"],  # the licence stays
    )
    font = subset.load_font(str(distribution(package).locate_file(name)), options)
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=MATH_CHARACTERS)
    subsetter.subset(font)
    _suit_browsers(font)
    subset.save_font(font, str(path), options)


def _suit_browsers(font) -> None:
    """Give ′ ″ ‴ the form for superscripts, which browsers do not choose by themselves, and
    roots some air under their bar."""
    font["MATH"].table.MathConstants.RadicalVerticalGap.Value = 150  # thousandths of an em
    table = font["GSUB"].table
    (lookups,) = {
        tuple(record.Feature.LookupListIndex)
        for record in table.FeatureList.FeatureRecord
        if record.FeatureTag == "ssty"
    }
    forms = {}
    for index in lookups:
        for rule in table.LookupList.Lookup[index].SubTable:
            forms |= getattr(rule, "alternates", {})
    for characters in (part.cmap for part in font["cmap"].tables):
        for code in (0x2032, 0x2033, 0x2034):
            glyph = characters.get(code)
            if glyph in forms:
                characters[code] = forms[glyph][0]


# --- building -------------------------------------------------------------------------------------


def build(output: Path = BUILD / "html") -> None:
    """Write the site into the folder `output`, which is made anew.

    Raises
    ------
    NotebookError : a lesson does not run.
    SiteError : a page cannot be prepared, or Sphinx warned; it has said of what.
    """
    paths = sorted(LESSONS.glob("*.ipynb"))
    notebooks = dict(zip([p.stem for p in paths], _executed_all(paths)))
    work = output.parent / f".{output.name}-work"
    for folder in (work, output):
        shutil.rmtree(folder, ignore_errors=True)
    source, assets = work / "source", work / "assets"
    _assets(assets)
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
        (source / _page(name)).write_text(text, encoding="utf-8")
    terms = {name: key_terms(notebook, name) for name, notebook in notebooks.items()}
    (source / "glossary.md").write_text(glossary(terms), encoding="utf-8")
    _reference(source / "api")
    explorer = _first_explorer(next(iter(notebooks.values())), assets)
    pages = [p.relative_to(source).with_suffix("").as_posix() for p in source.rglob("*.md")]
    (source / "index.md").write_text(_index(notebooks, explorer, pages), encoding="utf-8")


def _first_explorer(notebook: NotebookNode, assets: Path) -> str:
    states = notebook.metadata.get("widgets", {}).get(STATE, {}).get("state", {})
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if VIEW in output.get("data", {}):
                return _explorer_html(output.data, states, assets, "index.md", up="")
    raise SiteError("the first lesson has no explorer for the front page")


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


if __name__ == "__main__":
    sys.exit(main())
