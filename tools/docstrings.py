"""The package's docstrings, which are plain text for people, as the reStructuredText Sphinx wants.

What they have: paragraphs, sections underlined with dashes, names with what they are (``x : a
number`` or ``x    a number``), lists, tables, and code between backticks. A ``|x|`` or ``(*grid,)``
is what it looks like, not markup. Used for the site's reference pages (docs/conf.py).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["to_rst"]

CODE = re.compile(r"(``.+?``|`[^`]+`)", re.S)
SECTION = re.compile(r"-{3,}")
ENTRY = re.compile(r"(\S.*?)(?: : |  +)(\S.*)")
ITEM = re.compile(r"([-*•]|\d+\.) +(?=\S)")


def to_rst(lines: Sequence[str]) -> list[str]:
    """The docstring, given as its lines without common indentation, as reStructuredText.

    The result is well-formed whatever the lines hold: what is no structure is escaped.
    """
    result: list[str] = []
    in_section = False
    for block in _blocks(lines):
        if len(block) > 1 and SECTION.fullmatch(block[1]) and ENTRY.fullmatch(block[0]) is None:
            result += [f".. rubric:: {_prose(block[0])}", ""]
            block, in_section = block[2:], True
            if not block:
                continue
        result += [*_block(block, in_section), ""]
    return result


def _blocks(lines: Sequence[str]) -> list[list[str]]:
    text = "\n".join(line.expandtabs().rstrip() for line in lines)
    return [part.split("\n") for part in re.split(r"\n{2,}", text.strip("\n")) if part.strip()]


def _block(block: list[str], in_section: bool) -> list[str]:
    heads = [line for line in block if line[:1].strip()]
    if not heads or heads[0] is not block[0] or _is_drawn(block):  # begins indented: code
        return ["::", "", *("    " + line for line in block)]
    if all(map(ITEM.match, heads)):
        return [row for item in _grouped(block) for row in _item(item)]
    if all(map(ENTRY.fullmatch, heads)) or _are_definitions(block, in_section):
        return [row for entry in _grouped(block) for row in _definition(entry)]
    return [_prose(" ".join(line.strip() for line in block))]


def _is_drawn(block: list[str]) -> bool:
    """A table, or a session with Python: shown as it stands."""
    return block[0].startswith(("===", ">>>"))


def _are_definitions(block: list[str], in_section: bool) -> bool:
    """Does each line at the margin have an indented text below it that says what it is?"""
    entries = _grouped(block)
    if in_section:
        return any(len(entry) > 1 for entry in entries)
    return all(len(entry) > 1 for entry in entries)


def _grouped(block: list[str]) -> list[list[str]]:
    """Lines at the margin, each with the indented ones after it."""
    groups: list[list[str]] = []
    for line in block:
        if line[:1].strip() or not groups:
            groups.append([line])
        else:
            groups[-1].append(line.strip())
    return groups


def _item(lines: list[str]) -> list[str]:
    return ["- " + _prose(" ".join([ITEM.sub("", lines[0], count=1), *lines[1:]])), ""]


def _definition(lines: list[str]) -> list[str]:
    match = ENTRY.fullmatch(lines[0])
    name, first = match.groups() if match else (lines[0], "")
    about = " ".join(filter(None, [first, *lines[1:]]))
    return [_code(name), "    " + (_prose(about) or "–"), ""]


def _prose(text: str) -> str:
    """Text with its code as literals; every other character stands for itself."""
    parts = CODE.split(" ".join(text.split()))
    return "".join(
        _code(part) if number % 2 else re.sub(r"[^\w\s]|_", r"\\\g<0>", part)
        for number, part in enumerate(parts)
    )


def _code(text: str) -> str:
    """``text`` as a literal, which may touch other letters."""
    inner = text.strip("`").strip().replace("\\", "\\\\").replace("`", "\\`")
    return rf"\ :code:`{inner}`\ " if inner else ""
