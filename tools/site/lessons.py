"""A lesson made ready for the web: pictures and explorers become files that its page names."""

from __future__ import annotations

import base64
import copy
import hashlib
import html
import json
import re
from collections.abc import Mapping
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from tools.notebooks import ROOT, VIEW, tags
from tools.site.glossary import read_term
from tools.site.links import relink
from tools.site.settings import BINDER, STATE, SiteError

__all__ = ["first_explorer", "prepare"]


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
    term = read_term(row[0])
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


def first_explorer(notebook: NotebookNode, assets: Path) -> str:
    """The HTML of the lesson's first explorer, for the front page."""
    states = notebook.metadata.get("widgets", {}).get(STATE, {}).get("state", {})
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if VIEW in output.get("data", {}):
                return _explorer_html(output.data, states, assets, "index.md", up="")
    raise SiteError("the first lesson has no explorer for the front page")
