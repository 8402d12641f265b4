"""The widget: a stage, the controls under it, and the still picture of both."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import traitlets
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from course_utils._text import shown
from course_utils.explore.appearance import (
    Moving,
    appearance,
    axes_of,
    box,
    name_of,
    set_points,
)
from course_utils.explore.cells import belongs_to_its_cell
from course_utils.explore.controls import Control, known, nearest, on_grid, values_of
from course_utils.explore.packing import REACH, Block, Paper
from course_utils.explore.spec import Dragged, Row, Spec, Zone
from course_utils.explore.words import Line, clamped
from course_utils.pictures import CSS_DPI, png

__all__ = ["Explorer", "explorer"]

Points = tuple[Any, Any] | tuple[Any, Any, str]  # xs, ys, and perhaps the control that reveals them
Drag = Mapping[Axes, tuple[str | None, str | None]]


def explorer(
    fig: Figure,
    controls: Mapping[str, Control],
    moving: Mapping[Moving, Points],
    *,
    alt: str,
    status: str = "",
    says: Mapping[str, Any] | None = None,
    drag: Drag | None = None,
) -> Explorer:
    """An explorer whose every position was computed beforehand.

    Parameters
    ----------
    fig
        the figure, with all its artists in place.
    controls
        what the reader moves, by name, in the order in which it stands on the page.
    moving
        ``{artist: (xs, ys)}`` or ``{artist: (xs, ys, control)}``. The artist is a `Line2D` or a
        `PolyCollection`; xs and ys are arrays ``(points,)`` in data coordinates, or `On` of arrays
        ``(*controls, points)``; without the last axis it is one point. NaN lifts the pen. With a
        control named, only the first k + 1 points are shown while it stands at its k-th value (a
        path, step by step).
    alt
        what the picture shows, in a sentence, for those who do not see it.
    status
        the line under the picture, a template such as ``"slope {slope}"``; the names are those of
        `says` and of controls.
    says
        ``{name: On(array, controls)}`` of numbers (shown with three significant digits) or of
        words.
    drag
        ``{axes: (control of x, control of y)}``: pressing in these axes moves the controls to the
        nearest values; None leaves a direction out.

    Raises
    ------
    TypeError
        An artist is of a kind that cannot move.
    ValueError
        Shapes do not fit the controls, a name is unknown, or the data would be larger than 32 MiB:
        the sentence says which.
    """
    return Explorer(fig, controls, moving, alt, status, says or {}, drag or {})


class Explorer(anywidget.AnyWidget):
    """See `explorer`.

    Attributes
    ----------
    controls
        ``{name: its values}``.
    spec, stage, data
        what the browser gets: see `Spec`, the figure without what moves (PNG), and the deflated
        arrays.
    """

    _esm = Path(__file__).with_name("explore.js")
    _css = Path(__file__).with_name("explore.css")

    spec = traitlets.Dict().tag(sync=True)
    stage = traitlets.Bytes().tag(sync=True)
    data = traitlets.Bytes().tag(sync=True)

    def __init__(
        self,
        fig: Figure,
        controls: Mapping[str, Control],
        moving: Mapping[Moving, Points],
        alt: str,
        status: str,
        says: Mapping[str, Any],
        drag: Drag,
    ) -> None:
        if not alt:
            raise ValueError("an explorer needs alt text: alt='what the picture shows'")
        if not controls:
            raise ValueError("an explorer needs a control, for example {'rate': Control(rates)}")
        self.figure, self.alt = fig, alt
        self.controls = {name: values_of(name, each) for name, each in controls.items()}
        self._first = {name: control.first() for name, control in controls.items()}
        self.artists = {name_of(artist, i): artist for i, artist in enumerate(moving)}
        if len(self.artists) != len(moving):
            raise ValueError("two moving artists have the same label: give each its own")
        _settle(fig)
        self.paper = Paper(np.array([side * CSS_DPI for side in fig.get_size_inches()]))
        self._line = Line(status, says, self.controls)
        self._packed = {
            name: self._pack(name, artist, *moving[artist][:2])
            for name, artist in self.artists.items()
        }
        self._reveal = {
            name: points[2]
            for name, points in zip(self.artists, moving.values())
            if len(points) > 2
        }
        known("moving", self._reveal.values(), self.controls)
        spec, data = self._message(controls, drag)
        # Before the widget opens: the browser gets all at once.
        super().__init__(spec=spec, stage=self._draw(moving=False), data=data)
        belongs_to_its_cell(self)

    @property
    def start(self) -> dict[str, Any]:
        """The settings the controls stand at first."""
        return {name: self.controls[name][index] for name, index in self._first.items()}

    def frame(self, **settings: Any) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Each moving artist's (xs, ys) as the browser draws it, in data coordinates.

        Settings not given stand where they stand at first; a number between two values of a
        control counts as the nearest. Raises ValueError for an unknown name or word.
        """
        at = self._places(settings)
        result = {}
        for name, packed in self._packed.items():
            index = clamped(list(at.values()), packed.shape[1:-1])
            codes = packed[(slice(None), *index)]
            if name in self._reveal:
                codes = codes[:, : at[self._reveal[name]] + 1]
            result[name] = self.paper.unpack(axes_of(self.artists[name]), codes)
        return result

    def status(self, **settings: Any) -> str:
        """The line under the picture for these settings, which are read as in `frame`."""
        return self._line.at(list(self._places(settings).values()))

    def _places(self, given: Mapping[str, Any]) -> dict[str, int]:
        """Where each control stands for these settings."""
        known("settings", given, self.controls)
        settings = self.start | dict(given)
        return {name: nearest(values, settings[name]) for name, values in self.controls.items()}

    def _pack(self, name: str, artist: Moving, xs: Any, ys: Any) -> np.ndarray:
        sides = []
        for side in (xs, ys):
            array = on_grid(name, side, self.controls).astype(float)
            sides.append(array if array.ndim > len(self.controls) else array[..., None])
        return self.paper.pack(name, axes_of(artist), *sides)

    def _message(self, controls: Mapping[str, Control], drag: Drag) -> tuple[Spec, bytes]:
        """What the browser needs: how all looks, and one deflated block of arrays."""
        block = Block()
        for name, packed in self._packed.items():
            block.add(f"artist:{name}", packed)
        words = self._line.pack(block)
        width, height = map(float, self.paper.size)
        played = [name for name, control in controls.items() if control.play]
        if len(played) > 1:
            raise ValueError(f"one control can be played, not {' and '.join(played)}")
        rows: list[Row] = [
            {
                "name": name,
                "label": control.label or name.replace("_", " "),
                "menu": control.menu,
                "texts": [shown(value) for value in self.controls[name]],
            }
            for name, control in controls.items()
        ]
        spec: Spec = {
            "alt": self.alt,
            "width": width,
            "height": height,
            "play": played[0] if played else None,
            "first": self._first,
            "reach": REACH,
            "controls": rows,
            "artists": [appearance(name, artist) for name, artist in self.artists.items()],
            "table": block.table,
            "status": self._line.template,
            "reveal": self._reveal,
            "drag": [self._zone(axes, names, controls) for axes, names in drag.items()],
            "words": words,
        }
        return spec, block.deflated()

    def _zone(
        self, axes: Axes, names: tuple[str | None, str | None], controls: Mapping[str, Control]
    ) -> Zone:
        moved: list[Dragged | None] = []
        for side, name in enumerate(names):
            if name is None:
                moved.append(None)
                continue
            known("drag", [name], controls)
            if controls[name].menu:
                raise ValueError(f"drag: {name} is a menu; only a slider can be dragged")
            moved.append({"name": name, "pixels": self._positions(axes, name, side)})
        return {"box": box(axes), "controls": moved}

    def _positions(self, axes: Axes, name: str, side: int) -> list[float]:
        """Where each value of a control lies along one side of `axes`, in CSS pixels."""
        values = np.asarray(self.controls[name], float)
        middle = np.array([axes.get_xlim()[0], axes.get_ylim()[0]])
        points = np.tile(middle, (len(values), 1))
        points[:, side] = values
        return self.paper.flip(axes.transData.transform(points).T)[side].round(2).tolist()

    def _draw(self, moving: bool) -> bytes:
        """The figure as PNG, with or without the artists that move."""
        visible = {artist: artist.get_visible() for artist in self.artists.values()}
        for artist in visible:
            artist.set_visible(moving and visible[artist])
        try:
            return png(self.figure)
        finally:
            for artist in visible:
                artist.set_visible(visible[artist])

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        status = self.status()
        for name, points in self.frame().items():
            set_points(self.artists[name], *points)
        picture = base64.b64encode(self._draw(moving=True)).decode("ascii")
        width, height = map(int, self.paper.size)
        data = {
            "text/plain": f"Explorer: {status}" if status else f"Explorer: {self.alt}",
            "image/png": picture,
            "application/vnd.jupyter.widget-view+json": {
                "version_major": 2,
                "version_minor": 0,
                "model_id": self.model_id,
            },
        }
        return data, {"image/png": {"alt": self.alt, "width": width, "height": height}}


def _settle(fig: Figure) -> None:
    """Lay the figure out for good, so that where data lie on the page is known."""
    FigureCanvasAgg(fig)
    fig.set_dpi(CSS_DPI)
    fig.draw_without_rendering()  # settles the layout, so that transforms are final
    fig.set_layout_engine("none")  # and moving an artist cannot unsettle it
