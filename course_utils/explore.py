"""Explorers: Matplotlib sets the stage, the browser moves the actors.

An explorer is a figure with controls under it. Everything that stands still is
drawn once by Matplotlib; the artists that move are drawn by the browser. There
are two kinds, with one look:

`lookup`
    every position of the controls is computed beforehand, packed to 16 bits
    and sent once. Moving a control asks nobody: it works on a slow link, after
    the kernel is gone, and in a saved page.
`live`
    the kernel computes when a control moves (or a click lands) and only the
    coordinates travel: for a learner's own function, and for PyTorch.

Both carry a picture and a line of text, which is what a stored notebook, a
printed page or a screen without JavaScript shows. All lessons use explorers;
`course_utils.explorers` builds the ones of the course.
"""

from __future__ import annotations

import base64
import io
import math
import pathlib
import re
import sys
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import anywidget
import numpy as np
import traitlets
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex, to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.markers import MarkerStyle
from PIL import Image

__all__ = ["lookup", "live", "Explorer", "Lookup", "Live"]

CSS_DPI = 100  # one inch of a figure is 100 CSS pixels wide on the page
PIXELS_PER_CSS = 2  # the still part is drawn for screens with two pixels per CSS pixel
REACH = 4  # how many figure sizes beyond its edges a coordinate may lie
GAP = 65535  # the 16-bit code of NaN: the pen is lifted
LIMIT_BYTES = 32 * 2**20  # packed data beyond this would make a notebook too heavy

Points = tuple[Any, Any]
_made_in_cell: dict[str, list[anywidget.AnyWidget]] = {}


# --------------------------------------------------------------------- public


def lookup(
    fig: Figure,
    artists: Mapping[Any, Points],
    *,
    alt: str,
    status: str = "",
    values: Mapping[str, Any] | None = None,
    reveal: Mapping[Any, str] | None = None,
    drag: Mapping[Any, tuple[str | None, str | None]] | None = None,
    play: str | None = None,
    start: Mapping[str, Any] | None = None,
    labels: Mapping[str, str] | None = None,
    **controls: Sequence[Any],
) -> Lookup:
    """An explorer whose every position was computed beforehand.

    Parameters
    ----------
    fig : the figure, with all its artists in place.
    artists : ``{artist: (xs, ys)}``; the artist is a `Line2D` or a
        `PolyCollection`, xs and ys have the shape ``(*grid, points)`` in data
        coordinates. The grid has one axis for each control, in the order of the
        controls; an axis of length 1 stands for "does not depend on it". NaN
        lifts the pen.
    alt : what the picture shows, in a sentence, for those who do not see it.
    status : the line under the picture, a template such as
        ``"slope {slope}"``; the names are those of `values` and of controls.
    values : ``{name: array (*grid,)}`` of numbers (shown with three significant
        digits) or of strings.
    reveal : ``{artist: control}``: of this artist only the first k + 1 points are
        shown while the control stands at its k-th value (a path, step by step).
    drag : ``{axes: (control of x, control of y)}``: pressing in these axes moves
        the controls to the nearest values; None leaves a direction out.
    play : the control that the play button runs through.
    start : where the controls stand at first; where not given, a slider in the middle and a
        menu at its first entry.
    labels : what stands beside a control; its name where not given.
    **controls : ``name=values``: numbers make a slider, strings a menu.

    Raises
    ------
    TypeError
        An artist is of a kind that cannot move.
    ValueError
        Shapes do not fit the grid, a name is unknown, or the data would be
        larger than 32 MiB: the sentence says which.
    """
    return Lookup(
        fig,
        list(artists),
        artists=artists,
        alt=alt,
        status=status,
        values=values or {},
        reveal=reveal or {},
        drag=drag or {},
        play=play,
        start=start or {},
        labels=labels or {},
        controls=controls,
    )


def live(
    fig: Figure,
    update: Callable[..., str],
    artists: Sequence[Any],
    *,
    alt: str,
    on_click: Callable[..., Mapping[str, Any]] | None = None,
    play: str | None = None,
    start: Mapping[str, Any] | None = None,
    labels: Mapping[str, str] | None = None,
    **controls: Sequence[Any],
) -> Live:
    """An explorer whose kernel computes each picture when it is asked for.

    ``update(**settings)`` sets the data of the `artists` and returns the status
    line. ``on_click(x, y, axes)`` receives a click in data coordinates and
    returns the settings it changes (values between those of a slider are fine);
    update runs after it. The other parameters are those of `lookup`.

    An error in `update` is shown in the status line; the picture stays.
    """
    return Live(
        fig,
        list(artists),
        update=update,
        on_click=on_click,
        alt=alt,
        play=play,
        start=start or {},
        labels=labels or {},
        controls=controls,
    )


