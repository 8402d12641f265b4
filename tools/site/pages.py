"""The front page and its contents, and the reference of the helper package."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from pathlib import Path
from string import Template

from nbformat import NotebookNode

from tools.site.settings import BINDER, DOCS, PACKAGE, REPOSITORY, SECTIONS, UNDOCUMENTED

__all__ = ["index", "reference"]


def _title(notebook: NotebookNode) -> str:
    return notebook.cells[0].source.splitlines()[0].removeprefix("# ")


def index(lessons: Mapping[str, NotebookNode], explorer: str, pages: Iterable[str]) -> str:
    """The front page: docs/index.md with the lessons, an explorer, and the contents."""
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


def reference(folder: Path) -> None:
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
