"""The key terms of all lessons, on one page."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nbformat import NotebookNode

from tools.site.settings import SiteError

__all__ = ["Term", "glossary", "key_terms", "read_term"]


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
        return [read_term(row) for row in rows]
    except ValueError as error:
        raise SiteError(f"{name}: {error}") from None


def read_term(row: str) -> Term:
    """A row of a lesson's table. Raises ValueError if it has not three cells."""
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