# --------------------------------------------------------------------- widgets


class Explorer(anywidget.AnyWidget):
    """What both kinds share: the stage, the controls, and the still picture."""

    _esm = pathlib.Path(__file__).with_name("explore.js")
    _css = pathlib.Path(__file__).with_name("explore.css")
    kind = ""

    spec = traitlets.Dict().tag(sync=True)
    stage = traitlets.Bytes().tag(sync=True)

    def __init__(self, fig, moving, *, alt, play, start, labels, controls, **own):
        if not alt:
            raise ValueError("an explorer needs alt text: alt='what the picture shows'")
        self.figure = fig
        self.alt = alt
        self.controls = {name: _control_values(name, given) for name, given in controls.items()}
        if not self.controls:
            raise ValueError("an explorer needs a control, for example learning_rate=rates")
        for what, names in (("play", [play] if play else []), ("start", start), ("labels", labels)):
            _known(what, names, self.controls)
        self.artists = {_name(artist, i): artist for i, artist in enumerate(moving)}
        if len(self.artists) != len(moving):
            raise ValueError("two moving artists have the same label: give each its own")
        self._first = {
            name: nearest(values, start[name])
            if name in start
            else len(values) // 2
            if _is_numeric(values)
            else 0
            for name, values in self.controls.items()
        }
        FigureCanvasAgg(fig)
        fig.set_dpi(CSS_DPI)
        fig.draw_without_rendering()  # settles the layout, so that transforms are final
        fig.set_layout_engine("none")  # and moving an artist cannot unsettle it
        width, height = (side * CSS_DPI for side in fig.get_size_inches())
        spec = {
            "kind": self.kind,
            "alt": alt,
            "width": width,
            "height": height,
            "play": play,
            "first": self._first,
            "reach": REACH,
            "controls": [
                {
                    "name": name,
                    "label": labels.get(name, name.replace("_", " ")),
                    "menu": not _is_numeric(values),
                    "texts": [_text(v) for v in values],
                }
                for name, values in self.controls.items()
            ],
            "artists": [_appearance(name, artist) for name, artist in self.artists.items()],
        }
        self._size = np.array([width, height])
        state = self._prepare(**own)  # before the widget opens: the browser gets all at once
        super().__init__(spec=spec | state.pop("spec"), stage=self._draw(moving=False), **state)
        _belongs_to_its_cell(self)

    @property
    def start(self) -> dict[str, Any]:
        """The settings the controls stand at first."""
        return {name: self.controls[name][index] for name, index in self._first.items()}

    def settings(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """`given`, completed by the first settings; an unknown name is an error."""
        _known("settings", given, self.controls)
        return self.start | dict(given)

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

    def _set_artists(self, frame: Mapping[str, Points]) -> None:
        for name, (xs, ys) in frame.items():
            artist = self.artists[name]
            if isinstance(artist, PolyCollection):
                artist.set_verts(_split(np.column_stack([xs, ys])))
            else:
                artist.set_data(xs, ys)

    def _repr_mimebundle_(self, **kwargs):
        status = self._set_frame(**self.start)
        picture = base64.b64encode(self._draw(moving=True)).decode("ascii")
        width, height = map(int, self._size)
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


class Lookup(Explorer):
    """See `lookup`."""

    kind = "lookup"
    data = traitlets.Bytes().tag(sync=True)

    def _prepare(self, *, artists, status, values, reveal, drag) -> dict[str, Any]:
        names = {artist: name for name, artist in self.artists.items()}
        self._grid = tuple(len(given) for given in self.controls.values())
        self._status = status
        self._values = {name: self._on_grid(name, array) for name, array in values.items()}
        fields = re.findall(r"{(.*?)}", status)
        _known("status", fields, self._values | self.controls)
        _known("reveal", reveal.values(), self.controls)
        self._reveal = {names[artist]: control for artist, control in reveal.items()}
        self._packed = {
            names[artist]: self._pack(names[artist], artist, *points)
            for artist, points in artists.items()
        }
        return self._message(drag)

    def frame(self, **settings) -> dict[str, Points]:
        """Each moving artist's (xs, ys) as the browser draws it, in data coordinates.

        Settings not given stand where they stand at first; a number between two
        values of a control counts as the nearest.
        """
        at = self._index(settings)
        result = {}
        for name, packed in self._packed.items():
            pixels = self._unpack(packed[_clamp(at, packed.shape[1:-1], lead=True)])
            if name in self._reveal:
                pixels = pixels[:, : at[list(self.controls).index(self._reveal[name])] + 1]
            inverse = _axes_of(self.artists[name]).transData.inverted()
            with np.errstate(invalid="ignore"):
                xs, ys = inverse.transform(self._flip(pixels).T).T
            result[name] = (xs, ys)
        return result

    def status(self, **settings) -> str:
        """The line under the picture for these settings."""
        at = self._index(settings)
        shown = {name: _text(values[i]) for (name, values), i in zip(self.controls.items(), at)}
        for name, array in self._values.items():
            shown[name] = _text(array[_clamp(at, array.shape)])
        return self._status.format(**shown)

    def _set_frame(self, **settings) -> str:
        self._set_artists(self.frame(**settings))
        return self.status(**settings)

    def _index(self, given: Mapping[str, Any]) -> tuple[int, ...]:
        settings = self.settings(given)
        return tuple(nearest(values, settings[name]) for name, values in self.controls.items())

    def _on_grid(self, name: str, array: Any) -> np.ndarray:
        """`array` as it is given, once its axes are seen to fit the controls."""
        array = np.asarray(array)
        fits = array.ndim == len(self._grid) and all(
            have in (1, want) for have, want in zip(array.shape, self._grid)
        )
        if not fits:
            wanted = ", ".join(f"{k} ({n})" for k, n in zip(self.controls, self._grid))
            raise ValueError(
                f"{name}: shape {array.shape} does not fit the controls {wanted}; "
                "one axis for each, of its length or of length 1"
            )
        return array

    def _pack(self, name: str, artist, xs, ys) -> np.ndarray:
        """Data coordinates (*grid, points) → 16-bit pixel positions (2, *grid, points)."""
        xs, ys = np.broadcast_arrays(np.asarray(xs, float), np.asarray(ys, float))
        if xs.ndim == 0:
            raise ValueError(f"{name}: xs and ys are single numbers, expected (*grid, points)")
        self._on_grid(name, xs[..., 0])
        if 4 * xs.size > LIMIT_BYTES:
            raise ValueError(
                f"{name}: {xs.shape} positions need {4 * xs.size / 2**20:.0f} MiB; "
                "give the controls fewer values, or use live()"
            )
        with np.errstate(all="ignore"):  # NaN and log of 0 become gaps below
            flat = _axes_of(artist).transData.transform(np.stack([xs, ys], -1).reshape(-1, 2))
        flat[~np.isfinite(flat).all(axis=1)] = np.nan
        pixels = np.moveaxis(self._flip(flat.T).reshape(2, *xs.shape), 0, -1)
        unit = (_inside(pixels / self._size) + REACH) / (2 * REACH + 1)
        codes = np.where(np.isnan(unit), GAP, np.round(unit * (GAP - 1)))
        return np.moveaxis(codes, -1, 0).astype("<u2")

    def _unpack(self, codes: np.ndarray) -> np.ndarray:
        """16-bit codes (2, points) → pixels (2, points), NaN where the pen is lifted."""
        unit = np.where(codes == GAP, np.nan, codes / (GAP - 1))
        return (unit * (2 * REACH + 1) - REACH) * self._size[:, None]

    def _flip(self, pixels: np.ndarray) -> np.ndarray:
        """Matplotlib counts y upwards, the browser downwards; (2, points) either way."""
        return np.stack([pixels[0], self._size[1] - pixels[1]])

    def _message(self, drag: Mapping[Any, tuple[str | None, str | None]]) -> dict[str, Any]:
        """What the browser needs: one deflated block of arrays, and its table of contents."""
        blocks, table, offset = [], {}, 0

        def add(key: str, array: np.ndarray) -> None:
            nonlocal offset
            raw = np.ascontiguousarray(array).tobytes()
            raw += b"\0" * (-len(raw) % 8)
            table[key] = {"offset": offset, "shape": list(array.shape), "type": array.dtype.str}
            blocks.append(raw)
            offset += len(raw)

        words = {}
        for name, packed in self._packed.items():
            add(f"artist:{name}", packed)
        for name, array in self._values.items():
            if array.dtype.kind in "bUS":
                texts = np.vectorize(_text, otypes=[object])(array).astype(str)
                words[name], codes = np.unique(texts, return_inverse=True)
                add(f"value:{name}", codes.reshape(array.shape).astype("<u2"))
            else:  # rounded here, so that the browser shows the same digits
                add(f"value:{name}", np.vectorize(_rounded, otypes=["<f8"])(array))
        zones = []
        for axes, names in drag.items():
            moved = [name for name in names if name]
            _known("drag", moved, self.controls)
            for name in moved:
                if not _is_numeric(self.controls[name]):
                    raise ValueError(f"drag: {name} is a menu; only a slider can be dragged")
            zones.append(
                {
                    "box": _box(axes),
                    "controls": [
                        name and {"name": name, "pixels": self._positions(axes, name, side)}
                        for side, name in enumerate(names)
                    ],
                }
            )
        spec = {
            "table": table,
            "status": self._status,
            "reveal": self._reveal,
            "drag": zones,
            "words": {name: list(map(str, found)) for name, found in words.items()},
        }
        return {"spec": spec, "data": zlib.compress(b"".join(blocks), 9)}

    def _positions(self, axes, name: str, side: int) -> list[float]:
        """Where each value of a control lies along one side of `axes`, in CSS pixels."""
        values = np.asarray(self.controls[name], float)
        middle = np.array([axes.get_xlim()[0], axes.get_ylim()[0]])
        points = np.tile(middle, (len(values), 1))
        points[:, side] = values
        return self._flip(axes.transData.transform(points).T)[side].round(2).tolist()


class Live(Explorer):
    """See `live`."""

    kind = "live"
    question = traitlets.Dict().tag(sync=True)
    answer = traitlets.Dict().tag(sync=True)
    points = traitlets.Bytes().tag(sync=True)

    def _prepare(self, *, update, on_click) -> dict[str, Any]:
        if not callable(update):
            raise TypeError(f"update must be a function of the controls, not {update!r}")
        self._update, self._on_click = update, on_click
        clicks = [_box(axes) for axes in self.figure.axes] if on_click else []
        self.observe(self._asked, "question")
        return {"spec": {"clicks": clicks}} | self._computed(0, self.start)

    def frame(self, **settings) -> dict[str, Points]:
        """Each moving artist's (xs, ys), in data coordinates, after `update` ran."""
        self._set_frame(**settings)
        return {name: _data_of(artist) for name, artist in self.artists.items()}

    def status(self, **settings) -> str:
        """The line under the picture for these settings."""
        return self._set_frame(**settings)

    def click(self, x: float, y: float, axes) -> dict[str, Any]:
        """What a click at (x, y) of `axes`, in data coordinates, sets."""
        changed = dict(self._on_click(x, y, axes))
        _known("on_click", changed, self.controls)
        return changed

    def _set_frame(self, **settings) -> str:
        status = self._update(**self.settings(settings))
        if not isinstance(status, str):
            raise TypeError(
                f"update must return the status line, a string, not {status!r}; "
                "is its return statement missing?"
            )
        return status

    def _asked(self, change) -> None:
        """Answer the browser; what a learner's function raises goes to the status line."""
        question = change["new"]
        number = question["number"]
        settings = {name: self.controls[name][i] for name, i in question["index"].items()}
        settings |= question["exact"]
        stand = self._stand(settings)
        try:
            if question["click"] is not None:
                settings |= self.click(*self._where(**question["click"]))
                stand = self._stand(settings)
            state = self._computed(number, settings)
        except Exception as error:  # a learner's own function may raise anything
            said = f"Your function raised {type(error).__name__}: {error}"
            # The picture stays as it was: a view that is made now still finds one.
            state = {"answer": self.answer | stand | {"number": number, "status": said}}
        with self.hold_sync():
            self.set_trait("points", state.get("points", self.points))
            self.set_trait("answer", state["answer"])

    def _stand(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Where the browser's controls stand for these settings, and what they say."""
        return {
            "index": {name: nearest(self.controls[name], v) for name, v in settings.items()},
            "exact": {name: v for name, v in settings.items() if not isinstance(v, str)},
            "texts": {name: _text(v) for name, v in settings.items()},
        }

    def _where(self, axes: int, x: float, y: float) -> tuple[float, float, Any]:
        """A click in CSS pixels as data coordinates (x, y) and the axes it fell into."""
        clicked = self.figure.axes[axes]
        x, y = clicked.transData.inverted().transform((x, self._size[1] - y))
        return float(x), float(y), clicked

    def _computed(self, number: int, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Run `update`, and put what it set into the browser's pixels."""
        status = self._set_frame(**settings)
        counts, pieces = [], []
        for artist in self.artists.values():
            with np.errstate(all="ignore"):
                pixels = _axes_of(artist).transData.transform(np.column_stack(_data_of(artist)))
            counts.append(len(pixels))
            pieces += [pixels[:, 0], self._size[1] - pixels[:, 1]]
        answer = {"number": number, "status": status, "counts": counts} | self._stand(settings)
        return {"points": np.concatenate(pieces).astype("<f4").tobytes(), "answer": answer}


# --------------------------------------------------------------------- helpers


def png(fig: Figure) -> bytes:
    """The figure as PNG bytes, the same bytes for the same figure on every run.

    256 colours are enough for a figure, and make its file about a third as large.
    """
    raw = io.BytesIO()
    # Left as large as it is: it is opened again at once, and knows its size in whole pixels.
    fig.savefig(raw, format="png", dpi=CSS_DPI * PIXELS_PER_CSS, pil_kwargs={"compress_level": 0})
    pixels = Image.open(raw).convert("RGB")
    buffer = io.BytesIO()
    pixels.quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(
        buffer, format="PNG", optimize=True
    )
    return buffer.getvalue()


def nearest(values: Sequence[Any], wanted: Any) -> int:
    """The index of `wanted` among a control's values; for numbers, of the nearest one."""
    if _is_numeric(values):
        return int(np.argmin(np.abs(np.asarray(values, float) - float(wanted))))
    if wanted not in list(values):
        raise ValueError(f"{wanted!r} is not one of {list(values)}")
    return list(values).index(wanted)


def _control_values(name: str, values: Sequence[Any]) -> list[Any]:
    values = np.asarray(values).tolist()
    if not isinstance(values, list) or len(values) < 2:
        raise ValueError(f"control {name}: needs at least two values, got {values!r}")
    if any(value != value for value in values):
        raise ValueError(f"control {name}: nan is no value that a control can stand at")
    return values


def _is_numeric(values: Sequence[Any]) -> bool:
    return all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values)


def _known(what: str, names, valid) -> None:
    for name in names:
        if name not in valid:
            raise ValueError(f"{what}: there is no {name!r}; there are {', '.join(valid)}")


def _name(artist, i: int) -> str:
    if not isinstance(artist, (Line2D, PolyCollection)):
        raise TypeError(f"only lines and polygon collections can move, not {artist!r}")
    label = str(artist.get_label())
    return f"artist{i}" if not label or label.startswith("_") else label


def _text(value: Any) -> str:
    """A value as the browser writes it too: three significant digits, true minus sign."""
    if isinstance(value, (bool, np.bool_)):
        return "on" if value else "off"
    if isinstance(value, (str, np.str_)):
        return str(value)
    value = _rounded(value)
    if not math.isfinite(value):
        return "–" if math.isnan(value) else ("∞" if value > 0 else "−∞")
    if value != 0 and not 1e-3 <= abs(value) < 1e5:
        mantissa, exponent = f"{value:.2e}".split("e")
        text = f"{float(mantissa):g}e{int(exponent)}"
    else:
        text = f"{value:.0f}" if abs(value) >= 100 else f"{value:g}"
    return "0" if text == "-0" else text.replace("-", "−")


def _rounded(value: Any) -> float:
    """`value` to three significant digits."""
    return float(f"{float(value):.3g}")


def _axes_of(artist):
    if artist.axes is None:
        raise ValueError(f"the artist {artist!r} is not in any axes: add it to the figure first")
    return artist.axes


def _box(axes) -> list[float]:
    """An axes' rectangle in CSS pixels, y downwards: [left, top, width, height]."""
    bbox, height = axes.bbox, axes.figure.bbox.height
    return [round(float(v), 2) for v in (bbox.x0, height - bbox.y1, bbox.width, bbox.height)]


def _appearance(name: str, artist) -> dict[str, Any]:
    """How the browser is to draw an artist: lengths in CSS pixels, colours as CSS."""
    scale = CSS_DPI / 72
    look = {"name": name, "box": _box(_axes_of(artist))}
    if isinstance(artist, PolyCollection):
        face, edge = artist.get_facecolor(), artist.get_edgecolor()
        return look | {
            "fill": _css(face[0]) if len(face) else None,
            "color": _css(edge[0]) if len(edge) else None,
            "width": float(artist.get_linewidth()[0]) * scale,
            "dash": [],
        }
    alpha = artist.get_alpha()
    color = _css(to_rgba(artist.get_color(), alpha))
    style = artist.get_linestyle()
    dashes = artist._unscaled_dash_pattern[1] or []  # what the linestyle (0, (1, 1)) is kept as
    width = artist.get_linewidth() * scale
    look |= {
        "fill": None,
        "color": None if style in ("None", "", " ") else color,
        "width": width,
        "dash": [d * width for d in dashes],
    }
    marker = artist.get_marker()
    if marker not in ("None", "", " ", None):
        shape = MarkerStyle(marker)
        outline = shape.get_transform().transform_path(shape.get_path()).to_polygons()
        size = artist.get_markersize() * scale
        every = artist.get_markevery()
        if every not in (None, [-1]):
            raise ValueError(
                f"{name}: markevery={every!r} cannot move; None marks every point, "
                "[-1] the last one"
            )
        face = artist.get_markerfacecolor() if shape.is_filled() else None
        look["marker"] = {
            "polygons": [(p * [size, -size]).round(3).tolist() for p in outline],
            "fill": face and _css(to_rgba(face, alpha)),
            "edge": _css(to_rgba(artist.get_markeredgecolor(), alpha)),
            "width": artist.get_markeredgewidth() * scale,
            "last": every == [-1],
        }
    return look


def _css(rgba) -> str:
    return to_hex(rgba, keep_alpha=True)


def _data_of(artist) -> Points:
    if isinstance(artist, PolyCollection):
        gap = [[np.nan, np.nan]]
        pieces = [np.vstack([path.vertices, gap]) for path in artist.get_paths()]
        both = np.vstack(pieces) if pieces else np.empty((0, 2))
        return both[:, 0], both[:, 1]
    xs, ys = artist.get_data()
    return np.asarray(xs, float), np.asarray(ys, float)


def _split(vertices: np.ndarray) -> list[np.ndarray]:
    """Cut a list of vertices where it holds NaN; each piece is one polygon."""
    breaks = np.flatnonzero(np.isnan(vertices).any(axis=1))
    pieces = np.split(vertices, breaks)
    pieces = [piece[~np.isnan(piece).any(axis=1)] for piece in pieces]
    return [piece for piece in pieces if len(piece) > 2]


def _inside(unit: np.ndarray) -> np.ndarray:
    """Bring points (..., points, 2), in figure sizes, within reach of the figure.

    A point too far out is drawn back along the segment to a neighbour that is
    within reach, so that the visible part of the segment keeps its direction;
    with no such neighbour it is drawn back towards the middle of the figure.
    """
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        low, high = -REACH, REACH + 1
        out = ((unit < low) | (unit > high)).any(axis=-1, keepdims=True)
        result = unit.copy()
        anchor = np.full_like(unit, 0.5)
        for shift in (-1, 1):  # the next point first, so that the one before wins
            neighbour = np.roll(unit, shift, axis=-2)
            edge = -1 if shift == -1 else 0
            neighbour[..., edge, :] = np.nan
            near = ((neighbour >= low) & (neighbour <= high)).all(axis=-1, keepdims=True)
            anchor = np.where(near, neighbour, anchor)
        move = unit - anchor
        room = np.where(move > 0, (high - anchor) / move, (low - anchor) / move)
        share = np.nanmin(np.where(move == 0, np.inf, room), axis=-1, keepdims=True, initial=1.0)
        return np.where(out, np.clip(anchor + share * move, low, high), result)


def _clamp(at: tuple[int, ...], shape: tuple[int, ...], lead: bool = False) -> tuple:
    """The grid index for an array whose axes may have length 1."""
    index = tuple(0 if n == 1 else i for i, n in zip(at, shape))
    return (slice(None), *index) if lead else index


def _running_cell() -> str | None:
    """The id of the notebook cell that runs now; None outside Jupyter."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is None or not hasattr(shell, "get_parent"):
        return None
    return shell.get_parent().get("metadata", {}).get("cellId")


def _belongs_to_its_cell(widget: anywidget.AnyWidget) -> None:
    """Remember in which cell a widget was made: it is closed when that cell runs again."""
    cell = _running_cell()
    if cell is None:
        return
    events = sys.modules["IPython"].get_ipython().events
    if _close_those_of_this_cell not in events.callbacks["pre_run_cell"]:
        events.register("pre_run_cell", _close_those_of_this_cell)
    _made_in_cell.setdefault(cell, []).append(widget)


def _close_those_of_this_cell(info: Any = None) -> None:
    for widget in _made_in_cell.pop(_running_cell(), []):
        widget.close()
