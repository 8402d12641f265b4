"""What Python tells the browser: the one place that names the format.

`widget` writes it; explore.js and, on the site, site.js read it. Lengths are CSS pixels of the
figure, y downwards; colours are CSS; a grid has one axis for each control, of its length or of 1.
"""

from __future__ import annotations

from typing import NotRequired, TypedDict

__all__ = ["Dragged", "Entry", "Look", "Marker", "Row", "Spec", "Zone"]

Box = list[float]  # left, top, width, height


class Row(TypedDict):
    """A control: a menu, or a slider with one place for each text."""

    name: str
    label: str
    menu: bool
    texts: list[str]


class Marker(TypedDict):
    """The mark at each point of a line, or at its last one."""

    polygons: list[list[list[float]]]
    fill: str | None
    edge: str
    width: float
    last: bool


class Look(TypedDict):
    """How an artist is drawn; without `fill` it is a line."""

    name: str
    box: Box
    fill: str | None
    color: str | None
    width: float
    dash: list[float]
    marker: NotRequired[Marker]


class Entry(TypedDict):
    """Where an array lies in the data: bytes from the start, shape, NumPy's name of its type."""

    offset: int
    shape: list[int]
    type: str


class Dragged(TypedDict):
    """A control that the pointer moves, and where each of its values lies along one side."""

    name: str
    pixels: list[float]


class Zone(TypedDict):
    """Axes in which the pointer moves controls: of x and of y, either may be none."""

    box: Box
    controls: list[Dragged | None]


class Spec(TypedDict):
    """An explorer without its numbers, which are the deflated `data` that `table` opens.

    Attributes
    ----------
    reach
        how many figure sizes beyond its edges a coordinate may lie.
    first
        the place at which each control stands at first.
    status
        the line under the picture, with {names} of controls and of `value:` arrays.
    words
        what the codes of a `value:` array of words stand for.
    reveal
        artist → control: its first k + 1 points show while the control stands at place k.
    """

    alt: str
    width: float
    height: float
    play: str | None
    first: dict[str, int]
    reach: int
    controls: list[Row]
    artists: list[Look]
    table: dict[str, Entry]
    status: str
    reveal: dict[str, str]
    drag: list[Zone]
    words: dict[str, list[str]]
